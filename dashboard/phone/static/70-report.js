// Reporting on one screen: photo first, a few words, what it is, where it is. Everything is kept as it is entered.
(function () {
  "use strict";
  const { h, w, icon, store } = phone;

  phone.uuid = () => {
    if (crypto.randomUUID) return crypto.randomUUID();
    const b = crypto.getRandomValues(new Uint8Array(16));
    b[6] = (b[6] & 15) | 64;
    b[8] = (b[8] & 63) | 128;
    const x = [...b].map((v) => v.toString(16).padStart(2, "0")).join("");
    return [x.slice(0, 8), x.slice(8, 12), x.slice(12, 16), x.slice(16, 20), x.slice(20)].join("-");
  };

  async function openDraft() {
    const key = await store.get("kept", "draft").catch(() => null);
    const known = key && (await store.get("outbox", key));
    if (known && known.state === "draft") return { record: known, photos: await store.photosOf(key) };
    // The key is made with the draft: however often it is sent, it is this one report.
    return {
      record: {
        key: phone.uuid(),
        kind: "report",
        state: "draft",
        made_at: Date.now(),
        text: "",
        item_code: null,
        lonlat: null,
        accuracy_m: null,
        by_hand: false,
        name: "",
        phone: "",
      },
      photos: [],
    };
  }

  phone.views.report = async function (main) {
    const { record, photos } = await openDraft();
    const account = phone.account();
    let saving = null,
      sent = false;
    const saved = h("span.saved", { role: "status" });

    const filled = () => Boolean(photos.length || record.text.trim() || record.item_code);
    async function save() {
      clearTimeout(saving);
      if (sent || !filled()) return;
      try {
        await store.put("outbox", record);
        await store.put("kept", record.key, "draft");
        phone.fill(saved, icon("check", 18), w("saved"));
      } catch (error) {
        saved.replaceChildren();
        phone.say(phone.full(error) ? w("error.full") : w("error.store"), { bad: true });
      }
    }
    const saveSoon = () => {
      clearTimeout(saving);
      saving = setTimeout(save, 250);
    };

    const draft = { record, photos, saved, filled, save, saveSoon };
    const shot = phone.partShot(draft),
      what = phone.partWhat(draft),
      where = phone.partWhere(draft);

    // Words -----------------------------------------------------------------------------------------------------------
    const text = h("textarea.words", {
      id: "words",
      rows: 1,
      maxlength: 1000,
      value: record.text,
      placeholder: w("report.words"),
      "aria-label": w("report.words"),
      enterkeyhint: "done",
      oninput: () => {
        record.text = text.value;
        grow();
        saveSoon();
        clearTimeout(thinking);
        thinking = setTimeout(what.guess, 500);
      },
    });
    let thinking = null;
    const grow = () => {
      text.style.height = "auto";
      text.style.height = `${Math.min(text.scrollHeight + 2, 220)}px`;
    };
    const mic = h(
      "button.mic",
      {
        type: "button",
        "aria-label": w("voice.label"),
        onclick: () => {
          text.focus();
          phone.say(w("voice.how"));
        },
      },
      icon("mic"),
    );

    // Who: only strangers are asked, and need not answer ----------------------------------------------------------------
    const contact =
      !account &&
      h(
        "details.contact",
        { open: Boolean(record.phone || record.name) },
        h("summary", null, icon("phone", 20), w("contact.title")),
        h(
          "div.pair",
          null,
          h(
            "label.field",
            null,
            w("contact.name"),
            h("input.input", {
              value: record.name,
              maxlength: 40,
              autocomplete: "name",
              oninput: (e) => {
                record.name = e.target.value;
                saveSoon();
              },
            }),
          ),
          h(
            "label.field",
            null,
            w("contact.phone"),
            h("input.input", {
              value: record.phone,
              maxlength: 20,
              inputmode: "tel",
              autocomplete: "tel",
              oninput: (e) => {
                record.phone = e.target.value;
                saveSoon();
              },
            }),
          ),
        ),
        h("p.note", null, w("contact.note")),
      );

    // Away it goes -----------------------------------------------------------------------------------------------------
    let busy = false;
    const button = h("button.main", { type: "button", id: "report", onclick: submit }, w("report.send"));
    async function submit() {
      if (busy) return;
      if (!filled()) {
        phone.say(w("report.empty"), { bad: true });
        text.focus();
        return;
      }
      const digits = record.phone.replace(/[^\d]/g, "");
      if (!account && record.phone.trim() && (digits.length < 7 || digits.length > 13)) {
        phone.say(w("contact.wrong"), { bad: true });
        return;
      }
      busy = true;
      button.setAttribute("aria-disabled", "true");
      button.textContent = w("report.looking");
      const choice = await phone.nearby(record);
      button.removeAttribute("aria-disabled");
      button.textContent = w("report.send");
      if (choice === "back") {
        busy = false;
        return;
      }
      if (choice === "same") {
        sent = true;
        clearTimeout(saving);
        await store.drop("kept", "draft");
        await store.forget(record.key);
        return;
      }
      await away();
    }
    async function away() {
      sent = true;
      clearTimeout(saving);
      const words = record.text.trim();
      const item = record.item_code && phone.item(record.item_code);
      const title = (words.split(/[\n。；;!！?？]/)[0] || (item && item.name) || w("report.title_photo")).slice(0, 60);
      const body = {
        process: "incident",
        title,
        detail: words,
        item_code: record.item_code,
        channel: account ? "grid" : "public",
        lonlat: record.lonlat,
        source_crs: record.lonlat ? "EPSG:4326" : null,
        accuracy_m: record.lonlat && !record.by_hand ? record.accuracy_m : null,
        answers: {},
        reported_at: new Date(record.made_at).toISOString(),
        reporter_name: account ? null : record.name.trim() || null,
        reporter_phone: account ? null : record.phone.trim() || null,
      };
      const bytes = photos.reduce((sum, p) => sum + (p.bytes ? p.bytes.byteLength : 0), 0);
      try {
        await phone.queue({
          ...record,
          state: "queued",
          queued_at: Date.now(),
          attempts: 0,
          next_at: 0,
          account_id: account ? account.account_id : null,
          account_name: account ? account.name : null,
          title: item ? item.name : title,
          said: words,
          photos: photos.length,
          bytes,
          place: where.name(),
          why: null,
          body,
        });
        await store.drop("kept", "draft");
        phone.go("/m/mine");
      } catch (error) {
        sent = false;
        busy = false;
      }
    }

    main.append(
      h("div.report", null, shot, h("div.report-sheet", null, h("div.words-row", null, text, mic), what.element, where.element, contact)),
      h("footer.thumb-bar", null, button, h("p.note", null, w("report.weak_is_fine"))),
    );
    grow();
    if (filled()) phone.fill(saved, icon("check", 18), w("saved"));
    where.start();
    if (record.text) what.guess();
    const flushNow = () => {
      if (saving) save();
    };
    document.addEventListener("visibilitychange", flushNow);
    return {
      begun: filled,
      leave() {
        where.stop();
        document.removeEventListener("visibilitychange", flushNow);
        save();
      },
    };
  };
})();
