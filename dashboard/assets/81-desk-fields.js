// Inputs of the desk's forms, made in the empty boxes the server describes; read, checked and faulted here.
(function () {
  "use strict";
  const desk = onemap.desk;
  const say = desk.say;
  const PHOTO_BYTES = 20 * 1024 * 1024, PHOTOS = 9, KINDS = ["image/jpeg", "image/png", "image/webp"];
  const el = (tag, options = {}, ...children) => {
    const { dataset = {}, aria = {}, ...rest } = options;
    const made = Object.assign(document.createElement(tag), rest);
    Object.assign(made.dataset, dataset);
    for (const [name, value] of Object.entries(aria)) made.setAttribute(name === "role" ? name : "aria-" + name, value);
    made.append(...children);
    return made;
  };
  desk.el = el;

  // ---- boxes

  const later = (act, wait = 220) => {
    let timer = null;
    return (...values) => {
      clearTimeout(timer);
      timer = setTimeout(() => act(...values), wait);
    };
  };

  function box(type, d) {
    const input = el("input", { type, className: "input", autocomplete: "off", value: d.value || "", maxLength: Number(d.length) || 200, aria: { label: d.label } });
    if (type === "number") Object.assign(input, { min: d.min, max: d.max, step: "any", inputMode: "decimal" });
    return d.unit ? [el("span", { className: "with-unit" }, input, el("span", { textContent: d.unit }))] : [input];
  }

  const make = {
    text: (d) => box("text", d), tel: (d) => box("tel", d), number: (d) => box("number", d), date: (d) => box("date", d), "datetime-local": (d) => box("datetime-local", d),
    checkbox: (d) => [choices(d, [["true", say("yes")], ["false", say("no")]])],
    rating: (d) => [choices(d, [1, 2, 3, 4, 5].map((n) => [String(n), "★".repeat(n)]), (n) => say("stars", { n }))],
    search(d) {
      const input = el("input", { type: "search", id: "desk-search", className: "input", placeholder: d.label, maxLength: 60, autocomplete: "off", spellcheck: false, value: desk.asked.text || "", aria: { label: d.label } });
      const ask = later(() => input.value.trim() !== (desk.asked.text || "") && desk.go({ text: input.value.trim() }), 300);
      input.addEventListener("input", (event) => event.isComposing || ask());
      input.addEventListener("compositionend", ask);
      return [input];
    },
    find(d) {
      const input = el("input", { type: "text", className: "input", placeholder: d.label, autocomplete: "off", aria: { label: d.label } });
      input.addEventListener("input", () => {
        const text = input.value.trim().toLowerCase();
        for (const item of input.closest(".menu").querySelectorAll("[data-code]")) item.hidden = Boolean(item.dataset.code) && !item.textContent.toLowerCase().includes(text);
      });
      desk.walk(input, () => input.closest(".menu"));
      return [input];
    },
    "find-person"(d) {
      const input = el("input", { type: "text", className: "input", placeholder: d.label, autocomplete: "off", aria: { label: d.label } });
      const ask = later(() => desk.findPeople(input.value, input.closest(".menu").querySelector(".menu-found")));
      input.addEventListener("input", (event) => event.isComposing || ask());
      input.addEventListener("compositionend", ask);
      const found = () => input.closest(".menu").querySelector(".menu-found");
      input.addEventListener("input", () => found().replaceChildren());
      desk.walk(input, found, { wait: () => desk.findPeople(input.value, found(), true) });
      return [input];
    },
    person: (d) => desk.personBox(d),
    case(d) {
      const input = box("text", d)[0];
      const near = (d.near || "").split(",").filter(Boolean);
      const quick = near.map((no) => el("button", { type: "button", className: "template", textContent: no, onclick: () => (input.value = no) }));
      return near.length ? [input, el("div", { className: "templates" }, el("small", { className: "muted", textContent: say("case_near") }), ...quick)] : [input];
    },
    photos: (d) => desk.photoBox(d),
    point: (d) => desk.pointBox(d),
    extent: (d) => desk.extentBox(d),
  };

  function choices(d, listed, title = () => "") {
    const group = el("div", { className: "choices", aria: { role: "group", label: d.label } });
    for (const [code, words] of listed) group.append(el("button", { type: "button", className: "choice-button", textContent: words, title: title(code), dataset: { option: code }, aria: { pressed: String(d.value === code) } }));
    return group;
  }

  desk.fill = function (root) {
    for (const slot of root.querySelectorAll("[data-input]:empty")) slot.append(...(make[slot.dataset.input] || make.text)(slot.dataset));
    for (const list of root.querySelectorAll("select[data-value]:not([data-set])")) {
      list.dataset.set = "1";
      if (list.dataset.value) list.value = list.dataset.value;
    }
    for (const list of root.querySelectorAll(".select-searched > select:first-child")) desk.searched(list);
  };
  let shown = null;
  new MutationObserver((changes) => {
    if (!changes.some((c) => c.addedNodes.length)) return;
    desk.fill(document.getElementById("desk") || document.body);
    const dialog = document.querySelector("#desk-dialog .dialog");
    if (dialog !== shown && (shown = dialog)) {
      const first = dialog.querySelector(".dialog-body input:not([type='hidden']):not([hidden]), .dialog-body textarea, .dialog-body select, .dialog-foot button");
      if (first) first.focus({ preventScroll: true });
    }
  }).observe(document.documentElement, { childList: true, subtree: true });

  document.addEventListener("click", (event) => {
    const option = event.target.closest("[data-option]");
    if (option) {
      const chosen = option.getAttribute("aria-pressed") !== "true";
      for (const other of option.parentElement.children) other.setAttribute("aria-pressed", String(chosen && other === option));
      clearFault(option.closest("[data-field]"));
    }
    const template = event.target.closest("[data-template]");
    if (template) {
      const note = template.closest(".field").querySelector("textarea");
      note.value = (note.value ? note.value.replace(/\s*$/, "\n") : "") + template.dataset.template;
      note.focus();
      clearFault(note.closest("[data-field]"));
    }
    const person = event.target.closest("[data-person]");
    const box = person && person.closest("[data-field]");
    if (box) {
      const [input, hidden] = box.querySelectorAll("input");
      hidden.value = person.dataset.person;
      hidden.dataset.name = input.value = person.dataset.personName;
      box.querySelector(".menu-found").replaceChildren();
      clearFault(box);
    }
  });
  document.addEventListener("input", (event) => clearFault(event.target.closest && event.target.closest("[data-field]")));

  // ---- photos

  desk.photoBox = function (d) {
    const files = [];
    const list = el("div", { className: "photos" });
    const said = el("small", { className: "field-hint" });
    const input = el("input", { type: "file", accept: KINDS.join(","), multiple: true, hidden: true, aria: { label: d.label } });
    const draw = () => list.replaceChildren(...files.map((file, n) => {
      const picture = el("img", { src: URL.createObjectURL(file), alt: file.name });
      picture.onload = () => URL.revokeObjectURL(picture.src);
      return el("span", { className: "photo" }, picture, el("button", { type: "button", className: "photo-out", textContent: "×", title: say("remove"), aria: { label: say("remove") }, onclick: () => (files.splice(n, 1), draw()) }));
    }), add);
    const take = (more) => {
      said.textContent = "";
      for (const file of more) {
        if (!KINDS.includes(file.type)) said.textContent = say("photo_kind");
        else if (file.size > PHOTO_BYTES) said.textContent = say("photo_big");
        else if (files.length >= PHOTOS) said.textContent = say("photos_most");
        else files.push(file);
      }
      input.value = "";
      draw();
      clearFault(list.closest("[data-field]"));
    };
    const add = el("button", { type: "button", className: "photo photo-add", textContent: "+ " + say("add_photo"), onclick: () => input.click() });
    input.addEventListener("change", () => take(input.files));
    list.addEventListener("dragover", (event) => event.preventDefault());
    list.addEventListener("drop", (event) => (event.preventDefault(), take(event.dataTransfer.files)));
    list.files = files;
    draw();
    return [list, input, said];
  };

  // ---- reading a form

  const readers = {
    number: (text) => (text === "" ? null : Number(text)), money: (text) => (text === "" ? null : Number(text)), rating: (text) => (text === "" ? null : Number(text)),
    bool: (text) => (text === "" ? null : text === "true"), person: (text) => (text === "" ? null : Number(text)),
  };

  function valueOf(field) {
    const kind = field.dataset.kind;
    const place = field.querySelector("[data-place]");
    if (place) return place.value_ || null;
    const pressed = field.querySelector("[data-option][aria-pressed='true']");
    if (field.querySelector("[data-option]")) return (readers[kind] || ((v) => v))(pressed ? pressed.dataset.option : "") ?? null;
    const input = ["input[type='hidden']", "select", "textarea, input:not([type='file'])"].map((one) => field.querySelector(one)).find(Boolean);
    const text = input ? input.value.trim() : "";
    return readers[kind] ? readers[kind](text) : text || null;
  }

  // Everything a form holds, and every fault at once.
  desk.collect = function (dialog) {
    const answers = {}, faults = {}, files = [], stages = [];
    for (const field of dialog.querySelectorAll("[data-field]")) {
      const name = field.dataset.field, kind = field.dataset.kind;
      if (field.querySelector(".photos")) {
        const slot = field.querySelector("[data-input='photos']"), chosen = field.querySelector(".photos").files;
        chosen.forEach((file) => (files.push(file), stages.push({ stage: slot.dataset.name })));
        if (chosen.length < Number(slot.dataset.least)) faults[name] = say("photos_needed", { n: slot.dataset.least });
        continue;
      }
      const value = valueOf(field);
      const typed = desk.unpicked(field, value);
      if (typed) faults[name] = say("pick_it", { text: typed });
      else if (value === null && field.querySelector(".field-label em")) faults[name] = say("needed");
      else if (typeof value === "number" && Number.isNaN(value)) faults[name] = say("needed");
      if (value !== null) answers[name] = value;
    }
    return { answers, faults, files, stages };
  };

  desk.fault = function (root, faults) {
    for (const field of root.querySelectorAll("[data-field]")) clearFault(field);
    let first = null;
    for (const [name, words] of Object.entries(faults)) {
      const field = root.querySelector(`[data-field="${CSS.escape(name)}"]`);
      if (!field) continue;
      field.classList.add("faulty");
      field.querySelector(".field-fault").textContent = words;
      first = first || field;
    }
    const input = first && first.querySelector("input:not([type='hidden']):not([hidden]), select, textarea, button");
    if (input) input.focus();
    return Boolean(first);
  };
  function clearFault(field) {
    if (!field || !field.classList.contains("faulty")) return;
    field.classList.remove("faulty");
    field.querySelector(".field-fault").textContent = "";
  }
})();
