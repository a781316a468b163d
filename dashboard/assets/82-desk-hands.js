// Hands on the desk: clicks and keys. What they mean is in the address (desk.go) or in a dialog (desk.ask).
(function () {
  "use strict";
  const desk = onemap.desk;
  const $ = (id) => document.getElementById(id);
  const closeMenus = () => document.querySelectorAll("#desk details[open]").forEach((open) => (open.open = false));
  let at = -1; // the row the keyboard stands on

  desk.ask = (asked) => desk.set("desk-ask", { ...asked, seq: ++desk.seq });
  desk.closeDialog = () => desk.ask({ kind: "none" });

  const acts = {
    view: (d) => desk.go({ view: d.view === "open" ? null : d.view }),
    page: (d) => desk.go({ page: d.page }),
    show: (d) => desk.go({ show: d.show === "board" ? "board" : null }),
    more: (d) => desk.go({ show: null, state: d.more }),
    clear: () => {
      const { view, process, sort, show } = desk.asked;
      const box = $("desk-search");
      if (box) box.value = "";
      for (const key of Object.keys(desk.asked)) delete desk.asked[key];
      desk.go({ view, process, sort, show });
    },
    dates: (_, element) => {
      const [from, to] = element.closest(".menu").querySelectorAll("input");
      closeMenus();
      desk.go({ from: from.value, to: to.value });
    },
    choose: (d) => {
      const now = (desk.asked[d.choose] || "").split(",").filter(Boolean);
      if (d.many === "1") return desk.go({ [d.choose]: (now.includes(d.code) ? now.filter((c) => c !== d.code) : [...now, d.code]).join(",") });
      closeMenus();
      if (d.choose === "process") return desk.go({ process: d.code === "incident" ? null : d.code, state: null, item: null });
      desk.go({ [d.choose]: d.code, ...(d.choose === "who" ? { whoname: null } : {}) });
    },
    case: (d) => desk.kind() === "queue" ? desk.show(d.case) : (location.href = "/desk/" + encodeURIComponent(d.case)),
    peek: (d) => window.open("/desk/" + encodeURIComponent(d.peek), "_blank", "noopener"),
    close: () => desk.show(null),
    take: (d, element) => {
      closeMenus();
      if (!d.take) return;
      const no = d.of || element.closest("[data-no]").dataset.no;
      desk.ask({ kind: "step", no, step: d.take, prefill: d.prefill || null });
    },
    compare: (d, element) => desk.ask({ kind: "compare", no: element.closest("[data-no]").dataset.no, other: d.compare }),
    new: () => desk.ask({ kind: "new", process: desk.asked.process || "incident" }),
    bulk: (d) => desk.ask({ kind: "bulk", step: d.bulk, cases: desk.picked().map((row) => row.no) }),
    unselect: () => desk.unselect(),
    cancel: () => desk.closeDialog(),
    send: (_, element) => desk.send(element.closest(".dialog")),
    print: () => window.print(),
    copyText: (d) => desk.copy(d.copyText),
    photo: (d, element) => desk.lightbox(element),
    reveal: (d, element) => desk.reveal(element),
    guess: (d, element) => {
      const list = (element.closest("[data-field]") || document.querySelector(".dialog [data-field='item_code']")).querySelector("select");
      list.value = d.guess;
      list.dispatchEvent(new Event("input", { bubbles: true }));
    },
    period: (d) => desk.report({ period: d.period, level: desk.period.level }),
    level: (d) => desk.report({ ...desk.period, level: d.level }),
    periodDates: (_, element) => {
      const [from, to] = element.closest(".period").querySelectorAll("input");
      desk.report({ from: from.value, to: to.value, level: desk.period.level });
    },
    preview: () => desk.leaving("desk-leaving-asked"),
    handover: (_, element) => desk.leaving("desk-leaving-done", element),
    language: (d) => {
      const asked = new URLSearchParams(location.search);
      d.language === "zh" ? asked.delete("lang") : asked.set("lang", d.language);
      location.search = asked.toString();
    },
  };
  const kebab = (name) => name.replace(/[A-Z]/g, (c) => "-" + c.toLowerCase());
  const SELECTOR = Object.keys(acts).map((name) => `[data-${kebab(name)}]`).join(",");

  document.addEventListener("click", (event) => {
    if (!event.target.closest(".menu-holder")) closeMenus();
    const element = event.target.closest(SELECTOR);
    if (element && !element.disabled) {
      if (element.tagName === "A") event.preventDefault();
      // an element may carry details for another act (data-code beside data-choose): the first that is an act decides
      const name = Object.keys(acts).find((one) => one in element.dataset);
      return acts[name](element.dataset, element);
    }
    const person = event.target.closest("#desk-filters [data-person]");
    if (person) {
      closeMenus();
      return desk.go({ who: person.dataset.person, whoname: person.dataset.personName });
    }
    const row = event.target.closest("#desk-table .ag-row[row-id]");
    if (row && !event.target.closest(".ag-selection-checkbox, input")) desk.show(row.getAttribute("row-id"));
    if (event.target.classList.contains("dialog-holder") && !event.target.querySelector(".dialog [data-send]")) desk.closeDialog();
  });

  // ---- keys: / search, j k up and down, Enter open, x select, Esc back, n new

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea, select");
    const dialog = document.querySelector("#desk-dialog .dialog");
    if (event.key === "Escape") {
      if (!$("desk-lightbox").hidden) return desk.lightbox(null);
      if (document.querySelector("#desk details[open]")) return closeMenus();
      if (dialog) return desk.closeDialog();
      if (typing) return event.target.blur();
      if (desk.open && desk.kind() === "queue") return desk.show(null);
      return;
    }
    if (!$("desk-lightbox").hidden && (event.key === "ArrowLeft" || event.key === "ArrowRight")) return desk.turn(event.key === "ArrowRight" ? 1 : -1);
    if (dialog) {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) desk.send(dialog);
      return event.key === "Tab" ? trap(event, dialog) : undefined;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && $("desk-search")) {
      event.preventDefault();
      $("desk-search").focus();
      $("desk-search").select();
    } else if (desk.kind() !== "queue") return;
    else if (event.key === "j" || event.key === "ArrowDown") walk(1, event);
    else if (event.key === "k" || event.key === "ArrowUp") walk(-1, event);
    else if (event.key === "Enter" && !event.target.closest("button, a, summary") && current()) desk.show(current());
    else if (event.key === "x" && current()) desk.toggle(current());
    else if (event.key === "n") document.querySelector("[data-new]") && acts.new();
  });

  function trap(event, dialog) {
    const inside = [...dialog.querySelectorAll("button, input, select, textarea, a[href]")].filter((e) => !e.disabled && !e.hidden && e.type !== "hidden" && e.offsetParent);
    const [first, last] = [inside[0], inside[inside.length - 1]];
    if (event.shiftKey && document.activeElement === first) last.focus(), event.preventDefault();
    else if (!event.shiftKey && document.activeElement === last) first.focus(), event.preventDefault();
    else if (!dialog.contains(document.activeElement)) first.focus(), event.preventDefault();
  }

  const current = () => (desk.rows()[at] || {}).no;
  function walk(step, event) {
    const rows = desk.rows();
    if (!rows.length || desk.asked.show === "board") return;
    event.preventDefault();
    at = Math.max(0, Math.min(rows.length - 1, at + step));
    desk.mark(rows[at].no, true);
    if (desk.open) desk.show(rows[at].no, { replace: true });
  }
  // The row of the open case, or of the keyboard, is lit.
  desk.mark = function (no = desk.open, seek = false) {
    const rows = desk.rows();
    const found = rows.findIndex((row) => row.no === no);
    if (found >= 0) at = found;
    else if (at >= rows.length) at = -1;
    const api = desk.grid();
    if (api && seek && found >= 0) api.ensureIndexVisible(found);
    for (const row of document.querySelectorAll("#desk-table .ag-row, .board-card")) row.classList.toggle("lit", (row.getAttribute("row-id") || row.dataset.case) === no);
    document.documentElement.dataset.row = no || "";
  };

  desk.copy = async function (text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch (error) {
      const area = desk.el("textarea", { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    onemap.toast({ text: desk.say("copied"), next: text, good: true });
  };

  desk.report = function (asked) {
    desk.period = asked;
    const address = new URLSearchParams(Object.entries(asked).filter(([, v]) => v));
    if (onemap.config.language !== "zh") address.set("lang", onemap.config.language);
    history.pushState(null, "", "/desk/reports?" + address);
    desk.set("desk-period-asked", { ...asked, seq: ++desk.seq });
  };

  desk.leaving = function (store, button) {
    const { answers, faults } = desk.collect($("desk"));
    if (desk.fault($("desk"), faults)) return;
    if (button && !button.dataset.sure) {
      button.dataset.sure = "1";
      button.textContent = desk.say("handover_sure");
      return;
    }
    if (button) button.disabled = true;
    const name = (field) => document.querySelector(`[data-field="${field}"] input[type='hidden']`).dataset.name;
    desk.set(store, { from: answers.from, to: answers.to, reason: answers.reason, from_name: name("from"), to_name: name("to"), seq: ++desk.seq });
  };
})();
