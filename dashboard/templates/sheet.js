// The pages the server writes work without this; with it the login is kinder.
(function () {
  "use strict";
  const $ = (selector) => document.querySelector(selector);
  const password = $("#password");
  const login = $("#login");

  const caps = $("#caps");
  if (caps) {
    const look = (event) => { caps.hidden = !(event.getModifierState && event.getModifierState("CapsLock")); };
    for (const field of document.querySelectorAll("input[type=password]")) {
      field.addEventListener("keydown", look);
      field.addEventListener("keyup", look);
      field.addEventListener("blur", () => { caps.hidden = true; });
    }
  }

  for (const button of document.querySelectorAll("[data-show]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const field = document.getElementById(button.dataset.show);
      const shown = field.type === "text";
      field.type = shown ? "password" : "text";
      button.textContent = shown ? "显示" : "隐藏";
      button.setAttribute("aria-pressed", String(!shown));
      field.focus();
    });
  }

  for (const button of document.querySelectorAll("[data-demo]")) {
    button.addEventListener("click", () => {
      for (const other of document.querySelectorAll("[data-demo]")) other.setAttribute("aria-pressed", String(other === button));
      login.value = button.dataset.demo;
      password.value = button.dataset.password;
      $("#enter").focus();
      $("#enter").scrollIntoView({ block: "nearest" });
    });
  }

  // A locked account counts down; the button comes back when the time is over.
  for (const wait of document.querySelectorAll("[data-seconds]")) {
    const until = Date.now() + Number(wait.dataset.seconds) * 1000;
    const enter = $("#enter");
    const say = (left) => {
      const minutes = Math.floor(left / 60);
      wait.textContent = minutes ? `${minutes} 分 ${left % 60} 秒` : `${left} 秒`;
    };
    const tick = () => {
      const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      say(left);
      if (left > 0) { setTimeout(tick, 1000); return; }
      wait.closest(".note").hidden = true;
    };
    tick();
    if (enter) enter.classList.remove("button-busy");
  }

  // One press, one request.
  for (const form of document.querySelectorAll("form[method=post]:not([data-again])")) {
    form.addEventListener("submit", () => {
      for (const button of form.querySelectorAll("button:not([type=button])")) setTimeout(() => { button.disabled = true; }, 0);
    });
  }
  // Back from the browser's memory: usable again.
  window.addEventListener("pageshow", () => { for (const button of document.querySelectorAll("button")) button.disabled = false; });
})();
