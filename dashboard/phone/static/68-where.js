// Where a report is about: the phone's own position with its accuracy, or a pin that was moved by hand.
(function () {
  "use strict";
  const { h, w, icon } = phone;

  // Returns { element, name(), start(), stop() }.
  phone.partWhere = function (draft) {
    const { record, filled, save, saveSoon } = draft;
    let place = null,
      placedAt = null,
      map = null;
    const thumb = h("div.thumb");
    const where = h("b"),
      exact = h("span"),
      fix = h("span.link");
    const placeCard = h("button.where", { type: "button", onclick: openMap }, h("span.where-words", null, where, exact, fix));
    function drawPlace() {
      const trouble = phone.place.trouble();
      const at = record.lonlat;
      placeCard.classList.toggle("where-none", !at);
      where.textContent = !at
        ? w(trouble ? "place.missing" : "place.searching")
        : place
          ? place.inside
            ? [place.village || place.township, place.grid].filter(Boolean).join(" ")
            : w("place.outside")
          : `${at[1].toFixed(5)}, ${at[0].toFixed(5)}`;
      const rough = at && !record.by_hand && record.accuracy_m > 50;
      exact.className = rough || (at && place && !place.inside) ? "warn" : "";
      exact.textContent = !at
        ? trouble
          ? w("place." + trouble)
          : w("place.wait")
        : record.by_hand
          ? w("place.by_hand")
          : w(rough ? "place.rough" : "place.accuracy", { d: phone.metres(record.accuracy_m) });
      fix.textContent = at ? w("place.correct") : w("place.choose");
      if (map && at) map.pin(at, record.by_hand ? null : record.accuracy_m);
    }
    let asking = null;
    function lookUp() {
      if (!record.lonlat || (placedAt && phone.distance(placedAt, record.lonlat) < 10)) return;
      clearTimeout(asking);
      asking = setTimeout(async () => {
        const at = record.lonlat;
        try {
          const found = await phone.ask(`/m/where?lon=${at[0]}&lat=${at[1]}`, { patience: 5000 });
          if (at === record.lonlat) {
            place = found;
            placedAt = at;
          }
        } catch (error) {
          place = null;
          placedAt = null;
        }
        drawPlace();
      }, 300);
    }
    function positioned() {
      const fixed = phone.place.fix();
      if (
        fixed &&
        !record.by_hand &&
        (!record.lonlat ||
          record.accuracy_m === null ||
          phone.distance(record.lonlat, fixed.lonlat) > 1 ||
          fixed.accuracy_m < record.accuracy_m)
      ) {
        record.lonlat = fixed.lonlat;
        record.accuracy_m = fixed.accuracy_m;
        lookUp();
        if (filled()) saveSoon();
      }
      drawPlace();
    }
    async function openMap() {
      const bounds = phone.me.ground && phone.me.ground.bounds;
      const begin = record.lonlat || (bounds ? [(bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2] : null);
      if (!begin) return phone.say(w("place.no_ground"), { bad: true });
      const before = { lonlat: record.lonlat, accuracy_m: record.accuracy_m, by_hand: record.by_hand };
      const box = h("div.map-big");
      const label = h("p.map-say", { role: "status" }, w("place.drag"));
      const done = h("button.main", { type: "button" }, w("place.here"));
      const back = h("button.plain", { type: "button" }, icon("target", 20), w("place.mine"));
      const big = phone.makeMap(box, {
        center: begin,
        interactive: true,
        onmove: (lonlat) => {
          record.lonlat = lonlat;
          record.by_hand = true;
          record.accuracy_m = null;
          place = null;
          label.textContent = w("place.moved");
          lookUp();
        },
      });
      big.pin(begin, record.accuracy_m);
      big.open(true);
      if (!record.lonlat && bounds) big.fit(bounds);
      back.addEventListener("click", () => {
        const fixed = phone.place.fix();
        if (!fixed) {
          phone.place.start({ again: true });
          return phone.say(w("place.wait"));
        }
        Object.assign(record, { lonlat: fixed.lonlat, accuracy_m: fixed.accuracy_m, by_hand: false });
        big.pin(fixed.lonlat, fixed.accuracy_m);
        label.textContent = w("place.accuracy", { d: phone.metres(fixed.accuracy_m) });
      });
      const dialog = phone.sheet(w("place.title"), [label, box], {
        full: true,
        foot: [back, done],
        onclose: (said) => {
          big.remove();
          if (said !== "here") Object.assign(record, before);
          placedAt = null;
          lookUp();
          drawPlace();
          showThumb();
          save();
        },
      });
      // Where the map happens to begin is nobody's position: it must have been moved there.
      done.addEventListener("click", () => (record.lonlat ? dialog.close("here") : phone.say(w("place.drag"), { bad: true })));
    }
    function showThumb() {
      if (!record.lonlat || map) return;
      placeCard.prepend(thumb);
      map = phone.makeMap(thumb, { center: record.lonlat, zoom: 15.5 });
      map.pin(record.lonlat, record.accuracy_m);
    }

    let unwatch = null;
    return {
      element: placeCard,
      // as people say it; null outside the county and where nobody could be asked
      name: () => (place && place.inside ? [place.village, place.grid].filter(Boolean).join(" ") : null),
      start() {
        unwatch = phone.place.onchange(() => {
          positioned();
          showThumb();
        });
        phone.place.start();
        positioned();
        if (!record.lonlat) return;
        showThumb();
        lookUp();
      },
      stop() {
        unwatch();
        phone.place.stop();
        if (map) map.remove();
      },
    };
  };
})();
