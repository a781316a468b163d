// Sending what waits: one after the other, each under its own key, until the county's receipt is stored. Page and worker share it.
(function () {
  "use strict";
  const phone = (globalThis.phone = globalThis.phone || {});
  const store = phone.store;
  const FIRST_WAIT = 2000,
    LONGEST_WAIT = 300000,
    PATIENCE = 600000;

  const pathOf = (record) =>
    ({
      report: () => "/api/reports",
      step: () => `/api/cases/${encodeURIComponent(record.case_no)}/${encodeURIComponent(record.transition)}`,
      answer: () => `/api/follow/${encodeURIComponent(record.code)}/${encodeURIComponent(record.transition)}`,
    })[record.kind]();

  async function formOf(record) {
    const photos = (await store.photosOf(record.key)).filter((p) => p.bytes);
    const said = photos.map(({ stage, taken_at, azimuth_deg, lonlat, accuracy_m, source_crs }) => ({
      stage,
      taken_at,
      azimuth_deg,
      lonlat,
      accuracy_m,
      ...(source_crs ? { source_crs } : {}),
    }));
    const form = new FormData();
    form.append(record.kind === "report" ? "report" : "taken", JSON.stringify({ ...record.body, photos: said }));
    for (const photo of photos) form.append("photo", new Blob([photo.bytes], { type: photo.type }), `${photo.n}.jpg`);
    return form;
  }

  // What an answer means. A page that is not ours (a portal of the café's network says 200 to everything) is no answer.
  function judge({ status, body }, record) {
    if (status >= 200 && status < 300) {
      const ok = body && (record.kind === "report" ? body.case_no && body.follow_code : body.row || body.case_no);
      return ok ? "done" : "later";
    }
    if (status === 401) return record.kind === "answer" ? "blocked" : "signin";
    if (status === 409) return record.kind === "report" ? "blocked" : "conflict";
    if (status === 0 || status === 408 || status === 425 || status === 429 || status >= 500 || (status >= 300 && status < 400))
      return "later";
    return body && body.message ? "blocked" : "later";
  }

  async function post(path, form, headers, { omit = false } = {}) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), PATIENCE);
    try {
      const answer = await fetch(path, {
        method: "POST",
        body: form,
        headers,
        redirect: "manual",
        credentials: omit ? "omit" : "same-origin",
        signal: stop.signal,
        cache: "no-store",
      });
      return { status: answer.status, after: answer.headers.get("Retry-After"), body: await answer.json().catch(() => null) };
    } finally {
      clearTimeout(timer);
    }
  }

  async function who() {
    const answer = await fetch("/m/me", { cache: "no-store" });
    const body = answer.ok ? await answer.json() : null;
    if (!body || !("account" in body)) throw new TypeError("no answer");
    return body;
  }

  function wait(record, after) {
    const attempts = (record.attempts || 0) + 1;
    const seconds = Number(after);
    const ms =
      seconds > 0 ? seconds * 1000 + 500 : Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.min(attempts, 9)) * (0.75 + Math.random() / 2);
    return { attempts, next_at: Date.now() + ms };
  }

  async function sendOne(record, me, upload) {
    const key = record.key;
    const mine = record.account_id ?? null;
    const now = me.account ? me.account.account_id : null;
    if (mine !== null && mine !== now) {
      await store.change(key, (r) => ({ ...r, state: "signin", other: now !== null, why: null }));
      store.tell();
      return "signin";
    }
    await store.change(key, (r) => ({ ...r, state: "sending", progress: 0 }));
    store.tell();
    const headers = { "Idempotency-Key": key, Accept: "application/json" };
    if (mine !== null) headers["X-Onemap-Account"] = String(mine);
    let answer;
    try {
      const form = await formOf(record);
      // A stranger's report stays a stranger's, whoever has signed in on this phone since.
      const omit = mine === null && now !== null;
      answer = await (upload && !omit ? upload(pathOf(record), form, headers, key) : post(pathOf(record), form, headers, { omit }));
    } catch (error) {
      answer = { status: 0, body: null, progress: error && error.progress };
    }
    const verdict = judge(answer, record);
    const why =
      verdict === "done"
        ? null
        : {
            status: answer.status,
            ...(answer.body && answer.body.message
              ? { message: answer.body.message, next_step: answer.body.next_step || "", faults: answer.body.faults || [] }
              : {}),
          };
    if (verdict === "done") {
      await store.received(key, (r) => ({ ...r, state: "done", answer: answer.body, sent_at: Date.now(), why: null, progress: null }));
      if (phone.send.ondone) await phone.send.ondone(key, answer.body);
    } else if (verdict === "later") {
      await store.change(key, (r) => ({ ...r, state: "queued", why, progress: answer.progress ?? null, ...wait(r, answer.after) }));
    } else {
      await store.change(key, (r) => ({
        ...r,
        state: verdict,
        other: false,
        why,
        card: (answer.body && answer.body.card) || null,
        progress: null,
      }));
    }
    store.tell();
    return verdict;
  }

  // Everything that is due, oldest first. A report is frozen when it is queued: what is sent again is what was sent before.
  async function drain({ upload = null, force = false } = {}) {
    // Nobody else is sending (the lock is ours): what still says so was cut off by a closed page.
    for (const r of await store.all("outbox")) {
      if (r.state === "sending") await store.change(r.key, (x) => ({ ...x, state: "queued", next_at: 0 }));
    }
    let me = null;
    const tried = new Set();
    for (;;) {
      const now = Date.now();
      const waiting = (await store.all("outbox"))
        .filter((r) => !tried.has(r.key) && (r.state === "signin" || (r.state === "queued" && (force || (r.next_at || 0) <= now))))
        .sort((a, b) => a.queued_at - b.queued_at);
      if (!waiting.length) return { left: await left(), me };
      if (!me) {
        try {
          me = await who();
        } catch (error) {
          return { left: await left(), away: true };
        }
      }
      const record = waiting[0];
      tried.add(record.key);
      if ((await sendOne(record, me, upload)) === "later") return { left: await left(), away: true, me };
    }
  }
  const left = async () => (await store.all("outbox")).filter((r) => r.state === "queued" || r.state === "sending").length;

  phone.send = {
    judge,
    ondone: null,
    // One sender at a time, page or worker. Where a browser knows no locks the key alone keeps things single.
    async run({ strict = false, ...options } = {}) {
      const done = navigator.locks
        ? await navigator.locks.request("onemap-send", { ifAvailable: true }, (lock) => (lock ? drain(options) : { busy: true }))
        : await drain(options);
      // The browser's background sync tries again only when it is told that it failed.
      if (strict && done.away && done.left) throw new Error("still waiting");
      return done;
    },
    who,
    waitingSince: async () =>
      (await store.all("outbox")).filter((r) => r.state === "queued").reduce((next, r) => Math.min(next, r.next_at || 0), Infinity),
  };
})();
