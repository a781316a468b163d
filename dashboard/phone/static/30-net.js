// The network as this page sees it: who is signed in, what was asked before, and when to send what waits.
(function () {
  "use strict";
  const { store, send, w } = phone;
  phone.me = { account: null, ground: null, at: 0, known: false };
  phone.uploading = new Map(); // key → share sent, while it is under way

  // One question to the county. Throws { away: true } without a network, { status, message, next_step } for a refusal.
  phone.ask = async function (path, { method = "GET", body = null, patience = 15000 } = {}) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), patience);
    let answer;
    try {
      answer = await fetch(path, {
        method,
        cache: "no-store",
        redirect: "manual",
        signal: stop.signal,
        headers: { Accept: "application/json", ...(body ? { "Content-Type": "application/json" } : {}) },
        body: body ? JSON.stringify(body) : null,
      });
    } catch (error) {
      throw Object.assign(new Error("away"), { away: true });
    } finally {
      clearTimeout(timer);
    }
    const said = await answer.json().catch(() => null);
    if (answer.ok && said !== null) return said;
    if (!said || answer.status >= 500) throw Object.assign(new Error("away"), { away: true, status: answer.status });
    throw Object.assign(new Error(said.message || ""), {
      status: answer.status,
      message: said.message || w("error.other"),
      next_step: said.next_step || "",
    });
  };

  phone.whoami = async function () {
    const before = await store.get("kept", "me").catch(() => null);
    if (before && !phone.me.known) phone.me = { ...before, known: false };
    try {
      const me = await send.who();
      const was = before && before.account ? before.account.account_id : null;
      const is = me.account ? me.account.account_id : null;
      // Somebody else holds the phone now, or nobody: what was downloaded for the one before goes; what they wrote stays.
      if (was !== null && is !== null && was !== is) for (const name of ["tasks", "pictures"]) await store.clear(name);
      phone.me = { ...me, at: Date.now(), known: true, expired: was !== null && is === null ? before.account : null };
      if (!phone.me.expired) await store.put("kept", { ...me, at: Date.now() }, "me");
    } catch (error) {
      phone.me = { ...phone.me, known: true, away: true };
    }
    return phone.me;
  };
  // Whose tasks these are: whoever is signed in, or was when the network went.
  phone.account = () => phone.me.account || phone.me.expired || null;
  phone.may = (permission) => Boolean(phone.account() && (phone.account().may || []).includes(permission));

  // XMLHttpRequest says how much has gone out; fetch does not.
  function upload(path, form, headers, key) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      let last = Date.now(),
        share = 0;
      const watch = setInterval(() => {
        if (Date.now() - last > 90000) request.abort();
      }, 5000);
      const fail = () => {
        clearInterval(watch);
        phone.uploading.delete(key);
        reject(Object.assign(new Error("away"), { progress: share }));
      };
      request.open("POST", path);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => {
        last = Date.now();
        share = event.lengthComputable && event.total ? event.loaded / event.total : 0;
        phone.uploading.set(key, share);
        phone.onprogress.forEach((f) => f(key, share));
      };
      request.onload = () => {
        clearInterval(watch);
        phone.uploading.delete(key);
        let body = null;
        try {
          body = JSON.parse(request.responseText);
        } catch (error) {
          body = null;
        }
        resolve({ status: request.status, after: request.getResponseHeader("Retry-After"), body });
      };
      request.onerror = request.onabort = request.ontimeout = fail;
      request.send(form);
    });
  }
  phone.onprogress = new Set();

  let timer = null,
    running = null;
  // Send what is due, then come back when the next one is.
  phone.flush = function ({ force = false } = {}) {
    running =
      running ||
      send
        .run({ upload, force })
        .catch(() => ({ away: true }))
        .then(async (done) => {
          running = null;
          clearTimeout(timer);
          const next = done.busy ? Date.now() + 4000 : await send.waitingSince().catch(() => Infinity);
          if (next < Infinity) timer = setTimeout(() => phone.flush(), Math.max(500, next - Date.now()));
          return done;
        });
    return running;
  };
  send.ondone = async (key, answer) => {
    const record = await store.get("outbox", key);
    if (!record) return;
    // What the step made of the case is read anew; a card on the phone that no longer holds would only mislead.
    try {
      if (record.kind === "step") {
        const card = answer.row ? answer : await phone.ask(`/api/cases/${record.case_no}`);
        await store.put("tasks", { case_no: record.case_no, card, read_at: Date.now() });
        await phone.tasks();
      }
      if (record.kind === "answer") {
        const card = answer.row ? answer : await phone.ask(`/api/follow/${record.code}`);
        await store.put("follows", { code: record.code, card, case_no: card.row.case_no, title: card.row.title, read_at: Date.now() });
      }
    } catch (error) {
      /* it is read when it is looked at */
    }
    if (record.kind === "report" && answer.follow_code)
      await store.put("follows", { code: answer.follow_code, case_no: answer.case_no, title: record.title, read_at: 0 }).catch(() => {});
  };

  phone.queue = async function (record, photos = []) {
    await phone.keep(record, photos);
    if (navigator.storage && navigator.storage.persist) navigator.storage.persist().catch(() => {});
    if (navigator.serviceWorker && "SyncManager" in window) {
      navigator.serviceWorker.ready.then((r) => r.sync.register("onemap-outbox")).catch(() => {});
    }
    store.tell();
    phone.flush();
  };
  // Put a record and its new photos; a full phone is said, and what was there before stays.
  phone.keep = async function (record, photos = []) {
    try {
      for (const photo of photos) await store.put("photos", photo);
      await store.put("outbox", record);
    } catch (error) {
      phone.say(phone.full(error) ? w("error.full") : w("error.store"), { bad: true });
      throw error;
    }
  };

  window.addEventListener("online", () => {
    store.tell();
    phone.flush({ force: true });
  });
  window.addEventListener("offline", () => store.tell());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) phone.flush({ force: true });
  });
})();
