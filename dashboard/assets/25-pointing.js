// Pointing at the map: what lies under the pointer, what a click means, the call-out, the scale bar.
(function () {
  "use strict";
  const onemap = (window.onemap = window.onemap || {});
  const state = (onemap.map = onemap.map || {});
  const has = (id) => state.gl.getLayer(id);

  // ---- pointing

  function found(latlng, layers, reach) {
    if (!state.ready) return [];
    const p = state.gl.project([latlng.lng, latlng.lat]);
    const area = reach ? [[p.x - reach, p.y - reach], [p.x + reach, p.y + reach]] : p;
    return state.gl.queryRenderedFeatures(area, { layers: layers.filter(has) });
  }

  onemap.pick = function (latlng) {
    const scene = state.scene;
    if (!scene || !scene.level) return;
    const mark = found(latlng, ["incident", "facility", "resource"], 7)[0];
    if (mark) {
      const kind = mark.layer.id;
      return onemap.go({ kind, key: String(mark.properties[`${kind}_id`] ?? mark.id) });
    }
    if (scene.level === 4) {
      // at the grid there is nothing below but the land itself
      const parcel = found(latlng, ["parcel-fill"])[0];
      const own = found(latlng, ["beside-hit"])[0];
      if (parcel) return onemap.go({ kind: "parcel", key: String(parcel.id), ...(own ? { at: own.properties.code } : {}) });
    }
    const child = found(latlng, ["child-hit"])[0];
    if (child) return onemap.go({ at: child.properties.code });
    const beside = found(latlng, ["beside-hit"])[0];
    if (beside) return onemap.go({ at: beside.properties.code });
    if (onemap.place.key) onemap.go({ kind: null, key: null });
  }

  onemap.point = function (latlng) {
    if (!state.settled) return onemap.hover(null);
    const mark = found(latlng, ["incident", "facility", "resource"], 6)[0];
    const child = found(latlng, ["child-hit"])[0];
    const other = !child && found(latlng, ["beside-hit"])[0];
    const parcel = state.scene && state.scene.level === 4 && found(latlng, ["parcel-fill"])[0];
    state.leaflet.getContainer().style.cursor = mark || child || other || parcel ? "pointer" : "";
    onemap.hover(child ? child.properties.code : null, state.leaflet.latLngToContainerPoint(latlng));
  }

  // One child at a time is lit, on the map, in the table and by its call-out.
  onemap.hover = function (code, at) {
    if (code !== state.hover && state.ready) {
      for (const source of ["divisions", "kids"]) {
        if (!state.gl.getSource(source)) continue;
        const key = (c) => ({ source, id: c, ...(source === "kids" ? {} : { sourceLayer: source }) });
        if (state.hover) state.gl.setFeatureState(key(state.hover), { hover: false });
        if (code) state.gl.setFeatureState(key(code), { hover: true });
      }
      state.hover = code;
      onemap.lightRow(code);
    }
    callout(code, at);
  };

  function callout(code, at) {
    const box = document.getElementById("callout");
    const child = code && state.scene && state.scene.children[code];
    if (!child) {
      if (box && !box.hidden) box.hidden = true;
      return;
    }
    if (box.dataset.code !== code || box.dataset.measure !== state.scene.measure) {
      box.dataset.code = code;
      box.dataset.measure = state.scene.measure;
      const part = (tag, text, name) => Object.assign(document.createElement(tag), { textContent: text, className: name });
      const value = part("div", "", "callout-value");
      const known = child.class !== null;
      value.append(part("b", child.digits, known ? "" : "unknown"), part("span", known ? child.unit : "", "unit"));
      box.replaceChildren(part("strong", child.name, ""), value, part("small", child.note, ""));
    }
    const size = state.leaflet.getSize();
    const where = at || (child.seat && state.leaflet.latLngToContainerPoint([child.seat[1], child.seat[0]]));
    if (!where) return;
    box.hidden = false;
    const x = where.x + 18 + box.offsetWidth > size.x - 12 ? where.x - 18 - box.offsetWidth : where.x + 18;
    const y = Math.max(12, Math.min(size.y - box.offsetHeight - 12, where.y - box.offsetHeight / 2));
    box.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }

  // ---- scale bar

  onemap.scale = function (map) {
    const text = document.getElementById("scale-text");
    if (!text) return;
    const y = map.getSize().y / 2;
    const metres = map.distance(map.containerPointToLatLng([0, y]), map.containerPointToLatLng([110, y]));
    const power = 10 ** Math.floor(Math.log10(metres));
    const round = [5, 2, 1].map((n) => n * power).find((n) => n <= metres) || power;
    document.getElementById("scale-bar").style.width = `${Math.round((110 * round) / metres)}px`;
    text.textContent = round >= 1000 ? `${round / 1000} km` : `${round} m`;
  }

  onemap.throttled = function (action, wait) {
    let last = 0;
    let timer = null;
    let event = null;
    return (e) => {
      event = e;
      const left = wait - (performance.now() - last);
      if (left <= 0) {
        last = performance.now();
        action(event);
      } else if (!timer) {
        timer = setTimeout(() => {
          timer = null;
          last = performance.now();
          action(event);
        }, left);
      }
    };
  }
})();
