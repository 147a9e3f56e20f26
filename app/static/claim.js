// Check a claim: coordinates that are typed, or clicked on the map, against the photos.
"use strict";

window.gairClaim = (() => {
  const { state, ask, overtake, query, tell, hear, say, showBusy, showError, showTab } = window.gairDesk;
  let empty = "";
  let checked = ""; // what the verdict that is shown is about

  const text = () => document.getElementById("gair-claim-text");
  const radius = () => document.getElementById("gair-claim-radius");
  const verdict = () => document.getElementById("gair-verdict");

  const about = () => JSON.stringify([state.index, query().photos, state.claim, state.radius_m]);

  async function check() {
    state.claim = text().value.trim();
    state.radius_m = Number(radius().value);
    tell("setting");
    text().removeAttribute("aria-invalid");
    if (!state.claim) {
      reset();
      return;
    }
    if (!state.photos.length || !state.facts) {
      const reply = await ask("verify", { do: "place", claim: state.claim });
      if (!reply) return;
      if (reply.error) refuse(reply.error);
      else {
        reset();
        tell("claim", { at: reply.claim, radius_m: state.radius_m });
      }
      return;
    }
    checked = about();
    showBusy(verdict(), "Comparing with every other place", 2);
    const { claim, radius_m } = state;
    const reply = await ask("verify", { do: "verify", claim, radius_m, photos: query().photos });
    if (!reply) return;
    if (reply.error) {
      refuse(reply.error);
      return;
    }
    verdict().innerHTML = reply.verdict;
    document.getElementById("gair-photo-facts").innerHTML ||= reply.facts;
    say(reply.said);
    tell("claim", { at: reply.claim, radius_m });
  }

  function refuse(error) {
    checked = "";
    text().setAttribute("aria-invalid", "true");
    showError(verdict(), "This claim was not tested", error);
    say(error);
    tell("claim", null);
  }

  function reset() {
    checked = "";
    overtake("verify");
    verdict().innerHTML = empty;
    if (!state.claim) tell("claim", null);
  }

  function test(where) {
    text().value = where;
    showTab("claim");
    check();
  }

  function again() {
    if (state.claim && state.tab === "claim" && about() !== checked) check();
    else if (!state.photos.length) reset();
  }

  function mount() {
    empty = verdict().innerHTML;
    text().value = state.claim;
    if ([...radius().options].some((option) => Number(option.value) === state.radius_m)) {
      radius().value = String(state.radius_m);
    }
    document.getElementById("gair-claim").addEventListener("submit", (event) => {
      event.preventDefault();
      check();
    });
    radius().addEventListener("change", () => text().value.trim() && check());
    hear("photos", again);
    hear("index", again);
    hear("tab", again);
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-gair-test]");
      if (button) test(button.dataset.gairTest);
    });
  }

  return { mount, test };
})();
