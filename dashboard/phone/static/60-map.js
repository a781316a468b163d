// The small map: our own ground, roads and names, a pin that moves. Without a graphics driver or tiles: a plain grid, the pin moves all the same.
(function () {
  "use strict";
  const { h, w } = phone;
  const TEXT = ["Inter Variable", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei"];
  const EQUATOR_M = 40075016.686;
  let library = null,
    catalogue = null;

  const file = (tag, name) =>
    new Promise((done, fail) => {
      const address = `/vendor/${name}?v=${phone.config.vendor}`;
      const element = tag === "script" ? h("script", { src: address }) : h("link", { rel: "stylesheet", href: address });
      element.onload = done;
      element.onerror = () => {
        element.remove();
        fail(new Error(name));
      };
      document.head.append(element);
    });
  function engine() {
    library = library || Promise.all([file("link", "maplibre-gl.css"), file("script", "maplibre-gl.js")]).then(() => window.maplibregl);
    library.catch(() => {
      library = null;
    });
    return library;
  }
  function layers() {
    catalogue = catalogue || fetch("/m/tiles/layers.json").then((r) => (r.ok ? r.json() : Promise.reject(new Error(r.status))));
    catalogue.catch(() => {
      catalogue = null;
    });
    return catalogue;
  }

  const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  const cut = (mark, name) => [
    "let",
    "i",
    ["index-of", mark, name],
    ["case", [">", ["var", "i"], 0], ["slice", name, 0, ["var", "i"]], name],
  ];
  const short = (name) => phone.config.committees.reduce((shorter, mark) => cut(mark, shorter), name);
  async function style() {
    const { layers: list } = await layers();
    const theme = dark() ? "dark" : "light";
    const sources = {},
      drawn = [];
    for (const layer of list) {
      sources[layer.id] = { type: "vector", tiles: [location.origin + layer.tiles], minzoom: layer.minzoom, maxzoom: layer.maxzoom };
      for (const one of layer.style[theme] || []) {
        const text =
          one.type === "symbol"
            ? {
                layout: {
                  ...one.layout,
                  "text-font": TEXT,
                  "text-field": short(["get", "name"]),
                  "text-size": one.id.endsWith("grid") ? 12 : 14,
                },
              }
            : {};
        drawn.push({ ...one, ...text });
      }
    }
    // Where the county's tiles are there, its land covers the squared paper.
    if (sources.divisions)
      drawn.unshift({
        id: "land",
        type: "fill",
        source: "divisions",
        "source-layer": "divisions",
        filter: ["==", ["get", "level"], 1],
        paint: { "fill-color": dark() ? "#131C1B" : "#E9EFE4", "fill-antialias": false },
      });
    return { version: 8, sources, layers: drawn, transition: { duration: 0, delay: 0 }, synthetic: list.some((one) => one.synthetic) };
  }
  const EMPTY = { type: "FeatureCollection", features: [] };
  const circle = ([lon, lat], metres) => ({
    type: "Feature",
    properties: {},
    geometry: {
      type: "Polygon",
      coordinates: [
        Array.from({ length: 65 }, (_, i) => {
          const a = (i / 64) * 2 * Math.PI;
          return [lon + (Math.cos(a) * metres) / (111320 * Math.cos((lat * Math.PI) / 180)), lat + (Math.sin(a) * metres) / 111320];
        }),
      ],
    },
  });
  const zoomFor = (metres) => Math.max(12.5, Math.min(16, 16 - Math.log2(Math.max(metres || 10, 12) / 12) * 0.9));

  phone.pinShape = () => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [k, v] of Object.entries({ viewBox: "0 0 32 40", width: 32, height: 40, "aria-hidden": "true" })) svg.setAttribute(k, v);
    for (const [d, cls] of [
      ["M16 38.500C10 29 3 22.500 3 14.500a13 13 0 0 1 26 0C29 22.500 22 29 16 38.500z", "pin-body"],
      ["M16 9.500a5 5 0 1 1 0 10 5 5 0 0 1 0-10z", "pin-eye"],
    ]) {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", d);
      path.setAttribute("class", cls);
      svg.append(path);
    }
    return svg;
  };

  // A map in `box`. Returns { pin(lonlat, accuracy), marks(list), open(bool), view(lonlat, zoom), fit(bounds), lonlat(), remove() }.
  // `onmove(lonlat)` when a person has moved the pin.
  phone.makeMap = function (box, { onmove = null, center, zoom = 15, onmark = null, interactive = false } = {}) {
    box.classList.add("map");
    const state = { lonlat: center, zoom, accuracy: null, gl: null, marker: null, marks: [], gone: false, open: interactive, bounds: null };
    const pad = plainPad(box, state, (lonlat) => {
      state.lonlat = lonlat;
      if (onmove) onmove(lonlat);
    });
    const start = Promise.all([engine(), style().catch(() => ({ version: 8, sources: {}, layers: [] }))])
      .then(([gl, look]) => {
        if (state.gone) return;
        const holder = h("div.map-gl");
        box.append(holder);
        let map;
        try {
          map = new gl.Map({
            container: holder,
            style: { version: 8, sources: look.sources, layers: look.layers, transition: look.transition },
            center: state.lonlat || center,
            zoom: state.zoom,
            minZoom: 7,
            maxZoom: 18,
            attributionControl: false,
            dragRotate: false,
            pitchWithRotate: false,
            touchPitch: false,
            fadeDuration: 0,
            interactive: true,
            maxTileCacheSize: 60,
            validateStyle: false,
            refreshExpiredTiles: false,
            localIdeographFontFamily: '"Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif',
            canvasContextAttributes: { antialias: false },
          });
        } catch (error) {
          holder.remove(); // no WebGL: the plain grid stays
          return;
        }
        map.touchZoomRotate.disableRotation();
        map.on("error", () => {}); // a tile that does not come leaves the grid visible
        state.gl = map;
        box.classList.add("has-gl");
        if (onmove || onmark) {
          map.addControl(new gl.ScaleControl({ maxWidth: 90, unit: "metric" }), "bottom-left");
          box.append(h("span.map-foot", null, w("map.foot"), look.synthetic ? ` · ${w("map.synthetic")}` : ""));
        }
        map.on("load", () => {
          map.addSource("accuracy", { type: "geojson", data: EMPTY });
          map.addLayer({
            id: "accuracy",
            type: "fill",
            source: "accuracy",
            paint: { "fill-color": dark() ? "#7CC4F0" : "#2E74C9", "fill-opacity": 0.18 },
          });
          map.addLayer({
            id: "accuracy-line",
            type: "line",
            source: "accuracy",
            paint: { "line-color": dark() ? "#7CC4F0" : "#2E74C9", "line-opacity": 0.5, "line-width": 1 },
          });
          state.ready = true;
          paint();
        });
        map.on("click", (event) => {
          if (state.open && onmove && state.marker) moved([event.lngLat.lng, event.lngLat.lat]);
        });
        map.getCanvas().addEventListener("webglcontextlost", () => {
          box.classList.remove("has-gl");
          end(map);
          holder.remove();
          state.gl = null;
          pad.draw();
        });
        ability();
        if (state.bounds) fit(state.bounds);
        paint();
      })
      .catch(() => {});

    function moved(lonlat) {
      state.lonlat = lonlat;
      state.accuracy = null;
      paint();
      if (onmove) onmove(lonlat);
    }
    function ability() {
      const map = state.gl;
      if (!map) return;
      for (const name of ["scrollZoom", "boxZoom", "dragPan", "keyboard", "doubleClickZoom", "touchZoomRotate"])
        map[name][state.open ? "enable" : "disable"]();
      map.touchZoomRotate.disableRotation();
      if (state.marker) state.marker.setDraggable(state.open && Boolean(onmove));
    }
    function paint() {
      pad.draw();
      const map = state.gl;
      if (!map) return;
      if (state.pinned && state.lonlat) {
        if (!state.marker) {
          const element = h(
            "button.pin",
            {
              type: "button",
              "aria-label": w("place.pin"),
              onkeydown: (event) => {
                const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
                if (!step || !state.open) return;
                event.preventDefault();
                event.stopPropagation();
                const at = map.project(state.lonlat);
                const to = map.unproject([at.x + step[0] * 6, at.y + step[1] * 6]);
                moved([to.lng, to.lat]);
              },
            },
            phone.pinShape(),
          );
          state.marker = new window.maplibregl.Marker({ element, anchor: "bottom" }).setLngLat(state.lonlat).addTo(map);
          state.marker.on("dragend", () => {
            const at = state.marker.getLngLat();
            moved([at.lng, at.lat]);
          });
          ability();
        }
        state.marker.setLngLat(state.lonlat);
        state.marker.getElement().tabIndex = state.open ? 0 : -1;
      }
      if (state.ready) map.getSource("accuracy").setData(state.lonlat && state.accuracy ? circle(state.lonlat, state.accuracy) : EMPTY);
      for (const mark of state.drawn || []) mark.remove();
      state.drawn = state.marks.map((one) => {
        const element = h(
          "button.map-mark",
          { type: "button", "aria-label": one.label, onclick: () => onmark && onmark(one) },
          phone.mark(one.standing, 22),
        );
        return new window.maplibregl.Marker({ element }).setLngLat(one.lonlat).addTo(map);
      });
    }
    function fit(bounds) {
      state.bounds = bounds;
      if (state.gl)
        state.gl.fitBounds(
          [
            [bounds[0], bounds[1]],
            [bounds[2], bounds[3]],
          ],
          { padding: 40, maxZoom: 16, duration: 0 },
        );
    }
    const resize = new ResizeObserver(() => {
      if (state.gl) {
        state.gl.resize();
        if (!state.open && state.lonlat && state.pinned) state.gl.setCenter(state.lonlat);
      }
      pad.draw();
    });
    resize.observe(box);
    pad.draw();
    return {
      ready: start,
      state,
      pin(lonlat, accuracy, { follow = true } = {}) {
        state.pinned = true;
        state.lonlat = lonlat;
        state.accuracy = accuracy;
        if (follow) {
          state.zoom = zoomFor(accuracy);
          if (state.gl) state.gl.jumpTo({ center: lonlat, zoom: state.zoom });
        }
        paint();
      },
      marks(list) {
        state.marks = list;
        paint();
      },
      open(yes) {
        state.open = yes;
        box.classList.toggle("map-open", yes);
        ability();
        paint();
        if (state.gl && state.lonlat && state.pinned) state.gl.jumpTo({ center: state.lonlat });
      },
      fit,
      remove() {
        state.gone = true;
        resize.disconnect();
        end(state.gl);
        box.replaceChildren();
      },
    };
  };

  function end(map) {
    try {
      if (map) map.remove();
    } catch (error) {
      /* taken away before it had begun, or by the graphics driver */
    }
  }

  // What is there when the map is not: squared paper of 50 m, the pin, and a finger that moves it.
  function plainPad(box, state, moved) {
    const pin = h("button.pin.pad-pin", { type: "button", "aria-label": w("place.pin") }, phone.pinShape());
    const pad = h("div.pad", null, pin, h("span.pad-scale", null, w("metres", { n: 50 })));
    box.append(pad);
    const perPixel = 50 / 40; // metres a pixel: a square is 40 px wide
    let drag = null,
      centre = null;
    const shift = (dx, dy) => {
      const [lon, lat] = state.lonlat;
      const east = 360 / (EQUATOR_M * Math.cos((lat * Math.PI) / 180)),
        north = 360 / EQUATOR_M;
      return [lon + dx * perPixel * east, lat - dy * perPixel * north];
    };
    function draw() {
      pad.hidden = Boolean(state.gl);
      if (!state.lonlat || !state.pinned) {
        pin.hidden = true;
        return;
      }
      pin.hidden = false;
      pin.tabIndex = state.open ? 0 : -1;
      if (!centre || !state.open) centre = state.lonlat;
      const lat = (centre[1] * Math.PI) / 180;
      const x = ((state.lonlat[0] - centre[0]) * EQUATOR_M * Math.cos(lat)) / 360 / perPixel,
        y = (-(state.lonlat[1] - centre[1]) * EQUATOR_M) / 360 / perPixel;
      pin.style.setProperty("transform", `translate(-50%, -100%) translate(${x}px, ${y}px)`);
    }
    pin.addEventListener("pointerdown", (event) => {
      if (state.open) {
        drag = [event.clientX, event.clientY];
        pin.setPointerCapture(event.pointerId);
        event.preventDefault();
      }
    });
    pin.addEventListener("pointermove", (event) => {
      if (!drag) return;
      moved(shift(event.clientX - drag[0], event.clientY - drag[1]));
      state.accuracy = null;
      drag = [event.clientX, event.clientY];
      draw();
    });
    pin.addEventListener("pointerup", () => {
      drag = null;
    });
    pin.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-6, 0], ArrowRight: [6, 0], ArrowUp: [0, -6], ArrowDown: [0, 6] }[event.key];
      if (!step || !state.open) return;
      event.preventDefault();
      state.accuracy = null;
      moved(shift(...step));
      draw();
    });
    return { draw };
  }
})();
