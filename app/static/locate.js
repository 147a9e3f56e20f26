// Locate: whenever photos, settings, area or index change, search again and show the answer.
"use strict";

window.gairLocate = (() => {
  const { state, ask, overtake, query, tell, hear, say, showBusy, showError } = window.gairDesk;
  let empty = "";

  const found = () => document.getElementById("gair-found");
  const counted = (cells) => `${cells.toLocaleString("en")} cell${cells === 1 ? "" : "s"}`;

  async function search() {
    if (!state.photos.length) {
      overtake("locate");
      overtake("heat");
      found().innerHTML = empty;
      tell("answer", null);
      return;
    }
    if (!state.facts) {
      overtake("locate");
      showBusy(found(), `Opening ${state.index}`);
      return; // the search begins when the index is there
    }
    showBusy(found(), `Searching ${counted(state.facts.cells)}`);
    tell("answer", null);
    overtake("heat");
    const reply = await ask("locate", { do: "locate", ...query() });
    if (!reply) return;
    if (reply.error) {
      showError(found(), "This photo was not searched", reply.error);
      say(reply.error);
      return;
    }
    found().innerHTML = reply.list;
    document.getElementById("gair-photo-facts").innerHTML = reply.facts;
    showPhotos(found());
    say(reply.said);
    tell("answer", reply.map);
    heat();
  }

  function showPhotos(box) {
    box.querySelectorAll("img[data-gair-photo]").forEach((picture) => {
      picture.src = state.photos[0].url;
    });
  }

  async function heat() {
    if (state.layer === "off" || !state.photos.length || !state.facts) {
      overtake("heat");
      tell("heat", null);
      return;
    }
    const has = window.gairHeat.has(state.facts.build);
    const reply = await ask("heat", { do: "heat", layer: state.layer, has, ...query() });
    if (reply) tell("heat", reply.error ? null : reply);
  }

  function markRow(rank) {
    document.querySelectorAll("[data-gair-place]").forEach((row) => {
      const chosen = Number(row.dataset.gairPlace) === rank;
      row.classList.toggle("gair-chosen", chosen);
      row.querySelector("[data-gair-pick]").setAttribute("aria-pressed", String(chosen));
      if (chosen) row.scrollIntoView({ block: "nearest", behavior: "smooth" });
    });
  }

  async function save(kind) {
    const button = document.querySelector(`[data-gair-save="${kind}"]`);
    button.setAttribute("aria-busy", "true");
    const reply = await ask(`save-${kind}`, { do: "save", kind, taken_at: window.gairSun.taken(), ...query() });
    button.removeAttribute("aria-busy");
    if (reply) saved(reply);
  }

  function saved(reply) {
    if (reply.error) {
      say(reply.error);
      return;
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([reply.text], { type: reply.type }));
    link.download = reply.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`${reply.name} saved`);
  }

  // The slider and the number show one value; it counts when it is let go.
  function settings() {
    document.querySelectorAll("[data-gair-setting]").forEach((input) => {
      const twins = document.querySelectorAll(`[data-gair-setting="${input.dataset.gairSetting}"]`);
      input.addEventListener("input", () => twins.forEach((twin) => {
        if (twin !== input) twin.value = input.value;
      }));
      input.addEventListener("change", () => {
        const value = Math.min(Math.max(Number(input.value), Number(input.min)), Number(input.max));
        const name = input.dataset.gairSetting;
        const given = input.value.trim() !== "";
        const valid = given ? Number.isFinite(value) : name === "error_percent"; // may be none
        const wanted = given ? (name === "k" ? Math.round(value) : value) : null;
        const changed = valid && wanted !== settingsNow()[name];
        if (changed) state[name] = wanted;
        showSettings();
        if (changed) {
          tell("setting");
          if (name !== "within_m" || state.error_percent !== null) search();
        }
      });
    });
  }

  const shareNow = () => (state.share === null ? (state.facts ? state.facts.share : 1) : state.share);

  function settingsNow() {
    const { k, error_percent, within_m } = state;
    return { k, share: shareNow(), error_percent, within_m };
  }

  function showSettings() {
    const values = settingsNow();
    document.querySelectorAll("[data-gair-setting]").forEach((input) => {
      input.value = values[input.dataset.gairSetting] ?? "";
    });
    const own = state.share !== null && state.facts && state.share !== state.facts.share;
    const by = own ? "by you" : state.facts && state.facts.share_by;
    const decision = state.error_percent === null ? "" : `, at most ${state.error_percent} % wrong`;
    document.getElementById("gair-settings-said").textContent =
      `${state.k} places, imagery ${shareNow().toFixed(2)}${by ? ` (${by})` : ""}${state.area ? ", area drawn" : ""}${decision}`;
  }

  function mount() {
    empty = found().innerHTML;
    settings();
    showSettings();
    hear("photos", search);
    hear("sending", (count) => {
      overtake("locate");
      overtake("heat");
      showBusy(found(), count === 1 ? "Sending the photo" : `Sending ${count} photos`);
      tell("answer", null);
    });
    hear("index", () => { showSettings(); search(); });
    hear("opening", () => { if (state.photos.length) search(); });
    hear("unusable", () => { if (state.photos.length) showError(found(), "This photo was not searched", "the index cannot be used"); });
    hear("area", () => { showSettings(); if (state.facts) search(); });
    hear("layer", heat);
    hear("pick", markRow);
    document.addEventListener("click", (event) => {
      const kind = event.target.closest("[data-gair-save]");
      if (kind) save(kind.dataset.gairSave);
      if (event.target.closest("[data-gair-reset]")) {
        Object.assign(state, { k: 5, share: null, error_percent: null, within_m: 500 });
        showSettings();
        tell("setting");
        search();
      }
    });
  }

  return { mount, showPhotos, saved };
})();
