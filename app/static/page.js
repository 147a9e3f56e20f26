// What belongs to no part of the page: tabs, copying, choosing a place, light and dark. Listeners sit
// on the document, because lists are replaced with every answer.
"use strict";

window.gairPage = (() => {
  const THEME_KEY = "gair-theme";

  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(`gair:${name}`, { detail }));

  async function copy(button) {
    const text = button.dataset.gairCopy;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed"; // browsers allow it on this machine or over https only
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  function switchTheme() {
    const dark = document.body.classList.toggle("dark");
    localStorage.setItem(THEME_KEY, dark ? "dark" : "light");
    tell("theme");
  }

  function rememberedTheme() {
    const theme = localStorage.getItem(THEME_KEY);
    if (theme && !new URLSearchParams(location.search).has("__theme")) {
      document.body.classList.toggle("dark", theme === "dark");
    }
  }

  // Arrow keys move between tabs, as everywhere.
  function moveTab(event) {
    const tabs = [...document.querySelectorAll("[data-gair-show]")];
    const at = tabs.indexOf(event.target);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (at < 0 || !step) return;
    const next = tabs[(at + step + tabs.length) % tabs.length];
    next.focus();
    window.gairDesk.showTab(next.dataset.gairShow);
  }

  function mount() {
    rememberedTheme();
    document.addEventListener("keydown", moveTab);
    document.addEventListener("click", (event) => {
      const at = (selector) => event.target.closest(selector);
      if (at("[data-gair-pick]")) tell("pick", Number(at("[data-gair-pick]").dataset.gairPick));
      else if (at("[data-gair-copy]")) copy(at("[data-gair-copy]"));
      else if (at("[data-gair-theme]")) switchTheme();
      else if (at("[data-gair-show]")) window.gairDesk.showTab(at("[data-gair-show]").dataset.gairShow);
    });
  }

  // Called when Gradio has put the page together and when this script is there: the later one counts.
  function begin() {
    const waiting = window.gairWaiting;
    if (!waiting) return;
    delete window.gairWaiting;
    window.gairDesk.mount(waiting.element, waiting);
  }

  return { mount, begin };
})();
window.gairPage.begin();
