// Check a claim: coordinates that are typed, or clicked on the map, against the photos.
"use strict";

window.gairClaim = (() => {
  const { state, ask, overtake, query, tell, hear, say, showBusy, showError, showTab } = window.gairDesk;
  let empty = "";
  let checked = ""; // what the verdict that is shown is about

  const text = () => document.getElementById("gair-claim-text");
  const radius = () => document.getElementById("gair-claim-radius");
  const prior = () => document.getElementById("gair-claim-prior");
  const verdict = () => document.getElementById("gair-verdict");
  const tested = new Map(); // photos of this session to the places that were tested on them

  const priorPercent = () => (prior().value === "" ? null : Number(prior().value));
  const about = () =>
    JSON.stringify([state.index, query().photos, state.claim, state.radius_m, priorPercent()]);

  // Which claim on these photos this is; the same place again is no further one.
  function claimNumber(photos, claim, radius_m) {
    const key = JSON.stringify(photos);
    if (!tested.has(key)) tested.set(key, []);
    const places = tested.get(key);
    const place = `${claim} ${radius_m}`;
    if (!places.includes(place)) places.push(place);
    return places.indexOf(place) + 1;
  }

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
    const { photos } = query();
    const claim_number = claimNumber(photos, claim, radius_m);
    const reply = await ask("verify", {
      do: "verify", claim, radius_m, photos, claim_number, prior_percent: priorPercent(),
    });
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
    for (const field of [radius(), prior()]) {
      field.addEventListener("change", () => text().value.trim() && check());
    }
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
