// The card's small map, photos enlarged, one personal field shown for a while; and the map inputs of a form.
(function () {
  "use strict";
  const desk = onemap.desk;
  const say = desk.say;
  const el = desk.el;
  const $ = (id) => document.getElementById(id);
  const COLORS = { breached: "#C5281C", at_risk: "#E2761B", on_track: "#0B6F63" };
  // Of the big map's style: the ground and its names, none of the figures.
  const BASE = /^(paper|county|ground-far|settlement|water|water-line|building|track|road|road-case|trunk|trunk-case|grid-line|village-line|township-line|county-line|road-name|water-name)$/;
  onemap.layers = onemap.layers || {};
  let catalogue = null;
  const layers = () => (catalogue = catalogue || fetch("/tiles/layers.json").then((r) => (r.ok ? r.json() : Promise.reject(new Error(r.status)))));

  // ---- maps

  const circle = ([lon, lat], metres) => {
    const ring = [], k = Math.cos((lat * Math.PI) / 180);
    for (let i = 0; i <= 64; i++) ring.push([lon + (metres / (111320 * k)) * Math.cos((i * Math.PI) / 32), lat + (metres / 110574) * Math.sin((i * Math.PI) / 32)]);
    return { type: "Polygon", coordinates: [ring] };
  };
  const corners = (geometry) => {
    const box = [180, 90, -180, -90];
    const walk = (c) => (typeof c[0] === "number" ? ((box[0] = Math.min(box[0], c[0])), (box[1] = Math.min(box[1], c[1])), (box[2] = Math.max(box[2], c[0])), (box[3] = Math.max(box[3], c[1]))) : c.forEach(walk));
    walk(geometry.coordinates);
    return box;
  };
  const feature = (geometry, role) => ({ type: "Feature", geometry, properties: { role } });

  // One small map in a box; null where the browser cannot draw one.
  async function mapIn(box, { center, zoom = 14.5, bounds, features = [] }) {
    let list;
    try {
      list = await layers();
    } catch (error) {
      list = { layers: [] };
    }
    if (!box.isConnected) return null;
    const style = onemap.style(list, onemap.config);
    const used = style.layers.filter((l) => BASE.test(l.id));
    const sources = Object.fromEntries([...new Set(used.map((l) => l.source).filter(Boolean))].map((id) => [id, style.sources[id]]));
    sources.here = { type: "geojson", data: { type: "FeatureCollection", features } };
    const role = (name) => ["==", ["get", "role"], name];
    const drawn = [
      { id: "accuracy", type: "fill", source: "here", filter: role("accuracy"), paint: { "fill-color": "#14508C", "fill-opacity": 0.1 } },
      { id: "accuracy-line", type: "line", source: "here", filter: role("accuracy"), paint: { "line-color": "#14508C", "line-width": 1, "line-dasharray": [3, 2] } },
      { id: "extent-fill", type: "fill", source: "here", filter: ["all", role("extent"), ["==", ["geometry-type"], "Polygon"]], paint: { "fill-color": "#14508C", "fill-opacity": 0.14 } },
      { id: "extent-case", type: "line", source: "here", filter: role("extent"), paint: { "line-color": "#FFFFFF", "line-width": 5 } },
      { id: "extent", type: "line", source: "here", filter: role("extent"), paint: { "line-color": "#14508C", "line-width": 2.4 } },
      { id: "vertex", type: "circle", source: "here", filter: role("vertex"), paint: { "circle-radius": 4, "circle-color": "#FFFFFF", "circle-stroke-color": "#14508C", "circle-stroke-width": 2 } },
    ];
    try {
      const map = new maplibregl.Map({
        container: box, style: { ...style, sources, layers: [...used, ...drawn] }, center, zoom, bounds, fitBoundsOptions: { padding: 36, maxZoom: 16 }, attributionControl: false,
        locale: { "NavigationControl.ZoomIn": onemap.words.zoom_in, "NavigationControl.ZoomOut": onemap.words.zoom_out, "Map.Title": say("map") },
        localIdeographFontFamily: "'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif", dragRotate: false, pitchWithRotate: false, maxZoom: 18, minZoom: 7, cooperativeGestures: false,
      });
      map.touchZoomRotate.disableRotation();
      map.on("styleimagemissing", ({ id }) => {
        const picture = onemap.glyph(id);
        if (picture && !map.hasImage(id)) map.addImage(id, picture, { pixelRatio: onemap.glyphRatio });
      });
      map.addControl(new maplibregl.ScaleControl({ maxWidth: 90, unit: "metric" }), "bottom-left");
      map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
      if (onemap.watchTiles) onemap.watchTiles(map);
      new ResizeObserver(() => box.isConnected && map.resize()).observe(box);
      return map;
    } catch (error) {
      box.replaceChildren(el("p", { className: "muted", textContent: say("map_off") }));
      return null;
    }
  }

  const pin = (standing) => el("span", { className: "map-pin", style: `--pin:${COLORS[standing] || "#4B5854"}` });
  let placed = null;
  desk.drawPlace = async function (card) {
    if (placed) {
      placed.remove();
      placed = null;
    }
    const box = $("desk-map");
    if (!box || (card.lon === null && !card.extent)) return;
    const features = [], at = card.lon === null || card.lon === undefined ? null : [card.lon, card.lat];
    if (at && card.accuracy_m) features.push(feature(circle(at, card.accuracy_m), "accuracy"));
    if (card.extent) features.push(feature(card.extent, "extent"));
    const wide = card.extent ? corners(card.extent) : at && card.accuracy_m > 150 ? corners(circle(at, card.accuracy_m)) : null;
    const map = await mapIn(box, { features, ...(wide ? { bounds: wide } : { center: at }) });
    if (!map) return;
    placed = map;
    if (at) new maplibregl.Marker({ element: pin(card.standing), anchor: "bottom" }).setLngLat(at).addTo(map);
    map.on("load", () => document.documentElement.setAttribute("data-placed", card.no));
  };

  const fallback = () => ({ bounds: desk.bounds || [114.7, 36.9, 115.4, 37.5] });

  // A point: click, drag, or type it.
  desk.pointBox = function (d) {
    const frame = el("div", { className: "field-map", dataset: { place: "point" } });
    const box = el("div", { className: "field-map-box" });
    const said = el("small", { className: "muted", textContent: say("pick_point") });
    const typed = el("input", { type: "text", className: "input", placeholder: say("typed_lonlat"), maxLength: 40, aria: { label: d.label } });
    const clear = el("button", { type: "button", className: "text-button", textContent: say("clear_point"), hidden: true });
    let map = null, marker = null;
    const put = (lonlat) => {
      frame.value_ = lonlat && lonlat.map((v) => Number(v.toFixed(6)));
      clear.hidden = !lonlat;
      said.textContent = lonlat ? say("lonlat", { lon: frame.value_[0], lat: frame.value_[1] }) : say("pick_point");
      if (marker && !lonlat) marker = void marker.remove();
      if (lonlat && map && !marker) {
        marker = new maplibregl.Marker({ element: pin("none"), anchor: "bottom", draggable: true }).setLngLat(lonlat).addTo(map);
        marker.on("dragend", () => put([marker.getLngLat().lng, marker.getLngLat().lat]));
      } else if (lonlat && marker) marker.setLngLat(lonlat);
      frame.dispatchEvent(new Event("input", { bubbles: true }));
    };
    clear.addEventListener("click", () => ((typed.value = ""), put(null)));
    typed.addEventListener("change", () => {
      const two = typed.value.split(/[,，\s]+/).filter(Boolean).map(Number);
      if (!typed.value.trim()) return put(null);
      if (two.length !== 2 || two.some(Number.isNaN) || Math.abs(two[0]) > 180 || Math.abs(two[1]) > 90) return (said.textContent = say("not_a_place"));
      put(two);
      if (map) map.easeTo({ center: two, zoom: 14 });
    });
    requestAnimationFrame(async () => {
      map = await mapIn(box, fallback());
      if (map) map.on("click", (event) => put([event.lngLat.lng, event.lngLat.lat]));
    });
    frame.append(box, el("div", { className: "field-map-foot" }, said, clear, typed));
    return [frame];
  };

  // A line or an area, point by point.
  desk.extentBox = function () {
    const frame = el("div", { className: "field-map", dataset: { place: "extent" } });
    const box = el("div", { className: "field-map-box" });
    const said = el("small", { className: "muted", textContent: say("draw") });
    let points = [], area = false, map = null;
    const shape = () => (area && points.length > 2 ? { type: "Polygon", coordinates: [[...points, points[0]]] } : points.length > 1 ? { type: "LineString", coordinates: points } : null);
    const draw = () => {
      frame.value_ = shape() && (!area || points.length > 2) ? shape() : null;
      said.textContent = points.length ? say("draw_points", { n: points.length }) : say("draw");
      const features = points.map((p) => feature({ type: "Point", coordinates: p }, "vertex"));
      if (shape()) features.unshift(feature(shape(), "extent"));
      if (map && map.getSource("here")) map.getSource("here").setData({ type: "FeatureCollection", features });
      frame.dispatchEvent(new Event("input", { bubbles: true }));
    };
    const kind = (name, is) => el("button", { type: "button", className: "choice-button", textContent: say(name), aria: { pressed: String(!is) }, onclick: (event) => {
      area = is;
      for (const b of event.target.parentElement.querySelectorAll(".choice-button")) b.setAttribute("aria-pressed", String(b === event.target));
      draw();
    } });
    const act = (name, does) => el("button", { type: "button", className: "text-button", textContent: say(name), onclick: () => (does(), draw()) });
    requestAnimationFrame(async () => {
      map = await mapIn(box, fallback());
      if (map) map.on("click", (event) => (points.push([event.lngLat.lng, event.lngLat.lat].map((v) => Number(v.toFixed(6)))), draw()));
    });
    frame.append(box, el("div", { className: "field-map-foot" }, kind("draw_line", false), kind("draw_area", true), said, act("draw_undo", () => points.pop()), act("draw_clear", () => (points = []))));
    return [frame];
  };

  // ---- photos enlarged: arrows turn, Esc closes

  let shown = [], now = 0;
  desk.lightbox = function (button) {
    const holder = $("desk-lightbox");
    if (!button) {
      holder.hidden = true;
      return holder.replaceChildren();
    }
    shown = [...document.querySelectorAll(".case-photos [data-photo], .compare [data-photo]")];
    now = Math.max(0, shown.findIndex((one) => one.dataset.photo === button.dataset.photo));
    if (!shown.length) shown = [button];
    holder.hidden = false;
    turnTo();
  };
  desk.turn = (step) => ((now = (now + step + shown.length) % shown.length), turnTo());
  function turnTo() {
    const { photo, caption } = shown[now].dataset;
    const button = (words, act, look) => el("button", { className: "icon-button " + look, title: say(words), aria: { label: say(words) }, onclick: act }, el("i", { className: "icon icon-" + look }));
    $("desk-lightbox").replaceChildren(
      el("img", { src: "/api/photos/" + encodeURIComponent(photo), alt: caption || "" }),
      el("p", { textContent: [caption, shown.length > 1 ? `${now + 1} / ${shown.length}` : ""].filter(Boolean).join(" · ") }),
      button("close", () => desk.lightbox(null), "close"),
      ...(shown.length > 1 ? [button("before", () => desk.turn(-1), "chevron-left"), button("after", () => desk.turn(1), "chevron-right")] : []),
    );
  }
  document.addEventListener("click", (event) => event.target.id === "desk-lightbox" && desk.lightbox(null));

  // ---- one personal field, with a reason, for a while

  desk.reveal = function (button) {
    const holder = button.closest(".personal"), masked = holder.querySelector(".masked");
    if (holder.querySelector("form")) return;
    const reason = el("input", { type: "text", className: "input", placeholder: say("reason"), maxLength: 200, required: true, aria: { label: say("reason") } });
    const said = el("small", { className: "field-fault", aria: { role: "alert" } });
    const form = el("form", { className: "reveal" }, reason, el("button", { className: "control control-main", textContent: say("reveal") }), said);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const body = JSON.stringify({ kind: "reporter", id: Number(button.dataset.id), field: button.dataset.reveal, reason: reason.value.trim() });
      let answer, got;
      try {
        answer = await fetch("/api/reveal", { method: "POST", headers: { "Content-Type": "application/json" }, body });
        got = await answer.json();
      } catch (error) {
        return (said.textContent = say("away"));
      }
      if (!answer.ok) return (said.textContent = [got.message, got.next_step].filter(Boolean).join(" "));
      const before = masked.textContent;
      masked.textContent = got.value;
      form.remove();
      let left = Number(got.seconds) || 30;
      const tick = () => {
        if (!masked.isConnected) return clearInterval(timer);
        button.textContent = left > 0 ? say("hidden_in", { n: left-- }) : say("reveal");
        button.disabled = left >= 0 && button.textContent !== say("reveal");
        if (button.textContent === say("reveal")) {
          masked.textContent = before;
          clearInterval(timer);
        }
      };
      const timer = setInterval(tick, 1000);
      tick();
    });
    holder.append(form);
    reason.focus();
  };
})();
