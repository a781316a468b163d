// What somebody was told about their cases; read here means seen.
(function () {
  "use strict";
  const { h, w, icon, store } = phone;

  phone.notices = async function () {
    const said = await phone.ask("/api/notices");
    await store.put("kept", { notices: said.notices || [], read_at: Date.now() }, "notices").catch(() => {});
    return said.notices || [];
  };
  phone.views.notices = async function (main) {
    const page = h("div.page");
    main.append(page);
    const kept = (await store.get("kept", "notices").catch(() => null)) || { notices: [], read_at: 0 };
    let list = kept.notices,
      error = null;
    const draw = () =>
      phone.fill(
        page,
        phone.pageHead(w("notice.title")),
        error && h("p.stale", null, kept.read_at ? w("stale", { t: phone.time(kept.read_at) }) : w("error.away")),
        list.length
          ? h(
              "ul.rows",
              null,
              list.map((one) =>
                h(
                  "li.row" + (one.seen_at ? "" : ".row-new"),
                  null,
                  h(
                    "a.row-open",
                    { href: `/m/t/${one.case_no}` },
                    h("span.row-words", null, h("b", null, one.words), h("span", null, phone.time(one.made_at))),
                    icon("right", 20),
                  ),
                ),
              ),
            )
          : h("section.empty", null, icon("bell", 40), h("h2", null, w("notice.none"))),
      );
    draw();
    try {
      list = await phone.notices();
      draw();
      const ids = list.filter((one) => !one.seen_at).map((one) => one.notice_id);
      if (ids.length) await phone.ask("/api/notices/seen", { method: "POST", body: { ids } });
    } catch (e) {
      error = e;
      draw();
    }
    return {};
  };
})();
