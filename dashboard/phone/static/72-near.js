// Before it is sent: has somebody reported this already? Asked of the county when there is a network, and of this phone always.
(function () {
  "use strict";
  const { h, w, store } = phone;
  const NEAR_M = 100,
    RECENT_MS = 24 * 3600 * 1000;

  async function own(record) {
    if (!record.lonlat) return [];
    return (await store.all("outbox"))
      .filter(
        (one) =>
          one.kind === "report" &&
          one.key !== record.key &&
          ["queued", "sending", "done", "signin"].includes(one.state) &&
          one.lonlat &&
          Date.now() - one.made_at < RECENT_MS &&
          phone.distance(one.lonlat, record.lonlat) <= NEAR_M &&
          (one.item_code === record.item_code || !one.item_code || !record.item_code),
      )
      .map((one) => ({
        own: true,
        key: one.key,
        case_no: one.answer && one.answer.case_no,
        item_name: one.title,
        dist_m: phone.distance(one.lonlat, record.lonlat),
        reported_at: one.made_at,
        state: one.state,
      }));
  }
  async function county(record) {
    if (!record.lonlat || navigator.onLine === false) return [];
    const query = new URLSearchParams({
      lon: record.lonlat[0],
      lat: record.lonlat[1],
      crs: "EPSG:4326",
      text: (record.text || "").slice(0, 200),
      ...(record.item_code ? { item: record.item_code } : {}),
    });
    try {
      const said = await phone.ask(`/api/cases/near?${query}`, { patience: 3000 });
      return said.near || [];
    } catch (error) {
      return []; // no network is no reason not to report
    }
  }

  // "same": the person follows the other one; "still": report all the same; "back": neither.
  phone.nearby = async function (record) {
    const mine = await own(record);
    const known = new Set(mine.map((one) => one.case_no).filter(Boolean));
    const found = [...mine, ...(await county(record)).filter((one) => !known.has(one.case_no))].slice(0, 4);
    if (!found.length) return "still";
    return new Promise((resolve) => {
      let answer = "back";
      const first = found[0];
      const line = (one) =>
        h(
          "li.near",
          null,
          h(
            "div",
            null,
            h("b", null, phone.itemName(one) || w("item.unknown")),
            h(
              "p.note",
              null,
              [
                one.dist_m === null ? null : w("near.away", { d: phone.metres(one.dist_m) }),
                w("near.ago", { t: phone.span(Date.now() - new Date(one.reported_at)) }),
                one.own ? w(one.state === "done" ? "near.own_sent" : "near.own_waiting") : one.state_name || "",
              ]
                .filter(Boolean)
                .join(w("comma")),
            ),
          ),
          h(
            "button.small",
            {
              type: "button",
              onclick: async () => {
                answer = "same";
                await follow(one, record);
                dialog.close();
              },
            },
            w("near.follow"),
          ),
        );
      const dialog = phone.sheet(
        w("near.title"),
        [
          h(
            "p.lead",
            null,
            w(first.own ? "near.ask_own" : "near.ask", {
              d: phone.metres(first.dist_m || 0),
              t: phone.span(Date.now() - new Date(first.reported_at)),
              what: phone.itemName(first) || w("item.unknown"),
            }),
          ),
          h("ul.nears", null, found.map(line)),
        ],
        {
          foot: h(
            "button.main",
            {
              type: "button",
              onclick: () => {
                answer = "still";
                dialog.close();
              },
            },
            w("near.still"),
          ),
          onclose: () => resolve(answer),
        },
      );
    });
  };

  async function follow(one, record) {
    if (one.own) return setTimeout(() => phone.go("/m/mine"), 0);
    const watched = (await store.get("kept", "watched").catch(() => null)) || [];
    await store.put(
      "kept",
      [
        {
          case_no: one.case_no,
          name: phone.itemName(one),
          state: one.state_name,
          lonlat: record.lonlat,
          item_code: one.item_code,
          at: Date.now(),
        },
        ...watched.filter((x) => x.case_no !== one.case_no),
      ].slice(0, 20),
      "watched",
    );
    setTimeout(() => {
      phone.go("/m/mine");
      phone.say(w("near.followed", { no: one.case_no }));
    }, 0);
  }

  // Somebody else's case is known here by its number and place alone; what became of it, the neighbourhood tells.
  phone.watchedNow = async function () {
    const watched = (await store.get("kept", "watched").catch(() => null)) || [];
    for (const one of watched) {
      try {
        const query = new URLSearchParams({
          lon: one.lonlat[0],
          lat: one.lonlat[1],
          crs: "EPSG:4326",
          ...(one.item_code ? { item: one.item_code } : {}),
        });
        const said = await phone.ask(`/api/cases/near?${query}`, { patience: 5000 });
        const found = (said.near || []).find((x) => x.case_no === one.case_no);
        one.state = found ? found.state_name : w("near.no_longer_open");
        one.at = Date.now();
      } catch (error) {
        break;
      }
    }
    if (watched.length) await store.put("kept", watched, "watched").catch(() => {});
    return watched;
  };
  phone.unwatch = async (no) =>
    store.put(
      "kept",
      ((await store.get("kept", "watched")) || []).filter((one) => one.case_no !== no),
      "watched",
    );
})();
