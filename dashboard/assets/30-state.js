// What is shown, kept in the address: going somewhere, coming back, starting from a link. One way in: onemap.go().
(function () {
  "use strict";
  const onemap = (window.onemap = window.onemap || {});
  const KINDS = ["parcel", "facility", "resource", "incident"];
  const SHOWN = ["choropleth", "rings", "parcels", "incidents", "facilities", "names", "roads", "ground", "buildings"];
  let count = 0;
  onemap.place = {};
  onemap.layers = {};
  onemap.opacity = 90;
  onemap.marks = []; // for the benchmark and the tests: what was asked when, shown when, painted when

  const every = () => [...Object.keys(onemap.switches), "rings"];

  function parse(search) {
    const asked = new URLSearchParams(search);
    const kind = KINDS.find((k) => asked.get(k)) || null;
    const layers = asked.has("layers") ? asked.get("layers").split(",") : SHOWN;
    onemap.layers = Object.fromEntries(every().map((name) => [name, layers.includes(name)]));
    const fade = Number(asked.get("fade"));
    onemap.opacity = fade >= 20 && fade <= 100 ? fade : 90;
    return { at: asked.get("at") || null, kind, key: kind ? asked.get(kind) : null, measure: asked.get("measure") || null };
  }

  function address() {
    const { at, kind, key, measure } = onemap.place;
    const asked = new URLSearchParams();
    if (at) asked.set("at", at);
    if (kind && key) asked.set(kind, key);
    if (measure) asked.set("measure", measure);
    const shown = every().filter((name) => onemap.layers[name]);
    if (shown.slice().sort().join() !== SHOWN.slice().sort().join()) asked.set("layers", shown.join(","));
    if (onemap.opacity !== 90) asked.set("fade", onemap.opacity);
    if (onemap.config.language !== "zh") asked.set("lang", onemap.config.language);
    const text = asked.toString().replaceAll("%2C", ",");
    return location.pathname + (text ? "?" + text : "");
  }
  onemap.address = address;

  function ask() {
    const mark = { seq: ++count, at: onemap.place.at, asked: performance.now(), shown: null, painted: null };
    onemap.marks.push(mark);
    if (onemap.marks.length > 200) onemap.marks.shift();
    document.documentElement.toggleAttribute("data-asking", true);
    return { ...onemap.place, seq: count };
  }

  // A child or an ancestor: the map may start before the server has answered.
  function nearby(scene, code) {
    if (scene.children[code]) return { bounds: scene.children[code].bounds, level: scene.level + 1 };
    return (scene.path || []).find((step) => step.code === code && step.bounds);
  }

  // Go somewhere: {at}, {kind, key}, {measure}. The address follows, the server is asked, the map starts at once.
  onemap.go = function (patch) {
    const moves = "at" in patch && patch.at !== onemap.place.at;
    const place = { ...onemap.place, ...patch };
    if (moves && !("key" in patch)) place.kind = place.key = null;
    if (!moves && place.key === onemap.place.key && place.kind === onemap.place.kind && place.measure === onemap.place.measure) return;
    onemap.place = place;
    history.pushState(null, "", address());
    const scene = onemap.map.scene;
    onemap.flown = null;
    const known = moves && !place.key && scene && scene.children && nearby(scene, place.at);
    if (known) {
      onemap.flyTo(known.bounds, known.level);
      onemap.flown = place.at + "/";
    }
    dash_clientside.set_props("place", { data: ask() });
  };

  // After a fault: ask again for what is shown.
  onemap.refresh = function () {
    dash_clientside.set_props("place", { data: ask() });
    const gl = onemap.map.gl;
    if (gl && onemap.map.ready) for (const id of Object.keys(onemap.style(onemap.map.catalogue, onemap.config).sources)) {
      const source = gl.getSource(id);
      if (source && source.type === "vector") source.setTiles(source.tiles);
    }
  };

  onemap.up = function () {
    const scene = onemap.map.scene;
    if (onemap.place.key) return onemap.go({ kind: null, key: null });
    const path = (scene && scene.path) || [];
    if (path.length > 1) onemap.go({ at: path[path.length - 2].code });
  };
  onemap.home = function () {
    const scene = onemap.map.scene;
    const county = scene && scene.path && scene.path[0].code;
    if (county && onemap.place.at === county && !onemap.place.key) return onemap.flyTo(scene.bounds, 1);
    onemap.go({ at: county || null, kind: null, key: null });
  };
  onemap.setLayer = function (name, shown) {
    if (onemap.layers[name] === shown) return;
    onemap.layers[name] = shown;
    history.replaceState(null, "", address());
    onemap.applyLayers();
  };
  onemap.setOpacity = function (percent) {
    if (onemap.opacity === percent) return;
    onemap.opacity = percent;
    history.replaceState(null, "", address());
    onemap.applyLayers();
  };

  addEventListener("popstate", () => {
    onemap.place = parse(location.search);
    onemap.flown = null;
    onemap.applyLayers();
    onemap.syncLayers();
    dash_clientside.set_props("place", { data: ask() });
  });

  onemap.waiting = () => {
    const mark = onemap.marks[onemap.marks.length - 1];
    return !onemap.map.scene || Boolean(mark && mark.shown === null);
  };

  // The picture is complete when the last thing asked for is on screen, the flight is over and no tile is missing.
  onemap.painted = function () {
    const mark = onemap.marks[onemap.marks.length - 1];
    if (!mark || mark.shown === null || mark.painted !== null) return;
    if (onemap.map.held || onemap.map.flying || !onemap.map.settled) return;
    mark.painted = performance.now();
    document.documentElement.toggleAttribute("data-asking", false);
  };

  // At once, before the engine asks which layers are on.
  onemap.place = parse(location.search);

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.onemap = {
    start() {
      onemap.makeSearch();
      onemap.syncLayers();
      return ask();
    },
    show(scene) {
      if (!scene) return window.dash_clientside.no_update;
      if (scene.away) {
        onemap.trouble("store");
        return window.dash_clientside.no_update;
      }
      const mark = onemap.marks[onemap.marks.length - 1];
      if (mark && scene.seq !== mark.seq) return window.dash_clientside.no_update; // an older answer
      if (scene.title) document.title = scene.title;
      if (scene.aria) document.getElementById("stage").setAttribute("aria-label", scene.aria);
      if (scene.thing && scene.thing.key !== onemap.place.key) {
        // a parcel clicked on the map is known by its number; the address carries its code
        onemap.place.key = scene.thing.key;
        history.replaceState(null, "", address());
      }
      document.getElementById("page").dataset.level = scene.level || "";
      document.getElementById("page").toggleAttribute("data-card", Boolean(scene.thing));
      onemap.apply(scene);
      requestAnimationFrame(() => {
        if (mark) mark.shown = performance.now();
        document.documentElement.setAttribute("data-seq", scene.seq);
        const crumbs = document.getElementById("crumbs");
        crumbs.scrollLeft = crumbs.scrollWidth; // on a phone the line is too short: where one is, not where one came from
        const gl = onemap.map.gl;
        if (gl && onemap.map.ready) gl.triggerRepaint(); // "idle" follows, even where nothing changed
      });
      return "";
    },
    layer(...values) {
      const contexts = window.dash_clientside.callback_context.inputs_list[0];
      contexts.forEach((c) => onemap.setLayer(c.id.name, Boolean(c.value)));
      return window.dash_clientside.no_update;
    },
    opacity(percent) {
      if (typeof percent === "number") onemap.setOpacity(percent);
      return window.dash_clientside.no_update;
    },
  };
})();
