// Steps are sent the way the phone sends them: one request with the photos in it, the same key when it is sent again.
(function () {
  "use strict";
  const desk = onemap.desk;
  const say = desk.say;
  const el = desk.el;
  const PART = 10; // cases of a bulk step sent at once: small enough to show that it moves

  // crypto.randomUUID needs https; a county's office may not have it.
  const uuid = () => "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) => (c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16));

  async function post(address, name, content, files, key) {
    const form = new FormData();
    form.append(name, JSON.stringify(content));
    for (const file of files) form.append("photo", file, file.name);
    const answer = await fetch(address, { method: "POST", body: form, headers: { "Idempotency-Key": key, "X-Onemap-Language": onemap.config.language } });
    let got = {};
    try {
      got = await answer.json();
    } catch (error) {
      got = {};
    }
    return { ok: answer.ok, status: answer.status, got };
  }

  function tell(dialog, words, good = false) {
    const said = dialog.querySelector(".dialog-said");
    said.textContent = words;
    said.classList.toggle("good", good);
  }
  const together = (got) => [got.message, got.next_step].filter(Boolean).join(" ");
  const busy = (dialog, is) => dialog.querySelectorAll(".dialog-foot button").forEach((b) => (b.disabled = is));

  desk.send = async function (dialog) {
    if (!dialog || dialog.sending || !dialog.querySelector("[data-send]")) return;
    const read = desk.collect(dialog);
    if (desk.fault(dialog, read.faults)) return tell(dialog, say("faults", { n: Object.keys(read.faults).length }));
    dialog.sending = true;
    dialog.key_ = dialog.key_ || uuid();
    busy(dialog, true);
    tell(dialog, say("sending"), true);
    try {
      if (dialog.dataset.newProcess) await create(dialog, read);
      else if (Number(dialog.dataset.count) > 1 || !dialog.dataset.no) await many(dialog, read);
      else await step(dialog, read);
    } catch (error) {
      tell(dialog, `${say("away")} ${say("away_next")}`); // the key stays: sent again, it is the same
    } finally {
      dialog.sending = false;
      if (dialog.isConnected && !dialog.done_) busy(dialog, false);
    }
  };

  async function step(dialog, { answers, files, stages }) {
    const { no, step: transition, revision } = dialog.dataset;
    const { note = "", ...rest } = answers;
    const taken = { revision: Number(revision), answers: rest, note: note || "", photos: stages };
    const { ok, status, got } = await post(`/api/cases/${encodeURIComponent(no)}/${transition}`, "taken", taken, files, dialog.key_);
    if (ok) {
      const name = dialog.getAttribute("aria-label");
      desk.closeDialog();
      desk.refresh();
      return done(say("taken", { step: name }), no, got);
    }
    if (status === 409) {
      desk.closeDialog();
      desk.refresh();
      return onemap.toast({ text: got.message, next: [got.next_step, say("conflict")].filter(Boolean).join(" ") });
    }
    refused(dialog, status, got);
  }

  function refused(dialog, status, got) {
    if (status >= 500) throw new Error(String(status));
    dialog.key_ = null; // what was sent was looked at and refused: the next try is another one
    const at = got.faults && desk.fault(dialog, got.faults);
    const loose = Object.entries(got.faults || {}).filter(([name]) => !dialog.querySelector(`[data-field="${CSS.escape(name)}"]`)).map(([, words]) => words);
    tell(dialog, [at ? say("faults", { n: Object.keys(got.faults).length }) : together(got), ...loose].join(" "));
  }

  // Done; while the process lets them, the same person may take it back.
  function done(words, no, got) {
    onemap.toast({ text: words, next: no, good: true });
    if (!got || !(got.steps || []).some((s) => s.id === "undo")) return;
    const box = document.getElementById("toast");
    const button = el("button", { className: "control", textContent: say("undo") });
    button.addEventListener("click", async () => {
      button.disabled = true;
      const answer = await post(`/api/cases/${encodeURIComponent(no)}/undo`, "taken", { revision: got.row.revision, answers: {}, note: "" }, [], uuid()).catch(() => null);
      onemap.toast(answer && answer.ok ? { text: say("undone"), next: no, good: true } : { text: answer ? together(answer.got) : say("away") });
      desk.refresh();
    });
    box.append(button);
    clearTimeout(box.timer);
    box.timer = setTimeout(() => (box.className = ""), 10000);
  }

  async function create(dialog, { answers, files, stages }) {
    const { title, detail, channel, item_code, place, reporter_name, reporter_phone, reporter_address, ...rest } = answers;
    const report = {
      process: dialog.dataset.newProcess, title, detail: detail || "", channel, item_code: item_code || null, lonlat: place || null,
      source_crs: place ? "EPSG:4490" : null, answers: rest, reporter_name: reporter_name || null, reporter_phone: reporter_phone || null, reporter_address: reporter_address || null, photos: stages,
    };
    const { ok, status, got } = await post("/api/reports", "report", report, files, dialog.key_);
    if (!ok) return refused(dialog, status, got);
    dialog.done_ = true;
    dialog.querySelector(".dialog-body").replaceChildren(el("div", { className: "receipt" },
      el("b", { textContent: desk.words.new_done.replace("{no}", got.case_no) }), el("p", { className: "receipt-code", textContent: desk.words.new_code.replace("{code}", got.follow_code) }), el("p", { className: "muted", textContent: got.due_words || "" })));
    tell(dialog, "");
    dialog.querySelector(".dialog-foot").replaceChildren(
      el("button", { className: "control", textContent: say("close"), dataset: { cancel: "1" } }),
      el("button", { className: "control control-main", textContent: got.case_no, onclick: () => (desk.closeDialog(), desk.show(got.case_no)) }));
    desk.refresh();
  }

  // ---- many at once: told what will happen, sent in parts, the result of each shown

  let run = null;
  async function many(dialog, { answers }) {
    const cases = desk.picked().map((row) => [row.no, row.rev]);
    const name = dialog.getAttribute("aria-label");
    if (!dialog.sure_) {
      dialog.sure_ = true;
      dialog.querySelector("[data-send]").textContent = say("bulk_head", { n: cases.length });
      return tell(dialog, say("bulk_said", { n: cases.length, step: name }), true);
    }
    const { note = "", ...rest } = answers;
    run = { dialog, step: dialog.dataset.step, cases, answers: rest, note: note || "", done: [], at: 0 };
    await new Promise((finish) => ((run.finish = finish), part()));
  }
  function part() {
    const cases = run.cases.slice(run.at, run.at + PART);
    if (!cases.length) return finished();
    tell(run.dialog, say("bulk_running", { done: run.at, n: run.cases.length }), true);
    run.seq = ++desk.seq;
    desk.set("desk-bulk", { step: run.step, cases, answers: run.answers, note: run.note, seq: run.seq });
  }
  desk.nextPart = function (answer) {
    if (!run || answer.seq !== run.seq) return;
    run.done.push(...answer.done);
    run.at += PART;
    part();
  };
  function finished() {
    const { dialog, done } = run, failed = done.filter((d) => !d.ok);
    const line = (d) => el("li", { className: d.ok ? "" : "failed" }, el("i", { className: "mark-of mark-" + (d.ok ? "done" : "breached") }), el("span", { className: "code", textContent: d.case_no }), el("span", { textContent: d.ok ? say("bulk_ok") : d.message }));
    dialog.done_ = true;
    dialog.querySelector(".dialog-body").replaceChildren(el("div", { className: "bulk-done" }, el("b", { textContent: say("bulk_done", { ok: done.length - failed.length, n: done.length }) }), el("ol", {}, ...failed.map(line), ...done.filter((d) => d.ok).map(line))));
    tell(dialog, failed.length ? say("bulk_failed", { n: failed.length }) : "");
    dialog.querySelector(".dialog-foot").replaceChildren(el("button", { className: "control control-main", textContent: say("close"), dataset: { cancel: "1" } }));
    desk.unselect();
    desk.refresh();
    run.finish();
    run = null;
  }

  // ---- what a new case may be the same as, and what it sounds like, while it is written

  desk.nearFound = function () {
    for (const what of ["near", "guess"]) {
      const place = document.querySelector(`.dialog-new .${what}-here`);
      if (place) place.replaceChildren(...[...document.getElementById("desk-" + what).children].map((c) => c.cloneNode(true)));
    }
  };
  let timer = null;
  document.addEventListener("input", (event) => {
    const dialog = event.target.closest && event.target.closest(".dialog-new");
    if (!dialog) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      const value = (name, what) => (dialog.querySelector(`[data-field="${name}"] ${what}`) || {}).value || "";
      const place = dialog.querySelector("[data-place='point']");
      desk.set("desk-near-asked", { lonlat: (place && place.value_) || null, item: value("item_code", "select"), text: `${value("title", "input")} ${value("detail", "textarea")}`.trim(), seq: ++desk.seq });
    }, 350);
  });
})();
