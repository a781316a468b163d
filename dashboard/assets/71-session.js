// A session that ended while a page was open: to the login, and back to the same view (it is all in the address).
(function () {
  "use strict";
  const onemap = (window.onemap = window.onemap || {});
  let leaving = false;

  onemap.signInAgain = function () {
    if (leaving) return;
    leaving = true;
    const here = (onemap.address && onemap.map ? onemap.address() : location.pathname + location.search) || "/";
    location.assign("/login?expired=1&next=" + encodeURIComponent(here));
  };

  const ask = window.fetch.bind(window);
  window.fetch = async function (resource, options) {
    const answer = await ask(resource, options);
    const address = new URL(typeof resource === "string" ? resource : resource.url || String(resource), location.href);
    // Only our own server says whether we are signed in; 401 of the login itself is a wrong password.
    if (answer.status === 401 && address.origin === location.origin && !address.pathname.startsWith("/login")) onemap.signInAgain();
    return answer;
  };

  // MapLibre fetches tiles in a worker, out of reach of the above; the map tells what became of them.
  onemap.watchTiles = function (map) {
    map.on("error", (event) => { if (event.error && event.error.status === 401) onemap.signInAgain(); });
  };

  // A page the browser kept in memory may belong to somebody who has signed out since.
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
