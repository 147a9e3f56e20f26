// Similar places and the reference photos of a place: typed, or chosen on a card of the map. Examples
// are kept as text, as people write places; app/views/explored.py writes what the map draws.
"use strict";

window.gairSimilar = (() => {
  const { state, ask, overtake, tell, hear, say, showBusy, showError, showTab } = window.gairDesk;
  const SIGNS = { like: "+", unlike: "\u2212" };
  const chosen = { like: [], unlike: [] };
  let near = null; // { at, order } of the photos that are shown

  const text = () => document.getElementById("gair-similar-text");
  const box = () => document.getElementById("gair-similar-found");

  async function search() {
    near = null;
    list();
    if (!chosen.like.length) {
      clear();
      if (chosen.unlike.length) say("Choose a place that they are like, too");
      return;
    }
    showBusy(box(), "Comparing with every cell", 2);
    show(await ask("similar", { do: "similar", ...chosen }), "No places were compared");
  }

  async function photos(at, order) {
    near = { at, order };
    showBusy(box(), "Looking for photos", 2);
    show(await ask("similar", { do: "near_photos", ...near }), "No photos are shown");
  }

  function show(reply, refused) {
    if (!reply) return;
    if (reply.error) {
      showError(box(), refused, reply.error);
      say(reply.error);
      tell("explored", []);
      return;
    }
    box().innerHTML = reply.list;
    say(reply.said);
    tell("explored", reply.points);
  }

  function choose(kind, where) {
    const place = where.trim();
    if (!place) return;
    showTab("explore");
    for (const list of Object.values(chosen)) {
      if (list.includes(place)) list.splice(list.indexOf(place), 1);
    }
    chosen[kind].push(place);
    text().value = "";
    search();
  }

  function list() {
    const rows = Object.keys(chosen).flatMap((kind) => chosen[kind].map((place) => {
      const row = document.createElement("li");
      const words = document.createElement("span");
      words.textContent = `${SIGNS[kind]} ${place}`;
      const remove = document.createElement("button");
      remove.type = "button";
      remove.textContent = "\u00d7";
      remove.setAttribute("aria-label", `Remove ${place}`);
      remove.addEventListener("click", () => {
        chosen[kind].splice(chosen[kind].indexOf(place), 1);
        search();
      });
      row.append(words, remove);
      return row;
    }));
    document.getElementById("gair-similar-chosen").replaceChildren(...rows);
  }

  function clear() {
    overtake("similar");
    box().replaceChildren();
    tell("explored", []);
  }

  async function save(asked, kind) {
    const reply = await ask(`save-${asked.do}-${kind}`, { ...asked, kind });
    if (reply) window.gairLocate.saved(reply);
  }

  // Another index has other places; and only some have photos.
  function opened(facts) {
    Object.values(chosen).forEach((places) => { places.length = 0; });
    near = null;
    list();
    clear();
    document.querySelector(".gair-app").classList.toggle("gair-ungrounded", !facts || !facts.references);
  }

  function mount() {
    document.getElementById("gair-similar").addEventListener("submit", (event) => {
      event.preventDefault();
      choose("like", text().value);
    });
    hear("opening", () => opened(null));
    hear("index", opened);
    document.addEventListener("click", ({ target }) => {
      const value = (name) => {
        const button = target.closest(`[data-gair-${name}]`);
        return button && button.getAttribute(`data-gair-${name}`);
      };
      const typed = value("typed");
      if (typed === "unlike") choose("unlike", text().value);
      else if (typed === "near" && text().value.trim()) photos(text().value.trim(), "distance");
      else if (value("like")) choose("like", value("like"));
      else if (value("unlike")) choose("unlike", value("unlike"));
      else if (value("near")) {
        showTab("explore");
        photos(value("near"), "distance");
      } else if (value("order") && near) photos(near.at, value("order"));
      else if (value("save-similar")) save({ do: "save_similar", ...chosen }, value("save-similar"));
      else if (value("save-near") && near) save({ do: "save_near_photos", ...near }, value("save-near"));
    });
  }

  return { mount };
})();
