// Where the phone is and which way it points. The browser gives WGS 84 (EPSG:4326); that is what is sent along.
(function () {
  "use strict";
  const SETTLED_M = 15,
    STALE_MS = 120000;
  let watch = null,
    best = null,
    trouble = null,
    pointing = null,
    listening = false;
  const listeners = new Set();
  const tell = () => listeners.forEach((f) => f());

  function got(position) {
    const { longitude, latitude, accuracy, heading } = position.coords;
    const fix = { lonlat: [longitude, latitude], accuracy_m: Math.round(accuracy * 10) / 10, at: Date.now(), crs: "EPSG:4326" };
    trouble = null;
    // The most exact of the last two minutes counts; an older one is about where the phone was.
    if (!best || fix.accuracy_m <= best.accuracy_m || Date.now() - best.at > STALE_MS) best = fix;
    if (typeof heading === "number" && !Number.isNaN(heading) && position.coords.speed > 1.5) pointing = { deg: heading, at: Date.now() };
    tell();
  }

  phone.place = {
    onchange(f) {
      listeners.add(f);
      return () => listeners.delete(f);
    },
    start({ again = false } = {}) {
      if (!("geolocation" in navigator) || !window.isSecureContext) {
        trouble = "unavailable";
        return tell();
      }
      if (again) {
        best = null;
        trouble = null;
      }
      if (watch !== null) navigator.geolocation.clearWatch(watch);
      watch = navigator.geolocation.watchPosition(
        got,
        (error) => {
          if (!best) trouble = error.code === 1 ? "denied" : "none";
          tell();
        },
        { enableHighAccuracy: true, maximumAge: 10000, timeout: 30000 },
      );
      tell();
    },
    stop() {
      if (watch !== null) navigator.geolocation.clearWatch(watch);
      watch = null;
    },
    fix: () => best,
    trouble: () => trouble,
    settled: () => Boolean(best && best.accuracy_m <= SETTLED_M),
    recent: (ms) => (best && Date.now() - best.at <= ms ? best : null),

    // The compass. On an iPhone it must be asked for under a finger.
    listen() {
      if (listening) return;
      listening = true;
      const turn = (event) => {
        const deg =
          typeof event.webkitCompassHeading === "number"
            ? event.webkitCompassHeading
            : event.absolute && typeof event.alpha === "number"
              ? 360 - event.alpha
              : null;
        if (deg !== null) pointing = { deg: ((deg % 360) + 360) % 360, at: Date.now() };
      };
      const begin = () => ["deviceorientationabsolute", "deviceorientation"].forEach((name) => window.addEventListener(name, turn));
      const ask = window.DeviceOrientationEvent && DeviceOrientationEvent.requestPermission;
      if (ask)
        DeviceOrientationEvent.requestPermission().then(
          (said) => said === "granted" && begin(),
          () => {},
        );
      else begin();
    },
    heading: () => (pointing && Date.now() - pointing.at < 10000 ? Math.round(pointing.deg) % 360 : null),
  };
})();
