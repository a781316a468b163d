// The page itself: which view an address is, the three tabs, and the worker that keeps it all for later.
(function () {
  "use strict";
  const { h, w, icon, store } = phone;
  const main = document.getElementById("main"),
    tabs = document.getElementById("tabs");
  const english = phone.config.language === "en";
  let view = null,
    showing = 0;

  const ROUTES = [
    [/^\/m\/?$/, "home"],
    [/^\/m\/report$/, "report"],
    [/^\/m\/mine$/, "mine"],
    [/^\/m\/tasks$/, "tasks"],
    [/^\/m\/notices$/, "notices"],
    [/^\/m\/t\/(?<case_no>[^/]+)$/, "task"],
    [/^\/m\/f$/, "follow"],
    [/^\/m\/f\/(?<code>[^/]+)$/, "follow"],
  ];
  const address = (path) => (english && !path.includes("?") ? `${path}?lang=en` : path);

  async function show() {
    const turn = ++showing;
    const found = ROUTES.map(([pattern, name]) => [name, location.pathname.match(pattern)]).find(([, match]) => match);
    let [name, match] = found || ["mine", { groups: {} }];
    if (name === "home") {
      // Members begin with their tasks; a villager with what waits, or at once with a report.
      const any = (await store.all("outbox").catch(() => [])).some((r) => r.state !== "draft");
      name = phone.account() ? "tasks" : any ? "mine" : "report";
      history.replaceState(null, "", address(`/m/${name}`));
    }
    if (turn !== showing) return;
    if (view && view.leave) view.leave();
    view = null;
    document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
    const fresh = h("div", { class: `view view-${name}` });
    main.replaceChildren(fresh);
    drawTabs(name);
    window.scrollTo(0, 0);
    try {
      view = await phone.views[name](fresh, (match && match.groups) || {});
    } catch (error) {
      console.error(error);
      fresh.replaceChildren(
        h(
          "section.empty",
          null,
          icon("offline", 40),
          h("h2", null, w(phone.full(error) ? "error.full" : "error.store")),
          h("button.plain", { type: "button", onclick: () => location.reload() }, w("again")),
        ),
      );
    }
    if (turn !== showing && view && view.leave) view.leave();
  }

  function drawTabs(name) {
    tabs.hidden = name === "report" || name === "task";
    document.body.classList.toggle("has-tabs", !tabs.hidden);
    const left = phone.account()
      ? ["/m/tasks", "list", w("tab.tasks"), ["tasks", "notices"]]
      : ["/m/f", "search", w("tab.follow"), ["follow"]];
    const tab = ([path, shape, words, of]) =>
      h("a.tab", { href: path, "aria-current": of.includes(name) ? "page" : null }, icon(shape), h("span", null, words));
    tabs.replaceChildren(
      tab(left),
      h("a.tab.tab-report", { href: "/m/report" }, h("i", null, icon("camera", 28)), h("span", null, w("tab.report"))),
      tab(["/m/mine", "person", w("tab.mine"), ["mine"]]),
    );
  }

  phone.go = function (path) {
    if (location.pathname !== path) history.pushState({ inside: true }, "", address(path));
    show();
  };
  phone.back = (otherwise) => (history.state && history.state.inside ? history.back() : phone.go(otherwise));
  phone.refresh = () => {
    if (view && view.refresh) view.refresh();
  };
  window.addEventListener("popstate", show);
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[href^='/m']");
    if (!link || event.metaKey || event.ctrlKey || link.search) return;
    event.preventDefault();
    phone.go(link.pathname);
  });

  // 大字: everything on the page is in rem, so one number makes all of it larger.
  phone.setBig = function (on) {
    document.documentElement.toggleAttribute("data-big", on);
    try {
      localStorage.setItem("onemap-big", on ? "1" : "");
    } catch (error) {
      /* private mode: for this visit only */
    }
  };
  phone.keepLanguage = (language) => {
    try {
      localStorage.setItem("onemap-language", language);
    } catch (error) {
      /* as above */
    }
  };
  try {
    if (localStorage.getItem("onemap-big")) document.documentElement.setAttribute("data-big", "");
  } catch (error) {
    /* as above */
  }

  const standing = () => JSON.stringify([phone.account(), phone.me.expired]);
  // Who is there turned out only after the page was drawn. A report somebody has begun is not taken from under their hands.
  function arrived(home) {
    if (location.pathname === "/m/report" && view && view.begun && view.begun()) return drawTabs("report");
    if (home) history.replaceState(null, "", address("/m"));
    show();
  }

  async function begin() {
    const known = await store.get("kept", "me").catch(() => null);
    if (known) phone.me = { ...known, known: false };
    // A phone without a network should not wait for it; one that was never here must know who is there. One that was
    // nobody's may have somebody now, who just signed in: the county usually says so before the eye sees a page.
    const asked = phone.whoami();
    const patience = !known ? 2500 : known.account || navigator.onLine === false ? 0 : 700;
    if (patience) await Promise.race([asked, new Promise((done) => setTimeout(done, patience))]);
    const before = standing();
    const home = ROUTES[0][0].test(location.pathname);
    await show();
    const shown = location.pathname;
    asked.then(() => {
      if (standing() !== before) arrived(home && location.pathname === shown);
      phone.flush({ force: true });
    });
    if (new URLSearchParams(location.search).get("lang")) phone.keepLanguage(phone.config.language);
    if ("serviceWorker" in navigator && window.isSecureContext)
      navigator.serviceWorker.register("/m/sw.js", { scope: "/m" }).catch(() => {});
  }
  window.addEventListener("online", () => {
    phone.whoami().then(() => phone.refresh());
  });
  window.addEventListener("offline", () => phone.refresh());
  phone.ready = begin();
})();
