// The list of places, the copy buttons and the switch between light and dark. Listeners sit on the
// document, because the list is replaced with every answer.
"use strict";

(() => {
  const THEME_KEY = "gair-theme";

  function markRow(rank) {
    document.querySelectorAll("[data-gair-place]").forEach((row) => {
      const chosen = Number(row.dataset.gairPlace) === rank;
      row.classList.toggle("gair-chosen", chosen);
      row.querySelector("[data-gair-pick]").setAttribute("aria-pressed", String(chosen));
      if (chosen) row.scrollIntoView({ block: "nearest", behavior: "smooth" });
    });
  }

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
  }

  function rememberedTheme() {
    const theme = localStorage.getItem(THEME_KEY);
    if (theme && !new URLSearchParams(location.search).has("__theme")) {
      document.body.classList.toggle("dark", theme === "dark");
    }
  }

  document.addEventListener("gair:pick", (event) => markRow(event.detail));
  document.addEventListener("click", (event) => {
    const pick = event.target.closest("[data-gair-pick]");
    const copied = event.target.closest("[data-gair-copy]");
    if (pick) {
      const detail = Number(pick.dataset.gairPick);
      document.dispatchEvent(new CustomEvent("gair:pick", { detail }));
    } else if (copied) {
      copy(copied);
    } else if (event.target.closest("[data-gair-theme]")) {
      switchTheme();
    }
  });
  rememberedTheme();
})();
