// Every request of the page goes through here: the language is named, progress is shown, an absent server is noticed.
(function () {
  "use strict";
  const onemap = (window.onemap = window.onemap || {});
  const config = JSON.parse(document.getElementById("onemap-config").textContent);
  onemap.config = config;
  onemap.words = config.words;

  let pending = 0;
  const tell = (change) => {
    pending += change;
    document.documentElement.toggleAttribute("data-busy", pending > 0);
  };

  const ask = window.fetch.bind(window);
  window.fetch = async function (resource, options) {
    const address = typeof resource === "string" ? resource : resource.url;
    const ours = address.startsWith("/") || address.startsWith(location.origin);
    const dash = ours && address.includes("/_dash-");
    if (!dash) return ask(resource, options);
    const headers = new Headers((options && options.headers) || {});
    headers.set("X-Onemap-Language", config.language);
    headers.set("X-Onemap-Page", location.pathname);
    tell(1);
    try {
      const answer = await ask(resource, { ...options, headers });
      if (answer.status >= 500) onemap.trouble("away");
      else if (answer.ok) fresh = new Date();
      return answer;
    } catch (error) {
      onemap.trouble("away");
      throw error;
    } finally {
      tell(-1);
    }
  };

  // While something is wrong: say so once, try every 5 s, and when it is well again fetch what is shown anew.
  let timer = null;
  let fresh = new Date(); // when what is on the screen was right
  onemap.trouble = function (what) {
    const words = onemap.words;
    const store = what === "store";
    const time = fresh.toLocaleTimeString("zh-CN", { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "Asia/Shanghai" });
    onemap.toast({ text: store ? words.store : words.away, next: (store ? words.store_next : words.away_next).replace("{time}", time), retry: true });
    if (timer === null) timer = setInterval(onemap.retry, 5000);
  };
  onemap.retry = async function () {
    try {
      const answer = await ask("/healthz", { cache: "no-store" });
      const state = answer.ok ? await answer.json() : null;
      if (!state || state.database !== "ok") return;
    } catch (error) {
      return;
    }
    clearInterval(timer);
    timer = null;
    onemap.toast({ text: onemap.words.back, good: true });
    onemap.refresh();
  };

  // A page nobody touches asks for nothing: it would show old figures as if they were today's.
  setInterval(async () => {
    if (timer !== null || document.hidden) return;
    try {
      const answer = await ask("/healthz", { cache: "no-store" });
      if (!answer.ok || (await answer.json()).database !== "ok") onemap.trouble("store");
    } catch (error) {
      onemap.trouble("away");
    }
  }, (config.heartbeat_s || 30) * 1000);

  onemap.toast = function ({ text, next = "", retry = false, good = false }) {
    const box = document.getElementById("toast");
    if (!box) return;
    box.replaceChildren();
    const words = document.createElement("div");
    const first = document.createElement("strong");
    first.textContent = text;
    words.append(first);
    if (next) words.append(Object.assign(document.createElement("span"), { textContent: next }));
    box.append(words);
    if (retry) {
      const button = Object.assign(document.createElement("button"), { className: "control", textContent: onemap.words.retry });
      button.addEventListener("click", onemap.retry);
      box.append(button);
    }
    box.className = good ? "shown good" : "shown bad";
    clearTimeout(box.timer);
    if (!retry) box.timer = setTimeout(() => (box.className = ""), 3200);
  };
})();
