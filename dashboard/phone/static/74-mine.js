// My reports: what waits on this phone, what needs me, what the county has. And the few settings there are.
(function () {
  "use strict";
  const { h, w, icon, store } = phone;
  const line = phone.outboxLine,
    thumbOf = phone.smallOf;

  phone.login = (next = location.pathname) => `/login?next=${encodeURIComponent(next)}`;

  phone.views.mine = async function (main) {
    const page = h("div.page");
    main.append(page);
    let drawing = 0;

    async function draw() {
      const mine = ++drawing;
      const all = (await store.all("outbox")).sort((a, b) => (b.queued_at || b.made_at) - (a.queued_at || a.made_at));
      const account = phone.account();
      const id = account ? account.account_id : null;
      const waiting = all.filter((r) => ["queued", "sending"].includes(r.state));
      const stuck = all.filter((r) => ["blocked", "conflict", "signin"].includes(r.state));
      const done = all.filter((r) => r.state === "done" && (r.account_id ?? null) === id).slice(0, 20);
      const drafts = all.filter((r) => r.state === "draft" || r.state === "aside");
      const bytes = waiting.reduce((sum, r) => sum + (r.bytes || 0), 0);
      const lines = async (list) => h("ul.rows", null, await Promise.all(list.map(line)));
      const watched = (await store.get("kept", "watched")) || [];
      const ground = phone.me.ground;
      const parts = [
        h(
          "header.page-head",
          null,
          h("h1", null, w("mine.title")),
          account
            ? h("span.aside", null, ground && ground.within ? `${ground.within} ${ground.name}` : (ground && ground.name) || account.name)
            : h("a.aside.link", { href: phone.login("/m") }, w("mine.member")),
        ),
        phone.banner(waiting.length + stuck.filter((r) => r.state === "signin").length, stuck),
      ];
      if (stuck.length) parts.push(h("section", null, h("div.head", null, h("h2", null, w("mine.needs_you"))), await lines(stuck)));
      if (drafts.length)
        parts.push(
          h(
            "section",
            null,
            h("div.head", null, h("h2", null, w("mine.drafts"))),
            h(
              "ul.rows",
              null,
              await Promise.all(
                drafts.map(async (r) =>
                  h(
                    "li.row",
                    null,
                    h(
                      "button.row-open",
                      {
                        type: "button",
                        onclick: async () => {
                          if (r.state === "aside") {
                            await store.put("outbox", { ...r, state: "draft" });
                            await store.put("kept", r.key, "draft");
                          }
                          phone.go("/m/report");
                        },
                      },
                      h("span.row-thumb", null, thumbOf(await store.photosOf(r.key))),
                      h(
                        "span.row-words",
                        null,
                        h("b", null, r.text || (r.item_code && phone.item(r.item_code).name) || w("report.title_photo")),
                        h("span", null, phone.time(r.made_at)),
                      ),
                      h("span.state", null, w("state.draft")),
                    ),
                  ),
                ),
              ),
            ),
          ),
        );
      if (waiting.length)
        parts.push(
          h(
            "section",
            null,
            h(
              "div.head",
              null,
              h("h2", null, w("mine.waiting_title")),
              h("span.aside", null, bytes ? w("mine.total", { size: phone.bytes(bytes) }) : ""),
            ),
            await lines(waiting),
          ),
        );
      if (account) parts.push(await phone.tasksBrief());
      if (done.length) parts.push(h("section", null, h("div.head", null, h("h2", null, w("mine.delivered"))), await lines(done)));
      if (watched.length)
        parts.push(
          h(
            "section",
            null,
            h("div.head", null, h("h2", null, w("near.watched"))),
            h(
              "ul.rows",
              null,
              watched.map((one) =>
                h(
                  "li.row",
                  null,
                  h(
                    "div.row-open",
                    null,
                    h(
                      "span.row-words",
                      null,
                      h("b", null, one.name || w("item.unknown")),
                      h("span", null, w("mine.number", { no: one.case_no })),
                    ),
                    h("span.state", null, one.state || ""),
                    h(
                      "button.round",
                      {
                        type: "button",
                        "aria-label": w("near.unwatch"),
                        onclick: async () => {
                          await phone.unwatch(one.case_no);
                          draw();
                        },
                      },
                      icon("close", 20),
                    ),
                  ),
                ),
              ),
            ),
          ),
        );
      if (!all.length && !watched.length && !account)
        parts.push(h("section.empty", null, icon("camera", 40), h("h2", null, w("mine.empty")), h("p", null, w("mine.empty_next"))));
      parts.push(settings(account));
      if (mine === drawing) phone.fill(page, ...parts.filter(Boolean));
    }
    await draw();
    const stop = store.onchange(draw);
    const progress = (key, share) => {
      const row = page.querySelector(`[data-key="${key}"] .state`);
      if (row) row.textContent = w("state.sending_share", { n: Math.floor(share * 100) });
    };
    phone.onprogress.add(progress);
    phone.watchedNow().then((list) => {
      if (list.length) draw();
    });
    return {
      leave() {
        stop();
        phone.onprogress.delete(progress);
      },
      refresh: draw,
    };
  };

  // Said once, on top: whether the county can be reached, and that nothing is lost.
  phone.banner = function (waiting, stuck = []) {
    if (phone.me.expired)
      return h(
        "div.banner.banner-warn",
        { role: "status" },
        h("span.banner-icon", null, icon("door", 26)),
        h("div", null, h("b", null, w("banner.expired")), h("p", null, w("banner.expired_next"))),
        h("a.banner-act", { href: phone.login() }, w("sign_in")),
      );
    const offline = navigator.onLine === false;
    if (offline || (phone.me.away && waiting))
      return h(
        "div.banner",
        { role: "status" },
        h("span.banner-icon", null, icon("offline", 26)),
        h(
          "div",
          null,
          h("b", null, w(offline ? (waiting ? "banner.offline_waiting" : "banner.offline") : "banner.away", { n: waiting })),
          h("p", null, w(waiting ? "banner.by_itself" : "banner.offline_next")),
        ),
      );
    if (stuck.length && stuck.every((r) => r.state === "signin")) return null;
    return null;
  };

  function settings(account) {
    const big = document.documentElement.hasAttribute("data-big");
    const other = phone.config.language === "en" ? "zh" : "en";
    const use = h("span.aside");
    if (navigator.storage && navigator.storage.estimate)
      navigator.storage.estimate().then(
        ({ usage, quota }) => {
          use.textContent = w("settings.room", { used: phone.bytes(usage || 0), all: phone.bytes(quota || 0) });
        },
        () => {},
      );
    return h(
      "section.settings",
      null,
      h("div.head", null, h("h2", null, w("settings.title")), use),
      h(
        "button.line",
        {
          type: "button",
          role: "switch",
          "aria-checked": String(big),
          onclick: () => {
            phone.setBig(!big);
            phone.refresh();
          },
        },
        icon("letters"),
        h("b", null, w("settings.big")),
        h("span.switch", { "aria-hidden": "true" }),
      ),
      h(
        "a.line",
        { href: `/m/mine${other === "en" ? "?lang=en" : ""}`, onclick: () => phone.keepLanguage(other) },
        icon("globe"),
        h("b", null, w("settings.language")),
        icon("right", 20),
      ),
      h("a.line", { href: "/m/f" }, icon("search"), h("b", null, w("follow.title")), icon("right", 20)),
      account
        ? h(
            "form.line-form",
            { method: "post", action: "/logout", onsubmit: phone.signOut },
            h("button.line", null, icon("door"), h("b", null, w("settings.sign_out")), h("span", null, account.name)),
          )
        : h("a.line", { href: phone.login("/m") }, icon("shield"), h("b", null, w("settings.member")), icon("right", 20)),
    );
  }
  // Downloaded tasks are this person's; what they have not sent yet stays and is theirs when they come back.
  phone.signOut = async function (event) {
    event.preventDefault();
    const form = event.target;
    for (const name of ["tasks", "pictures"]) await store.clear(name);
    for (const key of ["me", "tasks", "notices"]) await store.drop("kept", key);
    form.submit();
  };
})();
