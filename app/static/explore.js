// Explore: what the index is made of is written by the desk; here two photos are compared.
"use strict";

window.gairExplore = (() => {
  const { state, ask, overtake, hear, say, showBusy, showError } = window.gairDesk;

  const shown = () => document.getElementById("gair-comparison");
  const button = () => document.querySelector("[data-gair-compare]");

  async function compare() {
    showBusy(shown(), "Comparing", 0);
    const photos = state.photos.slice(0, 2).map((photo) => photo.path);
    const reply = await ask("compare", { do: "compare", photos });
    if (!reply) return;
    if (reply.error) {
      showError(shown(), "These photos were not compared", reply.error);
      return;
    }
    shown().innerHTML = reply.comparison;
    say(shown().innerText);
  }

  function ready() {
    overtake("compare");
    shown().replaceChildren();
    const two = state.photos.length >= 2;
    button().disabled = !two || !state.facts;
    document.getElementById("gair-compare-help").textContent = two
      ? `${state.photos[0].name} and ${state.photos[1].name}: how alike are they to the model?`
      : "Add two photos above.";
  }

  function mount() {
    button().addEventListener("click", compare);
    hear("photos", ready);
    hear("index", ready);
    ready();
  }

  return { mount };
})();
