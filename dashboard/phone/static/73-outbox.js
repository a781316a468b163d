// What lies on this phone, one line each: how it stands, why, and what a person can do about it.
(function () {
  "use strict";
  const { h, w, icon, store } = phone;

  const thumbOf = (photos) => (photos[0] ? phone.picture(photos[0], { small: true }) : h("span.nophoto", null, icon("edit", 22)));
  const broke = (share) => share > 0.02 && share < 1;

  function standing(record) {
    const share = phone.uploading.get(record.key);
    const portion = Math.floor((share ?? record.progress ?? 0) * 100);
    if (record.state === "sending")
      return h("span.state.state-go", null, portion > 0 ? w("state.sending_share", { n: portion }) : w("state.sending"));
    if (record.state === "queued" && broke(record.progress)) return h("span.state.state-warn", null, w("state.broken", { n: portion }));
    if (record.state === "queued" && record.why && record.why.status === 429) return h("span.state.state-warn", null, w("state.too_fast"));
    if (record.state === "queued") return h("span.state", null, w("state.saved"));
    if (record.state === "signin") return h("span.state.state-warn", null, w(record.other ? "state.other_account" : "state.sign_in"));
    if (record.state === "done")
      return h("span.state.state-good", null, icon("check", 18), w(record.kind === "report" ? "state.accepted" : "state.delivered"));
    if (record.state === "conflict") return h("span.state.state-bad", null, w("state.conflict"));
    return h("span.state.state-bad", null, w("state.change"));
  }
  phone.standingOf = standing;

  const titleOf = (record) =>
    record.kind === "report" ? record.title : `${record.step_name}${w("colon")}${record.title || record.case_no}`;

  async function line(record) {
    const photos = (await store.photosOf(record.key)).filter((p) => p.small);
    const share = phone.uploading.get(record.key) ?? record.progress;
    const more = [
      phone.time(record.queued_at),
      record.photos ? w("photo.count", { n: record.photos }) : null,
      record.bytes && record.state !== "done" ? phone.bytes(record.bytes) : null,
    ]
      .filter(Boolean)
      .join(w("comma"));
    return h(
      "li.row",
      { "data-key": record.key, "data-state": record.state },
      h(
        "button.row-open",
        { type: "button", onclick: () => open(record) },
        h("span.row-thumb", null, thumbOf(photos)),
        h(
          "span.row-words",
          null,
          h("b", null, titleOf(record)),
          h(
            "span",
            null,
            record.state !== "done" || !record.answer || !record.answer.case_no
              ? more
              : record.answer.follow_code && !record.account_id // without an account the code is the only way back to it
                ? w("mine.code", { code: record.answer.follow_code })
                : w("mine.number", { no: record.answer.case_no }),
          ),
          ["queued", "sending"].includes(record.state) &&
            share > 0.02 &&
            h("span.bar", null, h("i", { style: { width: `${Math.round(share * 100)}%` } })),
        ),
        standing(record),
      ),
    );
  }

  function open(record) {
    if (record.state === "done" && record.kind === "report") return receipt(record);
    if (record.state === "done") return phone.go(record.kind === "step" ? `/m/t/${record.case_no}` : `/m/f/${record.code}`);
    if (record.state === "conflict") return conflict(record);
    const why = record.why;
    const body = [];
    if (record.state === "signin")
      body.push(
        h(
          "p.lead",
          null,
          record.other
            ? w("mine.other_account", { name: record.account_name || "" })
            : w("mine.sign_in", { name: record.account_name || "" }),
        ),
      );
    else if (record.state === "blocked")
      body.push(
        h("p.lead", null, (why && why.message) || w("error.other")),
        why && why.next_step && h("p", null, why.next_step),
        why &&
          why &&
          h(
            "ul.faults",
            null,
            Object.values(why.faults || {}).map((f) => h("li", null, typeof f === "string" ? f : f.message || "")),
          ),
      );
    else if (why && why.message) body.push(h("p.lead", null, why.message), h("p", null, why.next_step));
    else body.push(h("p.lead", null, navigator.onLine === false ? w("mine.no_network") : w("mine.waiting")));
    if (record.said) body.push(h("blockquote", null, record.said));
    body.push(
      h(
        "p.note",
        null,
        [w("mine.kept", { t: phone.time(record.queued_at) }), record.attempts ? w("mine.tried", { n: record.attempts }) : null]
          .filter(Boolean)
          .join(w("comma")),
      ),
    );
    const foot = [
      h(
        "button.plain.plain-bad",
        {
          type: "button",
          onclick: () => {
            dialog.close();
            drop(record);
          },
        },
        icon("bin", 20),
        w("mine.delete"),
      ),
      record.state === "signin"
        ? h("a.main", { href: phone.login() }, w("sign_in"))
        : record.state === "blocked" && record.kind === "report"
          ? h(
              "button.main",
              {
                type: "button",
                onclick: async () => {
                  dialog.close();
                  await edit(record);
                },
              },
              w("mine.edit"),
            )
          : h(
              "button.main",
              {
                type: "button",
                onclick: () => {
                  dialog.close();
                  retry(record);
                },
              },
              w("mine.send_now"),
            ),
    ];
    const dialog = phone.sheet(titleOf(record), body, { foot });
  }

  async function retry(record) {
    await store.change(record.key, (r) => ({ ...r, state: "queued", next_at: 0, why: null }));
    store.tell();
    const done = await phone.flush({ force: true });
    if (done && done.away) phone.say(w("error.away"), { bad: true });
  }
  // Refused as it was: it is a draft again, under the same key, because nothing was stored under it.
  async function edit(record) {
    const other = await store.get("kept", "draft");
    const draft = other && other !== record.key ? await store.get("outbox", other) : null;
    if (draft && draft.state === "draft") await store.put("outbox", { ...draft, state: "aside" });
    await store.change(record.key, (r) => ({ ...r, state: "draft", text: r.said || r.text, why: null }));
    await store.put("kept", record.key, "draft");
    phone.go("/m/report");
  }
  function drop(record) {
    const dialog = phone.sheet(w("mine.delete_title"), h("p.lead", null, w("mine.delete_ask", { title: titleOf(record) })), {
      foot: [
        h("button.plain", { type: "button", onclick: () => dialog.close() }, w("mine.keep")),
        h(
          "button.main.main-bad",
          {
            type: "button",
            onclick: async () => {
              await store.forget(record.key);
              dialog.close();
            },
          },
          w("mine.delete"),
        ),
      ],
    });
  }

  function receipt(record) {
    const { case_no, follow_code, due_words } = record.answer;
    phone.sheet(
      w("receipt.title"),
      [
        h("p.lead", null, w("receipt.lead")),
        h(
          "dl.facts",
          null,
          h("dt", null, w("receipt.number")),
          h("dd", null, case_no),
          h("dt", null, w("receipt.code")),
          h("dd.code", null, follow_code),
        ),
        due_words && h("p.note", null, due_words),
        phone.qr(follow_code),
      ],
      {
        foot: h(
          "button.main",
          {
            type: "button",
            onclick: (e) => {
              e.target.closest("dialog").close();
              phone.go(`/m/f/${follow_code}`);
            },
          },
          w("receipt.follow"),
        ),
      },
    );
  }
  phone.qr = (code) =>
    h(
      "figure.qr",
      null,
      h("img", {
        src: `/m/f/${code}/qr.svg`,
        width: 176,
        height: 176,
        alt: w("receipt.qr"),
        onerror: (e) => e.target.closest("figure").remove(),
      }),
      h("figcaption.note", null, w("receipt.qr_note")),
    );

  // Somebody else was quicker: what happened meanwhile is shown, and the person decides.
  async function conflict(record) {
    const card = record.card || (await phone.ask(`/api/cases/${record.case_no}`, { patience: 5000 }).catch(() => null));
    const since = card && card.events ? card.events.slice(-Math.max(1, (card.row ? card.row.revision : 0) - record.body.revision)) : [];
    const possible = card && (card.steps || []).some((s) => s.id === record.transition);
    const dialog = phone.sheet(
      w("conflict.title"),
      [
        h("p.lead", null, (record.why && record.why.message) || w("conflict.lead")),
        since.length > 0 && phone.timeline(since),
        h("p", null, card ? w(possible ? "conflict.possible" : "conflict.over", { state: card.row.state_name }) : w("conflict.reload")),
      ],
      {
        foot: [
          h(
            "button.plain.plain-bad",
            {
              type: "button",
              onclick: async () => {
                await store.forget(record.key);
                dialog.close();
                phone.go(`/m/t/${record.case_no}`);
              },
            },
            w("conflict.drop"),
          ),
          (possible || !card) &&
            h(
              "button.main",
              {
                type: "button",
                onclick: async () => {
                  dialog.close();
                  let seen = card;
                  if (!seen) {
                    try {
                      seen = await phone.ask(`/api/cases/${record.case_no}`);
                    } catch (error) {
                      return phone.say(w("error.away"), { bad: true });
                    }
                  }
                  // Another state was seen: another submission, under a key of its own.
                  const key = phone.uuid();
                  for (const photo of await store.photosOf(record.key)) await store.put("photos", { ...photo, key });
                  await store.put("outbox", {
                    ...record,
                    key,
                    state: "queued",
                    queued_at: Date.now(),
                    attempts: 0,
                    next_at: 0,
                    why: null,
                    card: null,
                    body: { ...record.body, revision: seen.row.revision },
                  });
                  await store.forget(record.key);
                  phone.flush({ force: true });
                },
              },
              w("conflict.again"),
            ),
        ],
      },
    );
  }

  phone.outboxLine = line;
  phone.smallOf = thumbOf;
})();
