// The desk's state is its address: view, filters, order, page, open case. One way in: desk.go(); a link shows the same.
(function () {
  "use strict";
  const onemap = (window.onemap = window.onemap || {});
  const KEYS = ["view", "process", "state", "item", "channel", "at", "unit", "who", "whoname", "text", "from", "to", "sort", "page", "show", "more"];
  const desk = (onemap.desk = { words: onemap.config.desk, asked: {}, open: null, seq: 0, total: 0, answered: 0, shownSeq: 0, at: Date.now() });
  const $ = (id) => document.getElementById(id);
  const set = (id, data) => dash_clientside.set_props(id, { data });
  desk.set = set;
  desk.kind = () => $("desk").dataset.desk;
  desk.say = (key, values = {}) => desk.words[key].replace(/{(\w+)}/g, (_, name) => values[name]);

  function read() {
    const asked = new URLSearchParams(location.search);
    desk.asked = Object.fromEntries(KEYS.filter((k) => asked.get(k)).map((k) => [k, asked.get(k)]));
    desk.open = desk.kind() === "case" ? decodeURIComponent(location.pathname.split("/")[2] || "") : asked.get("case");
    if ($("desk-search")) $("desk-search").value = desk.asked.text || ""; // the box is made before the address is read
  }

  function address() {
    const asked = new URLSearchParams();
    for (const key of KEYS) if (desk.asked[key]) asked.set(key, desk.asked[key]);
    if (desk.open && desk.kind() === "queue") asked.set("case", desk.open);
    if (onemap.config.language !== "zh") asked.set("lang", onemap.config.language);
    const text = asked.toString().replaceAll("%2C", ",");
    return location.pathname + (text ? "?" + text : "");
  }
  desk.address = address;

  const ask = () => set("desk-asked", { ...desk.asked, seq: ++desk.seq });

  // Change what is asked for. Another filter starts again on the first page; the old one is a step back away.
  desk.go = function (patch) {
    const asked = { ...desk.asked, ...patch };
    if (!("page" in patch)) delete asked.page;
    if (!("more" in patch)) delete asked.more;
    for (const key of Object.keys(asked)) if (!asked[key] || (key === "page" && String(asked[key]) === "1")) delete asked[key];
    desk.asked = asked;
    history.pushState(null, "", address());
    desk.unselect();
    document.documentElement.toggleAttribute("data-asking", true);
    ask();
  };

  desk.show = function (no, { replace = false } = {}) {
    desk.open = no || null;
    history[replace ? "replaceState" : "pushState"](null, "", address());
    card();
  };

  function card() {
    if (desk.kind() === "queue") {
      $("desk").toggleAttribute("data-card", Boolean(desk.open));
      desk.mark();
    }
    set("desk-case", { no: desk.open, page: desk.kind() === "case", seq: ++desk.seq });
  }

  // Ask again for what is shown: after a step, after a fault, after having looked away for a while.
  onemap.refresh = desk.refresh = function () {
    desk.at = Date.now();
    if (desk.kind() === "queue") ask();
    if (desk.open) card();
    if (desk.kind() === "reports") set("desk-period-asked", { ...desk.period, seq: ++desk.seq });
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && Date.now() - desk.at > 60000 && !document.querySelector(".dialog")) desk.refresh();
  });
  addEventListener("popstate", () => {
    read();
    if (desk.kind() === "queue") ask();
    if (desk.kind() === "queue" || desk.kind() === "case") card();
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.desk = {
    start() {
      read();
      desk.fill($("desk"));
      const kind = desk.kind();
      if (kind === "queue") {
        ask();
        if (desk.open) card();
      } else if (kind === "case") card();
      else if (kind === "reports") {
        const asked = new URLSearchParams(location.search);
        desk.period = { period: asked.get("period") || "month", from: asked.get("from"), to: asked.get("to"), level: asked.get("level") };
        set("desk-period-asked", { ...desk.period, seq: ++desk.seq });
      }
      return kind;
    },
    // The list has come; Dash put it in place.
    answered(answer) {
      if (!answer) return window.dash_clientside.no_update;
      document.documentElement.toggleAttribute("data-asking", false);
      if (answer.away) {
        onemap.trouble("store");
        return window.dash_clientside.no_update;
      }
      desk.answered = answer.seq;
      desk.total = answer.total;
      desk.bounds = answer.bounds || desk.bounds;
      $("desk").dataset.face = answer.show;
      requestAnimationFrame(() => {
        desk.mark();
        document.documentElement.setAttribute("data-seq", answer.seq);
      });
      return String(answer.seq);
    },
    // The card has come: its map, its title, the keyboard.
    shown(card) {
      if (!card) return window.dash_clientside.no_update;
      if (card.away) onemap.trouble("store");
      document.title = (card.title ? card.title + " · " : "") + desk.words.title;
      requestAnimationFrame(() => {
        desk.drawPlace(card);
        desk.shownSeq = card.seq;
        document.documentElement.setAttribute("data-shown", card.seq);
      });
      return String(card.seq);
    },
    peopleFound() {
      requestAnimationFrame(desk.peopleFound);
      return window.dash_clientside.no_update;
    },
    nearFound() {
      requestAnimationFrame(desk.nearFound);
      return window.dash_clientside.no_update;
    },
    bulkDone(answer) {
      if (answer) desk.nextPart(answer);
      return window.dash_clientside.no_update;
    },
  };
})();
