// A step of a process: its form, its evidence, and handing it in. Knows no process by name.
(function () {
  "use strict";
  const { h, w, store, field } = phone;

  // The sheet of one step. `target`: { kind: "step", case_no } or { kind: "answer", code }; `seen`: the card it is taken on.
  phone.takeStep = function (step, seen, target, { onqueued = () => {} } = {}) {
    const key = phone.uuid();
    const account = target.kind === "step" ? phone.account() : null;
    const fields = (step.form || []).map((one) => ({ one, ...field(one) }));
    const photos = {};
    const rows = (step.evidence || []).map((one) =>
      h(
        "section.evidence",
        null,
        h("h3", null, w("stage." + one.stage)),
        phone.photoRow({
          key,
          stage: one.stage,
          atLeast: one.at_least,
          onchange: (list) => {
            photos[one.stage] = list;
            again();
          },
        }),
      ),
    );
    // Whoever says it is not solved may show it; nobody must.
    if (!rows.length && target.kind === "answer" && step.needs_reason)
      rows.push(
        h(
          "section.evidence",
          null,
          h("h3", null, w("stage.confirm")),
          phone.photoRow({
            key,
            stage: "confirm",
            onchange: (list) => {
              photos.confirm = list;
            },
          }),
        ),
      );
    const wantsNote = step.needs_reason || target.kind === "step" || step.tone === "danger";
    const note = h("textarea.input", { id: "step-note", rows: 3, maxlength: 1000 });
    const wrong = h("ul.faults", { role: "alert" });
    const check = () => {
      const faults = fields.map((f) => [f, f.fault()]).filter(([, words]) => words);
      for (const one of step.evidence || [])
        if ((photos[one.stage] || []).length < one.at_least)
          faults.push([null, w("photo.needed", { n: one.at_least, stage: w("stage." + one.stage) })]);
      if (step.needs_reason && !note.value.trim())
        faults.push([{ focus: () => note.focus() }, w("form.missing", { name: w("form.reason") })]);
      phone.fill(
        wrong,
        faults.map(([, words]) => h("li", null, words)),
      );
      return faults;
    };
    // Once something was found missing the list follows what is filled in.
    const again = () => {
      if (wrong.children.length) setTimeout(check, 0);
    };
    if (rows.length) phone.place.start();
    let busy = false;
    const button = h(
      "button.main" + (step.tone === "danger" ? ".main-bad" : ""),
      {
        type: "button",
        onclick: async () => {
          if (busy) return;
          const faults = check();
          if (faults.length) {
            if (faults[0][0]) faults[0][0].focus();
            return;
          }
          busy = true;
          const answers = Object.fromEntries(fields.map((f) => [f.one.id, f.read()]).filter(([, value]) => value !== undefined));
          const count = Object.values(photos).flat();
          try {
            await phone.queue({
              key,
              ...target,
              transition: step.id,
              step_name: phone.nameOf(step),
              title: seen.row.title,
              state: "queued",
              made_at: Date.now(),
              queued_at: Date.now(),
              attempts: 0,
              next_at: 0,
              why: null,
              account_id: account ? account.account_id : null,
              account_name: account ? account.name : null,
              photos: count.length,
              bytes: count.reduce((sum, p) => sum + p.bytes.byteLength, 0),
              said: note.value.trim(),
              body: { revision: seen.row.revision, answers, note: note.value.trim() },
            });
            queued = true;
            dialog.close();
            onqueued();
          } catch (error) {
            busy = false;
          }
        },
      },
      phone.nameOf(step),
    );
    let queued = false;
    const dialog = phone.sheet(
      phone.nameOf(step),
      [
        ...fields.map((f) => f.element),
        ...rows,
        wantsNote && h("div.field", null, h("label", { for: "step-note" }, step.needs_reason ? w("form.reason") : w("form.note")), note),
        wrong,
      ],
      {
        foot: button,
        onclose: () => {
          fields.forEach((f) => f.stop && f.stop());
          if (rows.length) phone.place.stop();
          if (!queued) store.forget(key);
        },
      },
    );
    for (const event of ["input", "click"]) dialog.addEventListener(event, again);
    return dialog;
  };
})();
