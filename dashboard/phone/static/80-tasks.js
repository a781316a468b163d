// A grid member's day: tasks, next due first, as a list and on the map. Downloaded, so that it works in the field.
(function () {
  "use strict";
  const { h, w, icon, store } = phone;

  const order = (a, b) => (a.due_at ? Date.parse(a.due_at) : Infinity) - (b.due_at ? Date.parse(b.due_at) : Infinity);
  // The list as it was last read; a newer one when the county answers.
  phone.tasks = async function ({ fresh = true } = {}) {
    const kept = (await store.get("kept", "tasks").catch(() => null)) || null;
    if (!fresh || !phone.account()) return kept;
    const said = await phone.ask("/api/tasks");
    const tasks = { tasks: [...(said.tasks || [])].sort(order), read_at: Date.now() };
    await store.put("kept", tasks, "tasks").catch(() => {});
    prefetch(tasks.tasks);
    return tasks;
  };
  // Every task is opened once in the background: on site there may be no signal.
  let fetching = false;
  async function prefetch(tasks) {
    if (fetching) return;
    fetching = true;
    try {
      for (const row of tasks.slice(0, 60)) {
        const known = await store.get("tasks", row.case_no);
        if (known && known.card && known.card.row.revision === row.revision) continue;
        const card = await phone.ask(`/api/cases/${row.case_no}`);
        await store.put("tasks", { case_no: row.case_no, card, read_at: Date.now() });
        for (const photo of (card.photos || []).slice(0, 4)) await keptPicture(photo.photo_id, "thumb");
      }
      const listed = new Set(tasks.map((row) => row.case_no));
      for (const old of await store.all("tasks"))
        if (!listed.has(old.case_no) && Date.now() - (old.read_at || 0) > 7 * 86400000) await store.drop("tasks", old.case_no);
    } catch (error) {
      /* what is there is there */
    }
    fetching = false;
  }
  const urls = new Map();
  async function keptPicture(id, size) {
    const name = `${id}/${size}`;
    if (urls.has(name)) return urls.get(name);
    let kept = await store.get("pictures", name).catch(() => null);
    if (!kept) {
      try {
        const answer = await fetch(`/api/photos/${id}${size === "thumb" ? "?size=thumb" : ""}`);
        if (!answer.ok) return null;
        kept = { id: name, type: answer.headers.get("Content-Type") || "image/jpeg", bytes: await answer.arrayBuffer() };
        if (size === "thumb") await store.put("pictures", kept).catch(() => {});
      } catch (error) {
        return null;
      }
    }
    urls.set(name, URL.createObjectURL(new Blob([kept.bytes], { type: kept.type })));
    return urls.get(name);
  }

  const label = (row) => row.title || phone.itemName(row);
  function line(row, waiting) {
    const due = row.due_at && new Date(row.due_at);
    const over = row.standing === "breached";
    const left = h(
      "span.task-due.standing-" + (row.standing || "none"),
      null,
      phone.mark(row.standing || "none", 14),
      h("b", null, over ? w("due.over_short") : row.standing === "paused" ? w("due.paused") : due ? phone.clock(due) : w("due.none")),
      h("span", null, over ? phone.span(Date.now() - due) : due && row.standing !== "paused" ? phone.day(due) : ""),
    );
    const sent = waiting.get(row.case_no);
    return h(
      "li.row",
      { "data-case": row.case_no },
      h(
        "a.row-open",
        { href: `/m/t/${row.case_no}` },
        left,
        h(
          "span.row-words",
          null,
          h("b", null, row.kind === "callback" ? w("task.callback", { title: label(row) }) : label(row)),
          h("span", null, [row.place, row.state_name].filter(Boolean).join(w("comma"))),
        ),
        sent ? phone.standingOf(sent) : icon("right", 20),
      ),
    );
  }
  async function waitingByCase() {
    return new Map((await store.all("outbox")).filter((r) => r.kind === "step" && r.state !== "done").map((r) => [r.case_no, r]));
  }
  const readWords = (kept) => (kept ? w("task.read", { t: phone.time(kept.read_at) }) : "");

  phone.tasksBrief = async function () {
    const kept = await phone.tasks({ fresh: false });
    const rows = kept ? kept.tasks : [];
    const waiting = await waitingByCase();
    return h(
      "section",
      null,
      h("div.head", null, h("h2", null, w("task.title")), h("span.aside", null, readWords(kept))),
      rows.length
        ? h(
            "ul.rows",
            null,
            rows.slice(0, 3).map((row) => line(row, waiting)),
          )
        : h("p.note", null, w(kept ? "task.none" : "task.not_read")),
    );
  };

  phone.views.tasks = async function (main) {
    const page = h("div.page");
    main.append(page);
    let kept = await phone.tasks({ fresh: false }),
      error = null,
      notices = [],
      asMap = false,
      map = null,
      here = true;

    async function load() {
      try {
        kept = await phone.tasks();
        error = null;
      } catch (e) {
        error = e;
      }
      try {
        notices = await phone.notices();
      } catch (e) {
        /* the list above says it */
      }
      if (here) draw();
    }
    async function draw() {
      const waiting = await waitingByCase();
      const rows = kept ? kept.tasks : [];
      const count = (standing) => rows.filter((row) => row.standing === standing).length;
      const unseen = notices.filter((one) => !one.seen_at).length;
      const ground = phone.me.ground;
      const outbox = (await store.all("outbox")).filter((r) => ["queued", "sending", "signin"].includes(r.state));
      if (map) {
        map.remove();
        map = null;
      }
      const box = asMap && rows.some((row) => row.lon !== null) ? h("div.map-tasks") : null;
      phone.fill(
        page,
        h(
          "header.page-head",
          null,
          h("h1", null, w("task.title")),
          h("span.aside", null, ground && ground.within ? `${ground.within} ${ground.name}` : ground ? ground.name : ""),
          h(
            "a.round",
            { href: "/m/notices", "aria-label": w("notice.label", { n: unseen }) },
            icon("bell"),
            unseen > 0 && h("i.badge", null, String(unseen)),
          ),
        ),
        phone.banner(outbox.length) || "",
        error && !error.away && error.status !== 401 && h("p.stale", { role: "status" }, error.message),
        kept &&
          h(
            "div.task-bar",
            null,
            h(
              "p.counts",
              null,
              ["breached", "at_risk", "on_track"]
                .filter(count)
                .map((s) =>
                  h("span.standing.standing-" + s, null, phone.mark(s, 14), w("standing." + s), " ", h("b", null, String(count(s)))),
                ),
            ),
            rows.some((row) => row.lon !== null) && h(
              "button.small",
              {
                type: "button",
                "aria-pressed": String(asMap),
                onclick: () => {
                  asMap = !asMap;
                  draw();
                },
              },
              icon(asMap ? "list" : "map", 20),
              w(asMap ? "task.as_list" : "task.as_map"),
            ),
          ),
        !kept &&
          !error &&
          h(
            "ul.rows.skeleton",
            { "aria-hidden": "true" },
            [1, 2, 3].map(() => h("li.row", null, h("i"), h("b"))),
          ),
        !kept &&
          error &&
          h(
            "section.empty",
            null,
            icon("offline", 40),
            h("h2", null, w(error.status === 401 ? "task.signed_out" : "task.away")),
            error.status === 401
              ? h("a.plain", { href: phone.login("/m/tasks") }, w("sign_in"))
              : h("button.plain", { type: "button", onclick: load }, w("again")),
          ),
        kept &&
          !rows.length &&
          h("section.empty", null, icon("check", 40), h("h2", null, w("task.none")), h("p", null, w("task.none_next"))),
        box ||
          (rows.length > 0 &&
            h(
              "ul.rows",
              null,
              rows.map((row) => line(row, waiting)),
            )),
        kept && h("p.note.foot", null, w("task.read_long", { t: phone.time(kept.read_at) })),
      );
      if (box) {
        const placed = rows.filter((row) => row.lon !== null && row.lat !== null);
        map = phone.makeMap(box, {
          center: [placed[0].lon, placed[0].lat],
          zoom: 14,
          interactive: true,
          onmark: (one) => phone.go(`/m/t/${one.case_no}`),
        });
        map.marks(
          placed.map((row) => ({
            lonlat: [row.lon, row.lat],
            standing: row.standing,
            case_no: row.case_no,
            label: `${label(row)}${w("comma")}${w("standing." + (row.standing || "none"))}`,
          })),
        );
        const lons = placed.map((r) => r.lon),
          lats = placed.map((r) => r.lat);
        map.fit([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)]);
      }
    }
    draw();
    load();
    const stop = store.onchange(() => {
      if (here && !asMap) draw();
    });
    return {
      leave() {
        here = false;
        stop();
        if (map) map.remove();
      },
      refresh: load,
    };
  };

  Object.assign(phone, { keptPicture, waitingByCase, labelOf: label });
})();
