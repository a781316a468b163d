// One task: what was reported, where, by when, what happened, and the steps that can be taken now.
(function () {
  "use strict";
  const { h, w, icon, store, keptPicture, waitingByCase } = phone;
  const label = phone.labelOf;

  phone.views.task = async function (main, { case_no }) {
    const page = h("div.page");
    main.append(page);
    const kept = await store.get("tasks", case_no).catch(() => null);
    let card = kept && kept.card,
      readAt = kept ? kept.read_at : 0,
      error = null,
      here = true,
      map = null;
    async function load() {
      try {
        card = await phone.ask(`/api/cases/${encodeURIComponent(case_no)}`);
        readAt = Date.now();
        error = null;
        await store.put("tasks", { case_no, card, read_at: readAt }).catch(() => {});
      } catch (e) {
        error = e;
      }
      if (here) draw();
    }
    async function draw() {
      if (!card) {
        phone.fill(
          page,
          phone.pageHead(w("task.one")),
          h(
            "section.empty",
            null,
            icon(error && error.away ? "offline" : "search", 40),
            h("h2", null, error ? (error.away ? w("task.not_downloaded") : error.message) : w("follow.loading")),
            error && h("p", null, error.away ? w("task.not_downloaded_next") : error.next_step || ""),
            error &&
              (error.status === 401
                ? h("a.plain", { href: phone.login() }, w("sign_in"))
                : h("button.plain", { type: "button", onclick: load }, w("again"))),
          ),
        );
        return;
      }
      const row = card.row;
      const waiting = (await waitingByCase()).get(case_no);
      if (map) {
        map.remove();
        map = null;
      }
      const box = row.lon !== null && row.lat !== null ? h("div.map-one") : null;
      const main = (card.steps || []).filter((s) => s.tone === "main"),
        other = (card.steps || []).filter((s) => s.tone !== "main");
      const take = (step) => phone.takeStep(step, card, { kind: "step", case_no }, { onqueued: draw });
      page.classList.toggle("has-bar", Boolean(!waiting && (card.steps || []).length));
      phone.fill(
        page,
        phone.pageHead(label(row)),
        (error || readAt < Date.now() - 120000) && h("p.stale", { role: "status" }, w("stale", { t: phone.time(readAt) })),
        waiting &&
          h(
            "ul.rows",
            null,
            h(
              "li.row",
              { "data-key": waiting.key },
              h(
                "button.row-open",
                { type: "button", onclick: () => phone.go("/m/mine") },
                h(
                  "span.row-words",
                  null,
                  h("b", null, waiting.step_name),
                  h("span", null, w("task.queued", { t: phone.time(waiting.queued_at) })),
                ),
                phone.standingOf(waiting),
              ),
            ),
          ),
        h(
          "section.card.card-main",
          null,
          h("div.head", null, h("p.big-state", null, row.state_name), phone.standing(row)),
          row.item_name && row.item_name !== label(row) && h("p.note", null, phone.itemName(row)),
          card.detail && card.detail !== row.title && h("p.said", null, card.detail),
          h(
            "p.note",
            null,
            [w("mine.number", { no: row.case_no }), w("follow.reported", { t: phone.time(row.reported_at) })].join(w("comma")),
          ),
          card.reporter &&
            (card.reporter.name || card.reporter.phone || card.reporter.name_masked) &&
            h("p.note", null, w("task.reporter", { who: Object.values(card.reporter).filter(Boolean).join(" ") })),
        ),
        h(
          "section.card",
          null,
          h("div.head", null, h("h2", null, w("place.title_short")), h("span.aside", null, row.place || "")),
          box || h("p.note", null, w("place.unplaced")),
          card.accuracy_m ? h("p.note", null, w("place.accuracy", { d: phone.metres(card.accuracy_m) })) : null,
        ),
        phone.photosOf(card, keptPicture),
        phone.deadline(card),
        (card.events || []).length > 0 && h("section.card", null, h("h2", null, w("follow.timeline")), phone.timeline(card.events)),
        !waiting &&
          (card.steps || []).length > 0 &&
          h(
            "footer.thumb-bar.thumb-steps",
            null,
            other.length > 0 &&
              h(
                "button.plain",
                {
                  type: "button",
                  onclick: () => {
                    const list = main.length > 1 ? [...main.slice(1), ...other] : other;
                    const dialog = phone.sheet(
                      w("task.more"),
                      list.map((step) =>
                        h(
                          "button.line",
                          {
                            type: "button",
                            "data-step": step.id,
                            onclick: () => {
                              dialog.close();
                              take(step);
                            },
                          },
                          h("b", null, phone.nameOf(step)),
                          icon("right", 20),
                        ),
                      ),
                    );
                  },
                },
                w("task.more"),
              ),
            main.length
              ? h("button.main", { type: "button", "data-step": main[0].id, onclick: () => take(main[0]) }, phone.nameOf(main[0]))
              : h("button.main", { type: "button", "data-step": other[0].id, onclick: () => take(other[0]) }, phone.nameOf(other[0])),
          ),
      );
      if (box) {
        map = phone.makeMap(box, { center: [row.lon, row.lat], zoom: 15 });
        map.pin([row.lon, row.lat], card.accuracy_m);
      }
    }
    draw();
    load();
    const stop = store.onchange(async () => {
      const fresh = await store.get("tasks", case_no).catch(() => null);
      if (fresh && fresh.card && fresh.read_at > readAt) {
        card = fresh.card;
        readAt = fresh.read_at;
      }
      if (here) draw();
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
})();
