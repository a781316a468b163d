// The map's style: which layers are drawn, in which order, in which colours. Pure: a function of the layer list and words.
// Zooms here are MapLibre's: Leaflet's minus one.
(function () {
  "use strict";
  const onemap = (window.onemap = window.onemap || {});

  const TEXT = ["Inter Variable", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei"];
  // No family of this name exists: the first name of a stack only tells MapLibre the weight.
  const BOLD = ["Onemap Bold", ...TEXT];
  const C = {
    outside: "#E8EAE5", county: "#F4F5F2", ink: "#17211E", ink2: "#4B5854", ink3: "#63706B", line: "#DDE2DD", strong: "#BFC8C2",
    accent: "#14508C", halo: "#FFFFFF", water: "#BFD8E6", waterLine: "#9CC3DB", settlement: "#E3DFD6", town: "#E3DCD3",
    wood: "#D5E0CB", building: "#CBC4B8", buildingLine: "#B4AC9E", trunk: "#F7E3B5", trunkCase: "#DDBf7A", road: "#FFFFFF",
    roadCase: "#C6CBC5", track: "#CFCBBF", red: "#C5281C", blue: "#2E74C9", yellow: "#EFC02E",
  };
  onemap.colors = C;
  const by = (...stops) => ["interpolate", ["linear"], ["zoom"], ...stops];
  const byPow = (...stops) => ["interpolate", ["exponential", 1.5], ["zoom"], ...stops];
  const level = (n) => ["==", ["get", "level"], n];
  // 南干渠（示意） is written 南干渠; 陈庄村委会 is written 陈庄: what a bracket or a committee adds is on the card.
  const before = (mark, name) => ["let", "n", name, ["let", "i", ["index-of", mark, ["var", "n"]], ["case", [">", ["var", "i"], 0], ["slice", ["var", "n"], 0, ["var", "i"]], ["var", "n"]]]];
  const plain = before("（", ["get", "name"]);
  const short = before("社区居", before("居委会", before("居民委员会", before("村委会", before("村民委员会", ["get", "name"])))));
  const from = ["let", "i", ["index-of", "第", ["get", "name"]], ["case", [">", ["var", "i"], 0], ["slice", ["get", "name"], ["var", "i"]], ["get", "name"]]];
  const none = ["in", ["get", "code"], ["literal", []]];

  // What each switch of the layer menu shows and hides.
  onemap.switches = {
    choropleth: ["child-fill", "child-unknown"],
    parcels: ["parcel-fill", "parcel-line"],
    pbf: ["zone-pbf", "zone-pbf-line"],
    high_standard: ["zone-high"],
    incidents: ["incident"],
    facilities: ["facility", "facility-name"],
    resources: ["resource"],
    roads: ["track", "road-case", "road", "trunk-case", "trunk", "road-name"],
    ground: ["ground-far", "settlement", "water", "water-line", "water-name"],
    buildings: ["building"],
    names: ["name-beside", "name-grid"],
    tianditu: ["tianditu", "tianditu-names"],
  };

  // Townships are bold within the text: one layout for all levels, so that a step down does not lay everything out twice.
  // Near the ground every case has a mark of its own, and needs no ring.
  onemap.kidLayout = function () {
    const font = ["case", ["get", "bold"], ["literal", BOLD], ["literal", TEXT]];
    const { names, rings, incidents } = onemap.layers;
    return {
      "text-field": names ? ["format", ["get", "name"], { "text-font": font }] : "",
      "icon-image": rings ? ["step", ["zoom"], ["get", "image"], 13.5, incidents ? "" : ["get", "image"]] : "",
    };
  };

  onemap.style = function (catalogue, config) {
    const sources = {
      kids: { type: "geojson", data: { type: "FeatureCollection", features: [] }, promoteId: "code" },
      thing: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
    };
    for (const layer of catalogue.layers) {
      sources[layer.id] = {
        type: "vector", tiles: [location.origin + layer.tiles], minzoom: layer.minzoom, maxzoom: layer.maxzoom,
        ...(layer.promote_id ? { promoteId: layer.promote_id } : {}),
      };
    }
    const land = ["match", ["coalesce", ["get", "land_class"], ""]];
    for (const [code, color] of Object.entries(config.landColors)) land.push(code, color);
    land.push("#E3E3DE");
    const vector = (id, source, type, rest) => ({ id, type, source, "source-layer": source, ...rest });
    const layers = [
      { id: "paper", type: "background", paint: { "background-color": C.outside } },
      vector("county", "divisions", "fill", { filter: level(1), paint: { "fill-color": C.county } }),
      vector("ground-far", "ground", "fill", {
        filter: ["==", ["get", "kind"], "woodland"], paint: { "fill-color": C.wood, "fill-opacity": 0.7 },
      }),
      // children: what the screen is about
      vector("child-hit", "divisions", "fill", { filter: none, paint: { "fill-color": "#000", "fill-opacity": 0 } }),
      vector("beside-hit", "divisions", "fill", { filter: none, paint: { "fill-color": "#000", "fill-opacity": 0 } }),
      vector("child-fill", "divisions", "fill", { filter: none, paint: { "fill-color": "#fff", "fill-antialias": false } }),
      vector("child-unknown", "divisions", "fill", { filter: none, paint: { "fill-pattern": "hatch" } }),
      vector("parcel-fill", "parcels", "fill", { minzoom: 14, filter: ["!", ["has", "code"]], paint: { "fill-color": land, "fill-opacity": 0.95 } }),
      vector("parcel-line", "parcels", "line", {
        minzoom: 14, filter: ["!", ["has", "code"]],
        paint: { "line-color": "#93A08C", "line-width": by(14, 0.35, 16, 0.6, 18, 1), "line-opacity": by(14, 0.3, 15, 0.5, 16, 0.9) },
      }),
      vector("zone-pbf", "farmland_zones", "fill", { filter: ["==", ["get", "kind"], "pbf"], paint: { "fill-color": "#0B6F63", "fill-opacity": 0.14 } }),
      vector("zone-pbf-line", "farmland_zones", "line", {
        filter: ["==", ["get", "kind"], "pbf"], paint: { "line-color": "#0B6F63", "line-width": by(10, 0.4, 15, 1.4), "line-opacity": 0.7 },
      }),
      vector("zone-high", "farmland_zones", "line", {
        filter: ["==", ["get", "kind"], "high_standard"],
        paint: { "line-color": C.accent, "line-width": by(10, 0.5, 15, 1.6), "line-dasharray": [4, 2] },
      }),
      vector("settlement", "ground", "fill", {
        minzoom: 10.5, filter: ["in", ["get", "kind"], ["literal", ["settlement", "town"]]],
        // over the choropleth it only darkens the paper; near, where parcels are drawn, it is the ground itself
        paint: { "fill-color": by(13.5, "#5B5344", 14.2, C.settlement), "fill-opacity": by(10.5, 0.05, 13, 0.1, 13.6, 0.1, 14.2, 1) },
      }),
      vector("water", "ground", "fill", {
        filter: ["in", ["get", "kind"], ["literal", ["river", "canal", "pond"]]], paint: { "fill-color": C.water },
      }),
      vector("water-line", "ground", "line", {
        filter: ["in", ["get", "kind"], ["literal", ["river", "canal"]]],
        paint: { "line-color": ["match", ["get", "kind"], "river", C.waterLine, C.water], "line-width": by(9, 1.2, 13, 0.8, 16, 0.6) },
      }),
      vector("building", "buildings", "fill", { minzoom: 15, paint: { "fill-color": C.building, "fill-outline-color": C.buildingLine } }),
      vector("track", "roads", "line", {
        minzoom: 14, filter: ["==", ["get", "class"], "track"], paint: { "line-color": C.track, "line-width": byPow(14, 0.5, 17, 3) },
      }),
      vector("road-case", "roads", "line", {
        minzoom: 11, filter: ["in", ["get", "class"], ["literal", ["county", "township", "village"]]],
        layout: { "line-cap": "round", "line-join": "round", "line-sort-key": ["match", ["get", "class"], "county", 3, "township", 2, 1] },
        paint: {
          "line-color": C.roadCase,
          "line-width": byPow(11, ["match", ["get", "class"], "county", 2.2, 1.2], 14, ["match", ["get", "class"], "county", 4.4, "township", 3.6, 2.6], 17, ["match", ["get", "class"], "county", 13, "township", 11, 8]),
        },
      }),
      vector("road", "roads", "line", {
        minzoom: 9, filter: ["in", ["get", "class"], ["literal", ["county", "township", "village"]]],
        layout: { "line-cap": "round", "line-join": "round" },
        paint: {
          "line-color": by(10.9, C.strong, 11.1, C.road),
          "line-width": byPow(9, ["match", ["get", "class"], "county", 0.8, 0], 11, ["match", ["get", "class"], "county", 1.2, 0.6], 14, ["match", ["get", "class"], "county", 3, "township", 2.4, 1.6], 17, ["match", ["get", "class"], "county", 11, "township", 9, 6.4]),
        },
      }),
      vector("trunk-case", "roads", "line", {
        filter: ["in", ["get", "class"], ["literal", ["national", "provincial"]]], layout: { "line-cap": "round", "line-join": "round" },
        paint: { "line-color": ["match", ["get", "class"], "national", C.trunkCase, C.roadCase], "line-width": byPow(9, 2.2, 11, 3.6, 14, 6, 17, 18) },
      }),
      vector("trunk", "roads", "line", {
        filter: ["in", ["get", "class"], ["literal", ["national", "provincial"]]], layout: { "line-cap": "round", "line-join": "round" },
        paint: { "line-color": ["match", ["get", "class"], "national", C.trunk, C.road], "line-width": byPow(9, 1.2, 11, 2.2, 14, 4.2, 17, 15) },
      }),
      // lines: neighbours grey, children white, the county's rim the only glow
      vector("county-glow", "divisions", "line", {
        filter: level(1), paint: { "line-color": "#6F8079", "line-width": by(8, 5, 13, 10), "line-blur": by(8, 4, 13, 8), "line-opacity": 0.35 },
      }),
      vector("grid-line", "divisions", "line", {
        minzoom: 13, filter: level(4), paint: { "line-color": "#7E8A84", "line-width": by(13, 0.6, 16, 1.1), "line-dasharray": [3, 2], "line-opacity": 0.75 },
      }),
      vector("village-line", "divisions", "line", {
        minzoom: 10.5, filter: level(3), paint: { "line-color": C.strong, "line-width": by(11, 0.5, 14, 1.2) },
      }),
      vector("township-line", "divisions", "line", {
        filter: level(2), paint: { "line-color": "#98A39D", "line-width": by(9, 0.8, 12, 1.2, 14, 1.8) },
      }),
      vector("child-line", "divisions", "line", {
        filter: none, layout: { "line-join": "round" }, paint: { "line-color": "#FFFFFF", "line-width": by(9, 1.2, 14, 1.6) },
      }),
      vector("county-line", "divisions", "line", { filter: level(1), paint: { "line-color": C.ink2, "line-width": 1.8 } }),
      vector("beside-veil", "divisions", "fill", { filter: none, paint: { "fill-color": C.county, "fill-opacity": 0.62, "fill-antialias": false } }),
      vector("here-line", "divisions", "line", { filter: none, layout: { "line-join": "round" }, paint: { "line-color": C.ink, "line-width": by(9, 1.8, 15, 2.2) } }),
      vector("hover-casing", "divisions", "line", {
        filter: none, layout: { "line-join": "round" },
        paint: { "line-color": "#FFFFFF", "line-width": 5, "line-opacity": ["case", ["boolean", ["feature-state", "hover"], false], 1, 0] },
      }),
      vector("hover-line", "divisions", "line", {
        filter: none, layout: { "line-join": "round" },
        paint: { "line-color": C.accent, "line-width": 2.4, "line-opacity": ["case", ["boolean", ["feature-state", "hover"], false], 1, 0] },
      }),
      { id: "thing-casing", type: "line", source: "thing", filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": "#FFFFFF", "line-width": 5 } },
      { id: "thing-line", type: "line", source: "thing", filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": C.accent, "line-width": 2.4 } },
      vector("facility", "facilities", "symbol", {
        minzoom: 14, layout: { "icon-image": "facility", "icon-allow-overlap": true, "icon-size": by(14, 0.75, 16, 1) },
      }),
      vector("resource", "resources", "symbol", {
        minzoom: 12.5, layout: { "icon-image": ["match", ["get", "state"], "available", "resource", "resource-busy"], "icon-allow-overlap": true },
      }),
      vector("incident", "incidents", "symbol", {
        // the tiles hold open ones only: neither 办结 nor 退回 nor 合并
        minzoom: 13.5,
        layout: {
          "icon-image": ["case", ["==", ["get", "is_overdue"], true], "overdue", "open"], "icon-allow-overlap": true,
          "symbol-sort-key": ["case", ["==", ["get", "is_overdue"], true], 2, 1], "icon-size": by(13.5, 0.7, 15.5, 1),
        },
      }),
      { id: "thing-point", type: "circle", source: "thing", filter: ["==", ["geometry-type"], "Point"],
        paint: { "circle-radius": 15, "circle-color": "rgba(20,80,140,.10)", "circle-stroke-color": C.accent, "circle-stroke-width": 2.4 } },
      vector("road-name", "roads", "symbol", {
        minzoom: 12, filter: ["all", ["has", "name"], ["!=", ["get", "class"], "track"]],
        layout: { "symbol-placement": "line", "text-field": plain, "text-font": TEXT, "text-size": 11, "symbol-spacing": 420, "text-letter-spacing": 0.08 },
        paint: { "text-color": "#8A6D2B", "text-halo-color": "#FFFFFF", "text-halo-width": 1.8 },
      }),
      vector("water-name", "ground", "symbol", {
        minzoom: 11, filter: ["all", ["has", "name"], ["in", ["get", "kind"], ["literal", ["river", "canal"]]]],
        layout: { "text-field": plain, "text-font": ["Onemap Italic", ...TEXT], "text-size": 11, "text-letter-spacing": 0.15, "text-padding": 70 }, // a river lies in every tile: one name within 70 px
        paint: { "text-color": "#4D86A8", "text-halo-color": "#FFFFFF", "text-halo-width": 1.4 },
      }),
      vector("facility-name", "facilities", "symbol", {
        minzoom: 15.3,
        layout: { "text-field": ["get", "name"], "text-font": TEXT, "text-size": 11, "text-offset": [0, 1.1], "text-anchor": "top", "text-optional": true },
        paint: { "text-color": C.ink2, "text-halo-color": "#FFFFFF", "text-halo-width": 2 },
      }),
      vector("name-beside", "division_labels", "symbol", {
        filter: none, layout: { "text-field": ["case", ["==", ["get", "level"], 4], from, short], "text-font": TEXT, "text-size": by(9, 12, 13, 13), "text-letter-spacing": 0.14 },
        paint: { "text-color": "#8B958F", "text-halo-color": C.county, "text-halo-width": 2 },
      }),
      vector("name-grid", "division_labels", "symbol", {
        minzoom: 13, filter: none, layout: { "text-field": from, "text-font": TEXT, "text-size": 12 },
        paint: { "text-color": C.ink2, "text-halo-color": "#FFFFFF", "text-halo-width": 2.4 },
      }),
      // Name and count of a child are one symbol: what collides goes whole, the smaller place first.
      { id: "kids", type: "symbol", source: "kids", layout: {
        ...onemap.kidLayout(), "text-font": TEXT, "text-size": by(9, 13, 12, 13, 15, 14), "text-anchor": "bottom", "text-padding": 1,
        "icon-anchor": "top", "icon-offset": [0, 1], "icon-optional": true, "icon-padding": 0, "symbol-sort-key": ["-", 0, ["get", "weight"]],
      }, paint: {
        "text-color": ["case", ["boolean", ["feature-state", "hover"], false], C.accent, C.ink],
        "text-halo-color": "#FFFFFF", "text-halo-width": 2, "text-halo-blur": 0.4,
      } },
    ];
    if (config.tianditu) {
      const tile = (name) => ({
        type: "raster", tileSize: 256, maxzoom: 18, attribution: "天地图",
        tiles: [0, 1, 2, 3].map((n) => `https://t${n}.tianditu.gov.cn/${name}_w/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=${name}&STYLE=default&TILEMATRIXSET=w&FORMAT=tiles&TILEMATRIX={z}&TILEROW={y}&TILECOL={x}&tk=${config.tianditu}`),
      });
      Object.assign(sources, { tianditu: tile("vec"), "tianditu-names": tile("cva") });
      const raster = (id) => ({ id, type: "raster", source: id, layout: { visibility: "none" }, paint: { "raster-saturation": -0.5 } });
      layers.splice(2, 0, raster("tianditu"), raster("tianditu-names"));
    }
    // a layer this person may not see is not in the list: neither is anything drawn from it
    return { version: 8, transition: { duration: 0, delay: 0 }, sources, layers: layers.filter((l) => !l.source || sources[l.source]) };
  };
})();
