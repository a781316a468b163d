// The phone's service worker: keeps the page and its files, keeps the tiles that were seen, sends what waits when the network returns.
"use strict";
importScripts(...{{ imports|safe }});
const VERSION = "{{ version }}";
const FILES = "onemap-m-" + VERSION;
const TILES = "onemap-m-tiles";
const MOST_TILES = 900; // about 20 MB: a township at walking zooms
const NEEDED = {{ needed|safe }};
const HEAVY = {{ heavy|safe }};

self.addEventListener("install", (event) => {
  // What the page cannot start without is kept before it counts as installed; the map may come a little later.
  event.waitUntil(caches.open(FILES).then((cache) => cache.addAll(NEEDED.map((path) => new Request(path, { cache: "reload" }))))
    .then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith("onemap-m-") && name !== FILES && name !== TILES) await caches.delete(name);
    }
    await self.clients.claim();
    await keepHeavy();
  })());
});

async function keepHeavy() {
  const cache = await caches.open(FILES);
  for (const path of HEAVY) {
    if (!(await cache.match(path))) await cache.add(path).catch(() => {});
  }
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate" && isOurs(url.pathname)) event.respondWith(page(url));
  else if (url.pathname.startsWith("/m/tiles/")) event.respondWith(tile(event));
  else if (url.pathname.startsWith("/m/a/") || url.pathname.startsWith("/vendor/")) event.respondWith(file(request));
});

// Everything under /m is the one page, but for what has a form of its own.
const isOurs = (path) => path === "/m" || (path.startsWith("/m/") && !/^\/m\/(a|tiles)\/|\.(js|svg|webmanifest)$|^\/m\/(me|where)$/.test(path));

async function page(url) {
  const kept = await caches.match(url.searchParams.get("lang") === "en" ? "/m?lang=en" : "/m", { cacheName: FILES, ignoreVary: true });
  return kept || fetch(url);
}

async function file(request) {
  const kept = await caches.match(request, { cacheName: FILES, ignoreVary: true });
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok && HEAVY.some((path) => request.url.endsWith(path))) {
    const copy = answer.clone();
    caches.open(FILES).then((cache) => cache.put(request, copy)).catch(() => {});
  }
  return answer;
}

// The last picture of the ground at once, a newer one for the next time.
async function tile(event) {
  const cache = await caches.open(TILES);
  const kept = await cache.match(event.request, { ignoreVary: true });
  const fresh = fetch(event.request).then(async (answer) => {
    if (answer.status === 200 || answer.status === 204) {
      // A tile without anything in it has no body, and a cache keeps no 204.
      const copy = answer.status === 204 ? new Response("", { status: 200, headers: { "Content-Type": "application/vnd.mapbox-vector-tile" } }) : answer.clone();
      await cache.put(event.request, copy).then(() => trim(cache)).catch(() => {});
    }
    return answer;
  });
  if (!kept) return fresh;
  event.waitUntil(fresh.catch(() => {}));
  return kept;
}

let putting = 0;
async function trim(cache) {
  putting += 1;
  if (putting % 50) return;
  const keys = await cache.keys();
  for (const key of keys.slice(0, Math.max(0, keys.length - MOST_TILES))) {
    if (!key.url.endsWith("layers.json")) await cache.delete(key);
  }
}

// The browser wakes us when there is a network again, the page open or not.
self.addEventListener("sync", (event) => {
  if (event.tag === "onemap-outbox") event.waitUntil(phone.send.run({ strict: true }));
});
