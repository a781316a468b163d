// The map: MapLibre inside Leaflet, made once. It draws scenes and says what was pointed at; it knows nothing of panels.
(function () {
  "use strict";
  const onemap = (window.onemap = window.onemap || {});
  const LOWEST = { 1: 4, 2: 11, 3: 14, 4: 15 }; // Leaflet zooms from which a level's children are in the tiles
  const HIGHEST = { 1: 13, 2: 14.5, 3: 17, 4: 18 };
  const FLY_S = 0.6;
  const state = Object.assign((onemap.map = onemap.map || {}), { leaflet: null, layer: null, gl: null, ready: false, scene: null, hover: null, settled: true, catalogue: null });

  const calm = () => document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches;
  // Without it there is no map at all: asked for until it comes. A store that was away may answer once more with 503, before
  // the page has anywhere to say so.
  const catalogue = (async () => {
    for (let failures = 0; ; failures++) {
      const answer = await fetch("/tiles/layers.json").catch(() => null);
      if (answer && answer.ok) return answer.json();
      if (answer && answer.status < 500) throw new Error(answer.status);
      if (failures > 0) onemap.trouble("away");
      await new Promise((again) => setTimeout(again, 1000));
    }
  })();
  catalogue.catch(() => onemap.trouble("away"));

  const waiting = setInterval(() => {
    // Leaflet comes with dash-leaflet's bundle; the hook must be there before the first map is made.
    if (!window.L || !L.Map) return;
    clearInterval(waiting);
    if (!hooked) hook();
  }, 1);
  let hooked = false;
  function hook() {
    hooked = true;
    L.Map.addInitHook(function () {
      state.leaflet = this;
      adopt(this);
    });
  }
  if (window.L && L.Map) hook();

  function adopt(map) {
    const pane = map.createPane("gl");
    pane.style.zIndex = 250;
    pane.style.pointerEvents = "none";
    new ResizeObserver(() => map.invalidateSize({ animate: false, pan: false })).observe(map.getContainer());
    map.on("click", (e) => onemap.pick(e.latlng));
    map.on("mousemove", onemap.throttled((e) => onemap.point(e.latlng), 40));
    map.on("mouseout", () => onemap.hover(null));
    map.on("zoomend moveend", () => {
      onemap.scale(map);
      mode();
    });
    map.on("movestart zoomstart", () => (state.settled = false));
    map.on("moveend", () => {
      state.settled = true;
      if (state.gl && state.ready) state.gl.triggerRepaint(); // so that "idle" comes after the flight, never only before
    });
    // The engine starts while the server is asked; its first picture waits for the first scene: drawn once, at the
    // right place, in the right colours.
    state.held = true;
    Promise.all([catalogue, fonts()]).then(([list]) => {
      state.catalogue = list;
      draw();
    });
  }

  // Digits and Latin letters are drawn once into the glyph atlas: with the right typeface or not at all.
  function fonts() {
    const wait = new Promise((done) => setTimeout(done, 800));
    return Promise.race([Promise.all(["400", "700"].map((w) => document.fonts.load(`${w} 24px "Inter Variable"`))), wait]);
  }

  function draw() {
    const map = state.leaflet;
    try {
      state.layer = L.maplibreGL({
        pane: "gl", style: onemap.style(state.catalogue, onemap.config), interactive: false, padding: 0.06, fadeDuration: 0,
        localIdeographFontFamily: '"Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif',
        // the last picture is kept: a flight moves it while the next one is drawn
        canvasContextAttributes: { preserveDrawingBuffer: true, antialias: false },
        pixelRatio: devicePixelRatio * (Number.parseFloat(getComputedStyle(document.documentElement).zoom) || 1),
        attributionControl: false, validateStyle: false, maxTileCacheSize: 120, collectResourceTiming: false, crossSourceCollisions: true,
      });
      state.layer.addTo(map);
    } catch (error) {
      unavailable();
      return;
    }
    const gl = (state.gl = state.layer.getMaplibreMap());
    onemap.watchTiles(gl);
    gl.on("styleimagemissing", ({ id }) => picture(id));
    gl.on("style.load", () => {
      state.ready = true;
      ["hatch", "overdue", "open", "facility"].forEach(picture);
      applyLayers();
      if (state.scene) paint(state.scene);
    });
    gate(gl);
    const about = gl.painter.context.gl.getExtension("WEBGL_debug_renderer_info");
    const renderer = about ? gl.painter.context.gl.getParameter(about.UNMASKED_RENDERER_WEBGL) : "";
    state.weak = /swiftshader|llvmpipe|software|basic render/i.test(renderer);
    gl.on("idle", idle);
    gl.on("dataloading", () => document.documentElement.toggleAttribute("data-tiles", true));
    gl.on("idle", () => document.documentElement.toggleAttribute("data-tiles", false));
    gl.on("error", ({ error }) => {
      // One tile that does not come is tried again by moving; a server that is away is said once.
      if (error && (error.status >= 500 || error.message === "Failed to fetch")) onemap.trouble("away");
    });
    // A lost context can leave MapLibre without its style: take it away and make it anew.
    gl.getCanvas().addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      setTimeout(rebuild, 300);
    });
  }

  function picture(id) {
    const image = !state.gl.hasImage(id) && onemap.glyph(id);
    if (image) state.gl.addImage(id, image, { pixelRatio: onemap.glyphRatio });
  }

  function rebuild() {
    state.ready = false;
    state.held = false;
    try {
      state.leaflet.removeLayer(state.layer);
    } catch (error) {
      // the engine may fail to clean up what the graphics driver already took away
      state.layer._container && state.layer._container.remove();
    }
    state.rebuilt = (state.rebuilt || 0) + 1;
    draw();
  }

  function unavailable() {
    const note = Object.assign(document.createElement("div"), { className: "float map-note", textContent: onemap.words.nowebgl });
    document.getElementById("stage").append(note);
    onemap.painted();
  }

  // ---- scenes

  onemap.apply = function (scene) {
    const before = state.scene;
    state.scene = scene;
    if (state.leaflet && onemap.flown !== scene.at + "/" + (scene.thing ? scene.thing.key : "")) fly(scene, before);
    onemap.flown = null;
    if (state.ready) {
      hold();
      paint(scene);
    }
    mode();
  };

  function frame(map) {
    const phone = matchMedia("(max-width: 640px)").matches;
    const months = document.getElementById("months");
    const foot = months && months.offsetHeight ? months.offsetHeight + 28 : 48;
    return phone ? { tl: [16, 72], br: [16, 80 + sheet()] } : { tl: [28, 60], br: [28, foot] };
  }
  const sheet = () => {
    const open = document.getElementById("page").dataset.sheet !== "none";
    return open && matchMedia("(max-width: 640px)").matches ? window.innerHeight * 0.42 : 0;
  };

  // Where to look to see `bounds` (west, south, east, north), seen by people who sit behind panels and cards.
  function view(bounds, level) {
    const map = state.leaflet;
    const box = L.latLngBounds([bounds[1], bounds[0]], [bounds[3], bounds[2]]);
    const { tl, br } = frame(map);
    const pad = L.point(tl).add(br);
    const fit = map.getBoundsZoom(box, false, pad);
    const zoom = Math.max(LOWEST[level] ?? 4, Math.min(HIGHEST[level] ?? 18, fit));
    const middle = map.project(box.getCenter(), zoom).add(L.point(br).subtract(tl).divideBy(2));
    return { center: map.unproject(middle, zoom), zoom };
  }

  function extent(geometry) {
    let [w, s, e, n] = [180, 90, -180, -90];
    (function walk(c) {
      if (typeof c[0] === "number") {
        w = Math.min(w, c[0]); e = Math.max(e, c[0]); s = Math.min(s, c[1]); n = Math.max(n, c[1]);
      } else c.forEach(walk);
    })(geometry.coordinates);
    return [w, s, e, n];
  }

  function fly(scene, before) {
    const thing = scene.thing && scene.thing.geometry;
    const bounds = thing ? extent(thing) : scene.bounds;
    const same = before && before.at === scene.at && (before.thing || {}).key === (scene.thing || {}).key;
    if (!bounds || same) return;
    // a card that was closed leaves the map where it is
    if (!thing && before && before.at === scene.at) return;
    const target = view(bounds, thing ? 4 : scene.level);
    if (thing && before && before.at === scene.at) {
      // The thing was clicked on the map: it is in sight, nothing moves. Found by search or link: go there.
      const [w, s, e, n] = bounds;
      const seen = state.leaflet.getBounds().contains([[s, w], [n, e]]);
      if (seen && state.leaflet.getZoom() >= 14.5) return;
    }
    if (thing) target.zoom = Math.min(target.zoom, 17);
    move(target, !before);
  }

  // ---- flights
  // The map is at its goal at once, and what was on screen is moved there meanwhile as a picture. Until every tile and
  // the scene have come, MapLibre does all its work but the drawing: a software GPU needs 0.1-0.2 s a frame, and nine
  // frames of a half-loaded view would keep tiles, panels and the person waiting.
  const LONGEST_HOLD_MS = 900; // on a slow network what has come is shown then, and the rest as it comes

  function gate(gl) {
    const render = gl.painter.render.bind(gl.painter);
    gl.painter.render = (style, ...rest) => {
      // The very first frame always runs: it introduces the style to the painter, without which tiles lose their content.
      if (!state.held || gl.painter.style !== style) render(style, ...rest);
    };
  }

  function hold() {
    state.held = true;
    clearTimeout(state.holdTimer);
    state.holdTimer = setTimeout(release, LONGEST_HOLD_MS);
  }

  function release() {
    clearTimeout(state.holdTimer);
    if (!state.held) return;
    state.held = false;
    state.drawn = false;
    if (state.gl) state.gl.triggerRepaint();
  }

  // MapLibre has nothing left to do: let it draw, then take the picture of the flight away.
  function idle() {
    if (state.held) {
      if (!onemap.waiting()) release();
      return;
    }
    const picture = document.querySelector(".flight:not(.landing)");
    if (picture) land(picture);
    onemap.painted();
  }

  function land(picture) {
    picture.classList.add("landing");
    const fade = picture.animate([{ opacity: 1 }, { opacity: 0 }], { duration: 90, fill: "forwards" });
    fade.onfinish = fade.oncancel = () => {
      picture.remove();
      state.flying = document.querySelector(".flight") !== null;
      onemap.painted();
    };
  }

  function move({ center, zoom }, atOnce) {
    const map = state.leaflet;
    if (atOnce || calm() || !state.ready) {
      if (state.ready) hold();
      return map.setView(center, zoom, { animate: false });
    }
    const size = map.getSize();
    const canvas = state.gl.getCanvas();
    const box = canvas.getBoundingClientRect();
    const outer = map.getContainer().getBoundingClientRect();
    const shot = Object.assign(document.createElement("canvas"), { width: size.x, height: size.y, className: "flight" });
    shot.getContext("2d").drawImage(canvas, box.left - outer.left, box.top - outer.top, box.width, box.height);
    const scale = 2 ** (zoom - map.getZoom());
    const goal = map.latLngToContainerPoint(center);
    const end = `translate(${size.x / 2 - scale * goal.x}px, ${size.y / 2 - scale * goal.y}px) scale(${scale})`;
    document.querySelectorAll(".flight").forEach((old) => old.remove());
    map.getContainer().after(shot);
    state.flying = true;
    hold();
    map.setView(center, zoom, { animate: false });
    shot.animate([{ transform: "none" }, { transform: end }], {
      duration: 1000 * FLY_S, fill: "forwards", easing: state.weak ? "steps(6, jump-start)" : "cubic-bezier(.3, 0, .2, 1)",
    });
  }
  onemap.flyTo = (bounds, level) => bounds && state.leaflet && move(view(bounds, level), false);

  const inside = (codes) => ["in", ["get", "code"], ["literal", codes]];

  function paint(scene) {
    const gl = state.gl;
    const codes = Object.keys(scene.children || {});
    const here = scene.at || "";
    const level = scene.level || 1;
    const kids = inside(codes);
    for (const id of ["child-hit", "child-line", "hover-line", "hover-casing", "child-fill"]) filter(id, kids);
    const near = level === 3; // grids lie on the pale fields: white would not show
    paintProperty("child-line", "line-color", near ? "#3F4B46" : "#FFFFFF");
    paintProperty("child-line", "line-dasharray", near ? [3, 2] : [1]);
    paintProperty("child-line", "line-width", near ? 1.2 : ["interpolate", ["linear"], ["zoom"], 9, 1.4, 14, 1.2]);
    const unknown = codes.filter((c) => scene.children[c].class === null);
    filter("child-unknown", inside(unknown));
    const fill = ["match", ["get", "code"]];
    const groups = {};
    for (const c of codes) if (scene.children[c].class !== null) (groups[scene.children[c].class] ||= []).push(c);
    for (const [n, members] of Object.entries(groups)) fill.push(members, scene.colors[n]);
    fill.push("rgba(0,0,0,0)");
    paintProperty("child-fill", "fill-color", fill.length > 3 ? fill : "rgba(0,0,0,0)");
    // what lies beside: same level, not this one; it is veiled, and a click goes there
    const beside = ["all", ["==", ["get", "level"], level], ["!=", ["get", "code"], here]];
    filter("beside-hit", beside);
    filter("beside-veil", beside);
    filter("here-line", level === 1 ? inside([]) : inside([here]));
    filter("village-line", level >= 3 ? ["==", ["get", "level"], 3] : ["all", ["==", ["get", "level"], 3], ["!", kids]]);
    filter("name-grid", level === 4 ? inside([here]) : inside([]));
    filter("name-beside", ["all", ["==", ["get", "level"], level], ["!=", ["get", "code"], here]]);
    gl.getSource("kids").setData({ type: "FeatureCollection", features: codes.flatMap((c) => kid(c, scene.children[c], level === 1)) });
    const thing = scene.thing && scene.thing.geometry;
    gl.getSource("thing").setData({ type: "FeatureCollection", features: thing ? [{ type: "Feature", properties: {}, geometry: thing }] : [] });
    fade();
    onemap.hover(null);
  }

  function kid(code, child, bold) {
    if (!child.seat) return [];
    const image = child.open ? `ring-${child.open}-${child.overdue}` : "";
    if (image) picture(image); // before it is missed: a missing picture lays the tile out a second time
    return [{ type: "Feature", properties: { code, name: child.name, weight: child.weight, image, bold }, geometry: { type: "Point", coordinates: child.seat } }];
  }
  const has = (id) => state.gl.getLayer(id);
  const filter = (id, expression) => has(id) && state.gl.setFilter(id, expression);
  const paintProperty = (id, name, value) => has(id) && state.gl.setPaintProperty(id, name, value);

  // Near the ground, parcels take over from the choropleth.
  function fade() {
    const full = (onemap.opacity ?? 90) / 100;
    const parcels = onemap.layers.parcels;
    const opacity = parcels ? ["interpolate", ["linear"], ["zoom"], 13.6, full, 14, 0] : full;
    paintProperty("child-fill", "fill-opacity", opacity);
    paintProperty("child-unknown", "fill-opacity", opacity);
    paintProperty("beside-veil", "fill-opacity", parcels ? ["interpolate", ["linear"], ["zoom"], 13.6, 0.62, 14, 0.45] : 0.62);
  }

  function mode() {
    const page = document.getElementById("page");
    if (!page || !state.leaflet) return;
    const near = state.leaflet.getZoom() - 1 >= 13.8 && onemap.layers.parcels;
    const leaf = state.scene && state.scene.level === 4;
    page.dataset.mode = near || leaf ? "land" : "classes";
  }
  onemap.mode = mode;

  function applyLayers() {
    if (!state.ready) return;
    for (const [name, ids] of Object.entries(onemap.switches))
      for (const id of ids) if (has(id)) state.gl.setLayoutProperty(id, "visibility", onemap.layers[name] ? "visible" : "none");
    for (const [name, value] of Object.entries(onemap.kidLayout())) state.gl.setLayoutProperty("kids", name, value);
    const page = document.getElementById("page");
    for (const name of ["pbf", "high_standard", "rings"]) page.toggleAttribute(`data-${name.replace("_", "-")}`, onemap.layers[name]);
    fade();
    mode();
    document.getElementById("attribution").textContent = onemap.layers.tianditu ? onemap.words.tianditu : onemap.words.attribution;
  }
  onemap.applyLayers = applyLayers;
})();
