// The ground everything stands on: words, elements, icons, numbers. Text of a person never becomes markup: h() knows only text.
(function () {
  "use strict";
  const phone = (globalThis.phone = globalThis.phone || {});
  const config = JSON.parse(document.getElementById("phone-config").textContent);
  phone.config = config;
  phone.views = {};

  phone.w = function (key, values = {}) {
    const text = config.words[key];
    if (text === undefined) {
      console.error(`no word ${key}`);
      return key;
    }
    return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
  };
  phone.known = (key) => key in config.words;
  const w = phone.w;

  // h("button.chip", { onclick, "aria-pressed": true }, "text", element, null)
  phone.h = function (what, props, ...children) {
    const [tag, ...classes] = what.split(".");
    const element = document.createElement(tag);
    if (classes.length) element.className = classes.join(" ");
    for (const [name, value] of Object.entries(props || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "value" || name === "checked") element[name] = value;
      else if (name === "style") for (const [k, v] of Object.entries(value)) element.style.setProperty(k, v);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    for (const child of children.flat(3)) if (child !== null && child !== undefined && child !== false) element.append(child);
    return element;
  };

  // Fill an element anew; what is not there (null, false) leaves no trace.
  phone.fill = (element, ...children) =>
    element.replaceChildren(...children.flat(3).filter((one) => one !== null && one !== undefined && one !== false && one !== ""));

  // 24 px grid, 1.8 stroke, round. "-" before a shape: a circle "cx cy r"
  const ICONS = {
    camera: [
      "M4 8.5h3.2L9 6h6l1.8 2.5H20a1.2 1.2 0 0 1 1.2 1.2v8.1A1.2 1.2 0 0 1 20 19H4a1.2 1.2 0 0 1-1.2-1.2V9.7A1.2 1.2 0 0 1 4 8.5z",
      "-12 13.4 3.4",
    ],
    photos: ["M7 4.5h12.5V17", "M4.5 8h11.7v11.5H4.5z", "M4.8 17l3.4-3.6 2.6 2.4 2-1.8 3.2 3"],
    again: ["M19 12a7 7 0 1 1-2.2-5.1", "M19.4 3.8v4h-4"],
    plus: ["M12 5v14M5 12h14"],
    check: ["M5 12.5l4.5 4.5L19 7.5"],
    right: ["M9.5 6l6 6-6 6"],
    left: ["M14.5 6l-6 6 6 6"],
    close: ["M6 6l12 12M18 6L6 18"],
    list: ["M9 6.5h11M9 12h11M9 17.5h11", "-4.8 6.5 .6", "-4.8 12 .6", "-4.8 17.5 .6"],
    person: ["-12 8.2 3.7", "M5 20c.6-4 3.3-6 7-6s6.400 2 7 6"],
    mic: [
      "M12 3.800a2.700 2.700 0 0 1 2.700 2.700v5a2.700 2.700 0 0 1-5.400 0v-5A2.700 2.700 0 0 1 12 3.800z",
      "M6.300 11.300a5.700 5.700 0 0 0 11.400 0M12 17v3.200M9 20.200h6",
    ],
    offline: [
      "M7.500 18.500H17a4 4 0 0 0 2.600-7M15.800 8.400A5.500 5.500 0 0 0 9.300 6.500M7.400 8.700a5 5 0 0 0-.900 9.700",
      "M4 4l16 16",
    ],
    cloud: ["M7 18.500h10a4 4 0 0 0 .6-7.950A5.500 5.500 0 0 0 7 9a4.800 4.800 0 0 0 0 9.500z"],
    bell: ["M6.500 16.500v-5.300a5.500 5.500 0 0 1 11 0v5.300l1.500 1.800H5z", "M10 20.800h4"],
    map: ["M4 6.500l5-2 6 2 5-2v13l-5 2-6-2-5 2z", "M9 4.500v13M15 6.500v13"],
    target: ["-12 12 6.500", "-12 12 1.600", "M12 2.800v3M12 18.200v3M2.800 12h3M18.200 12h3"],
    search: ["-11 11 6.300", "M15.800 15.800L20.400 20.400"],
    star: ["M12 4l2.500 5.200 5.700.8-4.100 4 1 5.700L12 17l-5.100 2.700 1-5.700-4.100-4 5.700-.8z"],
    bin: ["M5 7.500h14M9.500 7.500V5h5v2.500M7 7.500l.8 12h8.400l.8-12"],
    edit: ["M5 19l.8-3.800L16 5l3 3L8.800 18.200z"],
    phone: [
      "M6 4h3l1.500 4-2 1.500a11 11 0 0 0 6 6l1.500-2 4 1.500v3a1.500 1.500 0 0 1-1.600 1.500A15.500 15.500 0 0 1 4.500 5.600 1.500 1.500 0 0 1 6 4z",
    ],
    letters: ["M3 18l4.500-12L12 18M4.600 14h5.800", "M14.500 18l3-8 3 8M15.600 15.300h3.800"],
    globe: [
      "-12 12 8.300",
      "M3.700 12h16.600M12 3.700c2.400 2.300 3.500 5 3.500 8.300S14.400 18 12 20.300C9.600 18 8.500 15.300 8.500 12S9.600 6 12 3.700z",
    ],
    door: ["M10 4H5.500v16H10", "M13.500 8l4 4-4 4M17 12H9.500"],
    shield: ["M12 3.500l7 2.500v5.500c0 4.300-2.800 7.400-7 9-4.200-1.600-7-4.700-7-9V6z"],
    clock: ["-12 12 8.300", "M12 7.300V12l3.200 2"],
    home: ["M4 11l8-6.500 8 6.500", "M6 9.800V20h12V9.800"],
  };
  const SVG = "http://www.w3.org/2000/svg";
  phone.icon = function (name, size = 24) {
    const svg = document.createElementNS(SVG, "svg");
    for (const [k, v] of Object.entries({ viewBox: "0 0 24 24", width: size, height: size, class: "icon", "aria-hidden": "true" }))
      svg.setAttribute(k, v);
    for (const shape of ICONS[name]) {
      const round = shape[0] === "-";
      const part = document.createElementNS(SVG, round ? "circle" : "path");
      if (round) ["cx", "cy", "r"].forEach((k, i) => part.setAttribute(k, shape.slice(1).split(" ")[i]));
      else part.setAttribute("d", shape);
      svg.append(part);
    }
    return svg;
  };

  // How a case stands: a shape and a colour, never a colour alone.
  const SHAPES = {
    breached: "M8 1.2L14.8 8 8 14.8 1.2 8z",
    at_risk: "M8 1.8L15 14.200H1z",
    on_track: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2z",
    paused: "M3 3h3.600v10H3zM9.400 3H13v10H9.400z",
    done: "M2 8.200l4 4L14 4",
    none: "M8 4.500a3.500 3.500 0 1 1 0 7 3.500 3.500 0 0 1 0-7z",
  };
  phone.mark = function (standing, size = 16) {
    const svg = document.createElementNS(SVG, "svg");
    for (const [k, v] of Object.entries({
      viewBox: "0 0 16 16",
      width: size,
      height: size,
      class: `mark mark-${standing}`,
      "aria-hidden": "true",
    }))
      svg.setAttribute(k, v);
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", SHAPES[standing] || SHAPES.none);
    svg.append(path);
    return svg;
  };

  // Times of the county, whatever the phone's zone is set to.
  const parts = (at) =>
    Object.fromEntries(
      new Intl.DateTimeFormat("en-CA", {
        timeZone: "Asia/Shanghai",
        year: "numeric",
        month: "numeric",
        day: "numeric",
        hour: "2-digit",
        minute: "2-digit",
        hourCycle: "h23",
      })
        .formatToParts(at)
        .map((p) => [p.type, p.value]),
    );
  const DAY = 86400000;
  const dayOf = (p) => Date.UTC(+p.year, +p.month - 1, +p.day) / DAY;
  phone.day = function (moment, now = Date.now()) {
    const p = parts(new Date(moment));
    const ago = dayOf(parts(new Date(now))) - dayOf(p);
    if (ago === 0) return w("time.today");
    if (ago === 1) return w("time.yesterday");
    if (ago === -1) return w("time.tomorrow");
    return w(p.year === parts(new Date(now)).year ? "time.day" : "time.year_day", { y: p.year, m: +p.month, d: +p.day });
  };
  phone.clock = (moment) => {
    const p = parts(new Date(moment));
    return `${p.hour}:${p.minute}`;
  };
  phone.time = (moment, now) => (moment ? `${phone.day(moment, now)} ${phone.clock(moment)}` : w("unknown"));
  phone.span = function (ms) {
    const minutes = Math.max(1, Math.round(ms / 60000));
    if (minutes < 60) return w("span.minutes", { n: minutes });
    const hours = Math.floor(minutes / 60);
    if (hours < 3 && minutes % 60) return w("span.hours_minutes", { n: hours, m: minutes % 60 });
    return hours < 24 ? w("span.hours", { n: hours }) : w("span.days", { n: Math.floor(hours / 24) });
  };
  phone.bytes = (n) =>
    n >= 1e9 ? `${(n / 1e9).toFixed(1)} GB` : n < 950000 ? `${Math.max(1, Math.round(n / 1000))} kB` : `${(n / 1e6).toFixed(1)} MB`;
  phone.metres = (m) =>
    m < 1000 ? w("metres", { n: m < 10 ? Math.round(m * 10) / 10 : Math.round(m) }) : w("kilometres", { n: (m / 1000).toFixed(1) });
  phone.bearing = (deg) => w("bearing." + (Math.round(deg / 45) % 8));
  phone.distance = function ([lon1, lat1], [lon2, lat2]) {
    const rad = Math.PI / 180;
    const x = (lon2 - lon1) * rad * Math.cos(((lat1 + lat2) / 2) * rad);
    return 6371009 * Math.hypot(x, (lat2 - lat1) * rad);
  };

  phone.item = (code) => config.items.find((one) => one.code === code) || null;
  // The list of items is in the language of the page; what the county tells of a case names it in Chinese.
  phone.itemName = (one) => (one.item_code && phone.item(one.item_code) ? phone.item(one.item_code).name : one.item_name) || "";
  phone.within = (item) =>
    item.unit === "day" && item.amount === "0" ? w("within.same_day") : w("within." + item.unit, { n: item.amount });

  let hush = null;
  phone.say = function (text, { bad = false } = {}) {
    const box = document.getElementById("say");
    box.replaceChildren(phone.h(bad ? "p.bad" : "p", null, text));
    clearTimeout(hush);
    hush = setTimeout(() => box.replaceChildren(), bad ? 6000 : 3500);
  };

  // A sheet from below: the dialog element keeps focus inside and gives it back.
  phone.sheet = function (title, body, { full = false, onclose = null, foot = null } = {}) {
    const dialog = phone.h(
      "dialog.sheet" + (full ? ".sheet-full" : ""),
      { "aria-label": title },
      phone.h(
        "header.sheet-head",
        null,
        phone.h("h2", null, title),
        phone.h("button.round", { type: "button", "aria-label": w("close"), onclick: () => dialog.close() }, phone.icon("close")),
      ),
      phone.h("div.sheet-body", null, body),
      foot && phone.h("footer.sheet-foot", null, foot),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (onclose) onclose(dialog.returnValue);
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  };
})();
