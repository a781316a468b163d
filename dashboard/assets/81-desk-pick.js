// Picking from a long list by typing: a unit, a person, a choice of a filter. What is typed and not picked is never an answer.
(function () {
  "use strict";
  const desk = onemap.desk;
  let made = 0;

  // Arrows walk through what is shown, Enter takes the one walked to, or the only one there is.
  desk.walk = function (input, list, { open = () => {}, close = () => false, wait = () => {} } = {}) {
    let at = -1;
    const shown = () => [...list().querySelectorAll(".menu-item:not(.menu-any)")].filter((one) => !one.hidden && one.offsetParent);
    const mark = (all) => {
      all.forEach((one, n) => {
        one.id = one.id || "walked-" + ++made;
        one.classList.toggle("walked", n === at);
      });
      if (all[at]) all[at].scrollIntoView({ block: "nearest" });
      if (all[at]) input.setAttribute("aria-activedescendant", all[at].id);
      else input.removeAttribute("aria-activedescendant");
    };
    input.addEventListener("input", () => ((at = -1), mark(shown())));
    input.addEventListener("keydown", (event) => {
      if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        event.preventDefault();
        open();
        const all = shown();
        at = all.length ? (at < 0 && step < 0 ? all.length - 1 : (at + step + all.length) % all.length) : -1;
        mark(all);
      } else if (event.key === "Enter") {
        event.preventDefault();
        const all = shown(), typed = input.value.trim();
        const taken = all[at] || (typed && all.length === 1 ? all[0] : null);
        at = -1;
        if (taken) taken.click();
        else if (typed && !all.length) wait();
      } else if (event.key === "Escape" && close()) event.stopPropagation();
    });
  };

  // A native list becomes a box to type in; the list stays, unseen, and keeps the value.
  desk.searched = function (select) {
    const el = desk.el, label = select.getAttribute("aria-label"), id = "picks-" + ++made;
    const list = el("div", { className: "menu-found found-people", id, hidden: true, aria: { role: "listbox", label } });
    const input = el("input", { type: "text", className: "input", autocomplete: "off", spellcheck: false, placeholder: desk.say("pick_unit"), aria: { label, role: "combobox", autocomplete: "list", controls: id, expanded: "false" } });
    const show = (open) => ((list.hidden = !open), input.setAttribute("aria-expanded", String(open)));
    const said = () => (input.value = select.value ? select.selectedOptions[0].textContent : "");
    const button = (option, under) => el("button", { type: "button", className: "menu-item", textContent: option.textContent, dataset: { pick: option.value, under }, tabIndex: -1, aria: { role: "option" } });
    function open(text = "") {
      if (!list.children.length)
        for (const group of select.querySelectorAll("optgroup"))
          list.append(el("div", { className: "pick-head", textContent: group.label }), ...[...group.children].map((option) => button(option, group.label)));
      let head = null;
      for (const one of list.children) {
        if (one.classList.contains("pick-head")) (head = one).hidden = true;
        else if (!(one.hidden = !(one.textContent + one.dataset.under).toLowerCase().includes(text.toLowerCase()))) head.hidden = false;
      }
      show(true);
    }
    input.addEventListener("input", () => {
      select.value = "";
      open(input.value.trim());
    });
    input.addEventListener("click", () => list.hidden && (open(), input.select()));
    input.addEventListener("blur", () => show(false));
    list.addEventListener("mousedown", (event) => event.preventDefault()); // the box keeps the keyboard
    list.addEventListener("click", (event) => {
      const one = event.target.closest("[data-pick]");
      if (!one) return;
      select.value = one.dataset.pick;
      said();
      show(false);
      select.dispatchEvent(new Event("input", { bubbles: true }));
    });
    select.addEventListener("change", said);
    desk.walk(input, () => list, { open: () => list.hidden && open(), close: () => !list.hidden && (show(false), true) });
    select.tabIndex = -1;
    select.setAttribute("aria-hidden", "true");
    select.before(input, list);
    said();
  };

  // ---- people are found by the server; what it sends is one list, shown where it was asked for

  let waiting = null, asked = "", take = false;
  desk.findPeople = function (text, target, enter = false) {
    [waiting, take, asked] = [target, enter, String(++desk.seq)];
    const unit = target.closest(".dialog") && target.closest(".dialog").querySelector("[data-field='unit'] select");
    desk.set("desk-person", { text: text.trim(), unit: unit ? unit.value : null, seq: desk.seq });
  };
  desk.peopleFound = function () {
    const came = [...document.getElementById("desk-people").children];
    if (!waiting || (came[0] && came[0].dataset.for !== asked)) return; // an answer to letters typed before
    waiting.replaceChildren(...came.map((one) => one.cloneNode(true)));
    const people = waiting.querySelectorAll("[data-person]");
    if (take && people.length === 1) people[0].click();
    take = false;
  };
  desk.personBox = function (d) {
    const el = desk.el, id = "picks-" + ++made;
    const hidden = el("input", { type: "hidden", value: d.value || "" });
    const found = el("div", { className: "menu-found found-people", id, aria: { role: "listbox", label: d.label } });
    const input = el("input", { type: "text", className: "input", placeholder: desk.say("pick_person"), autocomplete: "off", spellcheck: false, aria: { label: d.label, role: "combobox", autocomplete: "list", controls: id } });
    let timer = null;
    const ask = (enter = false) => (clearTimeout(timer), desk.findPeople(input.value, found, enter));
    const later = () => (clearTimeout(timer), (timer = setTimeout(ask, 220)));
    input.addEventListener("input", (event) => {
      hidden.value = hidden.dataset.name = "";
      found.replaceChildren(); // who was found by other letters must not be taken by Enter
      if (!event.isComposing) later();
    });
    input.addEventListener("compositionend", later);
    desk.walk(input, () => found, { open: () => found.children.length || hidden.value || ask(), close: () => found.children.length > 0 && (found.replaceChildren(), true), wait: () => ask(true) });
    return [input, hidden, found];
  };

  // Typed, and nothing picked: what stands there; null when there is no such box or it was answered.
  desk.unpicked = function (field, value) {
    const box = value === null && field.querySelector("input[role='combobox']");
    return (box && box.value.trim()) || null;
  };
})();
