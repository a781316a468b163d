// Hands on the page: clicks, keys, the search list, drawers, the table's rows. Everything leads to onemap.go().
(function () {
  "use strict";
  const onemap = (window.onemap = window.onemap || {});
  const $ = (id) => document.getElementById(id);

  function target(element) {
    const data = element.dataset;
    for (const kind of ["parcel", "facility", "resource", "incident"])
      if (data[kind]) return { kind, key: data[kind], at: data.at || null };
    return { at: data.at };
  }

  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest(selector);
    const element = hit("[data-at], [data-measure], [data-home], [data-map], [data-drawer], [data-close], [data-copy], [data-language], [data-sheet-tab]");
    if (!hit(".menu-holder")) for (const open of document.querySelectorAll("details[open]")) open.open = false;
    if (!hit(".search")) closeSearch();
    const row = hit("#ranking .ag-row[row-id]");
    if (row && !["total", "unplaced"].includes(row.getAttribute("row-id")) && !row.getAttribute("row-id").startsWith("b-"))
      return onemap.go({ at: row.getAttribute("row-id") });
    if (!element) return;
    const data = element.dataset;
    if (data.language) {
      event.preventDefault();
      const asked = new URLSearchParams(location.search);
      data.language === "zh" ? asked.delete("lang") : asked.set("lang", data.language);
      location.search = asked.toString();
    } else if ("home" in data) {
      event.preventDefault();
      onemap.home();
    } else if (data.measure) {
      for (const open of document.querySelectorAll("details[open]")) open.open = false;
      onemap.go({ measure: data.measure });
    }
    else if (data.map) button(data.map);
    else if (data.drawer) drawer(data.drawer);
    else if (data.sheetTab) drawer(data.sheetTab, true);
    else if ("close" in data) onemap.go({ kind: null, key: null });
    else if ("copy" in data) copy(element);
    else if (data.at !== undefined) {
      for (const open of document.querySelectorAll("details[open]")) open.open = false;
      closeSearch(true);
      drawer(null);
      onemap.go(target(element));
    }
  });

  function button(name) {
    const map = onemap.map.leaflet;
    if (name === "zoom-in") map.zoomIn(1);
    else if (name === "zoom-out") map.zoomOut(1);
    else if (name === "up") onemap.up();
    else onemap.home();
  }

  // On a tablet the panels are drawers, on a phone one sheet with two faces.
  function drawer(side, keep) {
    const page = $("page");
    page.dataset.sheet = side === null ? page.dataset.sheet || "" : page.dataset.sheet === side && !keep ? "none" : side;
    if (side === null && matchMedia("(max-width: 1100px) and (min-width: 641px)").matches) page.dataset.sheet = "none";
  }

  async function copy(element) {
    const label = element.querySelector("span");
    const text = location.origin + onemap.address();
    try {
      await navigator.clipboard.writeText(text);
    } catch (error) {
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    label.textContent = onemap.words.copied;
    setTimeout(() => (label.textContent = onemap.words.copy), 1600);
  }

  // The items of a menu are made when it is opened.
  document.addEventListener("toggle", (event) => {
    const list = event.target.open && event.target.querySelector && event.target.querySelector("[data-choices]");
    if (!list || list.childElementCount) return;
    for (const [code, name] of JSON.parse(list.dataset.choices)) {
      const item = Object.assign(document.createElement("button"), { className: "menu-item", textContent: name });
      item.dataset.at = code;
      if (code === list.dataset.current) item.classList.add("menu-item-here");
      list.append(item);
    }
  }, true);

  // ---- keys

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea, select");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      $("search").focus();
      $("search").select();
    } else if (event.key === "Escape") {
      if (document.querySelector("details[open]")) for (const open of document.querySelectorAll("details[open]")) open.open = false;
      else if (document.querySelector(".search.open")) closeSearch(true);
      else if (document.querySelector(".mantine-Popover-dropdown:not([style*='display: none'])")) return;
      else if (!typing) onemap.up();
    } else if (event.target.id === "search" && ["ArrowDown", "ArrowUp", "Enter"].includes(event.key)) walk(event);
    else if (event.key === "Enter" && event.target.closest("#ranking .ag-row")) event.target.click();
  });

  function walk(event) {
    if (event.isComposing) return;
    const options = [...document.querySelectorAll("#search-results .result")];
    if (!options.length) return;
    event.preventDefault();
    event.stopPropagation();
    let now = options.findIndex((o) => o.classList.contains("here"));
    if (event.key === "Enter") return options[Math.max(0, now)].click();
    now = event.key === "ArrowDown" ? (now + 1) % options.length : (now - 1 + options.length) % options.length;
    options.forEach((o, i) => {
      o.classList.toggle("here", i === now);
      o.setAttribute("aria-selected", i === now);
    });
    options[now].scrollIntoView({ block: "nearest" });
  }

  onemap.makeSearch = function () {
    const box = $("search-box");
    if ($("search")) return;
    const input = Object.assign(document.createElement("input"), {
      id: "search", type: "text", autocomplete: "off", spellcheck: false, maxLength: 40, placeholder: matchMedia("(max-width: 640px)").matches ? box.dataset.short : box.dataset.placeholder,
    });
    for (const [name, value] of [["role", "combobox"], ["aria-label", box.dataset.label], ["aria-controls", "search-results"], ["aria-autocomplete", "list"]])
      input.setAttribute(name, value);
    let timer = null;
    const ask = () => dash_clientside.set_props("search-text", { data: input.value });
    input.addEventListener("input", (event) => {
      clearTimeout(timer);
      if (!event.isComposing) timer = setTimeout(ask, 150); // not while pinyin is being turned into characters
    });
    input.addEventListener("compositionend", ask);
    box.append(input);
  };

  document.addEventListener("focusin", (event) => {
    if (event.target.id === "search") document.querySelector(".search").classList.add("open");
  });
  function closeSearch(leave) {
    const box = document.querySelector(".search");
    if (!box) return;
    box.classList.remove("open");
    if (leave && $("search").value) {
      $("search").value = "";
      dash_clientside.set_props("search-text", { data: "" });
    }
    if (leave && document.activeElement === $("search")) $("search").blur();
  }

  // ---- table and map light each other

  let lit = null;
  onemap.lightRow = function (code) {
    for (const row of document.querySelectorAll("#ranking .ag-row.lit")) row.classList.remove("lit");
    if (code) for (const row of document.querySelectorAll(`#ranking .ag-row[row-id="${CSS.escape(code)}"]`)) row.classList.add("lit");
  };
  document.addEventListener("mouseover", (event) => {
    const row = event.target.closest && event.target.closest("#ranking .ag-row[row-id]");
    const code = row && row.getAttribute("row-id");
    if (code === lit) return;
    const was = lit;
    lit = code;
    if (code && onemap.map.scene && onemap.map.scene.children[code]) onemap.hover(code);
    else if (was) onemap.hover(null);
  });

  // The layer menu follows the address (a link, back and forward).
  onemap.syncLayers = function () {
    for (const [name, checked] of Object.entries(onemap.layers)) {
      try {
        dash_clientside.set_props({ type: "layer", name }, { checked });
      } catch (error) {
        // a layer that is not offered here, 天地图 without a key
      }
    }
    dash_clientside.set_props("opacity", { value: onemap.opacity });
  };
})();
