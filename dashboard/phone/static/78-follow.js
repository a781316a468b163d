// Following by code: how it stands in plain words, what happened, and the reporter's own word on it.
(function () {
  "use strict";
  const { h, w, icon, store } = phone;

  // As people write it: small letters, no dash, O for 0, I and L for 1.
  phone.codeOf = function (text) {
    const plain = text
      .toUpperCase()
      .replace(/O/g, "0")
      .replace(/[IL]/g, "1")
      .replace(/[^0-9A-Z]/g, "");
    return /^[0-9A-HJKMNP-TV-Z]{10}$/.test(plain) ? `${plain.slice(0, 5)}-${plain.slice(5)}` : null;
  };

  phone.views.follow = async function (main, { code: asked }) {
    const page = h("div.page");
    main.append(page);
    const code = asked ? phone.codeOf(decodeURIComponent(asked)) : null;
    if (!asked || !code) return enter(page, asked);
    let card = null,
      error = null,
      readAt = 0,
      following = true;

    async function load() {
      try {
        card = await phone.ask(`/api/follow/${code}`);
        error = null;
        readAt = Date.now();
        await store.put("follows", { code, card, case_no: card.row.case_no, title: card.row.title, read_at: readAt }).catch(() => {});
      } catch (e) {
        error = e;
      }
      if (following) draw();
    }
    async function draw() {
      const waiting = (await store.all("outbox")).filter((r) => r.kind === "answer" && r.code === code && r.state !== "done");
      if (!card) {
        phone.fill(
          page,
          head(w("follow.title")),
          h(
            "section.empty",
            null,
            icon(error && error.away ? "offline" : "search", 40),
            h("h2", null, error ? (error.away ? w("follow.away") : error.message) : w("follow.loading")),
            error && h("p", null, error.away ? w("follow.away_next") : error.next_step || w("follow.check")),
            error &&
              h(
                "div.row-acts",
                null,
                h("button.plain", { type: "button", onclick: load }, w("again")),
                h("a.plain", { href: "/m/f" }, w("follow.other")),
              ),
          ),
        );
        return;
      }
      const row = card.row;
      phone.fill(
        page,
        h("header.page-head", null, back(), h("h1", null, row.title || phone.itemName(row) || w("follow.title"))),
        (error || readAt < Date.now() - 60000) && h("p.stale", { role: "status" }, w("stale", { t: phone.time(readAt) })),
        h(
          "section.card.card-main",
          null,
          h("p.big-state", null, row.state_name),
          card.hint && h("p", null, card.hint),
          h(
            "p.note",
            null,
            [w("mine.number", { no: row.case_no }), w("follow.reported", { t: phone.time(row.reported_at) })].join(w("comma")),
          ),
          row.place && h("p.note", null, row.place),
          card.detail && h("p.said", null, card.detail),
        ),
        waiting.length > 0 &&
          h(
            "ul.rows",
            null,
            waiting.map((r) =>
              h(
                "li.row",
                { "data-key": r.key },
                h(
                  "button.row-open",
                  { type: "button", onclick: () => phone.go("/m/mine") },
                  h("span.row-words", null, h("b", null, r.step_name), h("span", null, phone.time(r.queued_at))),
                  phone.standingOf(r),
                ),
              ),
            ),
          ),
        !waiting.length && answers(card),
        phone.deadline(card),
        phone.photosOf(card, (id, size) => Promise.resolve(`/api/photos/${id}?follow=${code}${size === "thumb" ? "&size=thumb" : ""}`)),
        (card.events || []).length > 0 && h("section.card", null, h("h2", null, w("follow.timeline")), phone.timeline(card.events)),
        h("section.card", null, h("h2", null, w("follow.keep")), h("p.code.code-big", null, code), phone.qr(code)),
      );
    }
    // What the reporter may do now is what the process says; a question is asked where there is one to answer.
    function answers(now) {
      const steps = now.steps || [];
      if (!steps.length) return null;
      const asks = steps.length > 1 && steps.some((s) => s.tone === "danger");
      // Who has said how satisfied they are is not asked again; they may still change it.
      const rated = now.row.rating;
      const rate = !rated && steps.find((s) => (s.form || []).some((f) => f.kind === "rating"));
      const large = steps.filter((s) => s.tone !== "plain" || s === rate),
        other = steps.filter((s) => !large.includes(s));
      const take = (step) => phone.takeStep(step, now, { kind: "answer", code }, { onqueued: draw });
      return h(
        "section.card.card-ask",
        null,
        h("h2", null, asks ? w("follow.ask") : rate ? w("follow.rate") : rated ? w("follow.rated", { n: rated }) : w("follow.next")),
        h(
          "div.asks",
          null,
          [...large, ...other].map((step) =>
            h(
              "button" +
                (step.tone === "main" || step === rate ? ".main" : large.includes(step) ? ".plain" : ".small") +
                (step.tone === "danger" ? ".plain-bad" : ""),
              { type: "button", "data-step": step.id, onclick: () => take(step) },
              phone.known(`step.${step.id}`) ? w(`step.${step.id}`) : phone.nameOf(step),
            ),
          ),
        ),
      );
    }
    const kept = await store.get("follows", code).catch(() => null);
    if (kept && kept.card) {
      card = kept.card;
      readAt = kept.read_at;
    }
    draw();
    load();
    const stop = store.onchange(async () => {
      const fresh = await store.get("follows", code).catch(() => null);
      if (fresh && fresh.card && fresh.read_at > readAt) {
        card = fresh.card;
        readAt = fresh.read_at;
      }
      if (following) draw();
    });
    return {
      leave() {
        following = false;
        stop();
      },
      refresh: load,
    };
  };

  const back = () => h("button.round", { type: "button", "aria-label": w("back"), onclick: () => phone.back("/m/mine") }, icon("left"));
  const head = (title) => h("header.page-head", null, back(), h("h1", null, title));

  async function enter(page, asked) {
    const input = h("input.input.code-input", {
      id: "code",
      autocomplete: "off",
      autocapitalize: "characters",
      spellcheck: "false",
      inputmode: "text",
      maxlength: 14,
      placeholder: "XXXXX-XXXXX",
      value: asked ? decodeURIComponent(asked) : "",
    });
    const wrong = h("p.fault", { role: "alert" }, asked ? w("follow.wrong") : "");
    const open = (event) => {
      event.preventDefault();
      const code = phone.codeOf(input.value);
      if (!code) {
        wrong.textContent = w("follow.wrong");
        input.focus();
        return;
      }
      phone.go(`/m/f/${code}`);
    };
    const known = (await store.all("follows")).sort((a, b) => (b.read_at || 0) - (a.read_at || 0)).slice(0, 10);
    phone.fill(
      page,
      head(w("follow.title")),
      h(
        "form.card",
        { onsubmit: open },
        h("label.field", { for: "code" }, w("follow.label")),
        input,
        wrong,
        h("button.main", null, w("follow.open")),
      ),
      known.length > 0 &&
        h(
          "section",
          null,
          h("div.head", null, h("h2", null, w("follow.known"))),
          h(
            "ul.rows",
            null,
            known.map((one) =>
              h(
                "li.row",
                null,
                h(
                  "a.row-open",
                  { href: `/m/f/${one.code}` },
                  h(
                    "span.row-words",
                    null,
                    h("b", null, (one.card && one.card.row.title) || one.title || one.code),
                    h("span", null, one.code),
                  ),
                  h("span.state", null, one.card ? one.card.row.state_name : ""),
                  icon("right", 20),
                ),
              ),
            ),
          ),
        ),
    );
    return {};
  }
  phone.pageHead = head;
})();
