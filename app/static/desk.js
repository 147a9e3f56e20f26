// What the page knows, and how it asks the server. Everything goes through one function, ask(), and
// of two answers in a lane only the one to the later question counts: whoever is overtaken gets
// null. Parts of the page know each other by the document's events "gair:*" only.
"use strict";

window.gairDesk = (() => {
  const UNFINISHED =
    "The search did not finish. Try again; if it fails again, the terminal that serves this page says why.";
  const state = {
    index: null, // name
    facts: null, // the server's answer about it
    tab: "locate",
    photos: [], // { path, name, url, file, example }
    k: 5,
    share: null, // weight of the imagery; null: as the index starts
    area: null, // [[lon, lat], ...]
    error_percent: null, // of answers that may be wrong, for a decision; null: none is asked for
    within_m: 500, // how near an answer of the decision should be
    layer: "fused", // what the heat map shows; "off" for none
    references: false, // whether the map shows where reference photos were taken
    claim: "", // coordinates as text
    radius_m: 500,
  };
  const lanes = new Map();
  let server = null;

  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(`gair:${name}`, { detail }));
  const hear = (name, handler) => document.addEventListener(`gair:${name}`, (e) => handler(e.detail));
  const say = (text) => { document.getElementById("gair-status").textContent = text; };

  // From now on no answer to an earlier question of this lane counts.
  function overtake(lane) {
    const turn = (lanes.get(lane) || 0) + 1;
    lanes.set(lane, turn);
    return turn;
  }

  async function ask(lane, question) {
    const turn = overtake(lane);
    const reply = await answered(question);
    return lanes.get(lane) === turn ? reply : null;
  }

  async function answered(question) {
    let asked = { index: state.index, ...question };
    for (let attempt = 0; ; attempt += 1) {
      let reply = null;
      try {
        reply = await server.ask(asked); // undefined where the server failed
      } catch {
        reply = null;
      }
      if (!reply) return { error: UNFINISHED };
      if (!reply.gone || attempt > 0) return reply;
      // The server lets photos go after a while: send them once more and ask again.
      const photos = await window.gairPhotos.sentAgain(asked.photos || []);
      if (!photos) return reply;
      asked = { ...asked, photos };
    }
  }

  // What every question about the photos says.
  function query() {
    const { photos, k, share, area, error_percent, within_m } = state;
    return { photos: photos.map((photo) => photo.path), k, share, area, error_percent, within_m };
  }

  function notice(kind, text) {
    const box = document.createElement("div");
    box.className = `gair-notice gair-notice-${kind}`;
    const sign = document.createElement("span");
    sign.className = "gair-sign";
    sign.setAttribute("aria-hidden", "true");
    sign.textContent = "!";
    const words = document.createElement("span");
    words.textContent = text;
    box.append(sign, words);
    return box;
  }

  function showError(box, title, text) {
    const card = document.createElement("section");
    card.className = "gair-card gair-error";
    card.setAttribute("role", "alert");
    const head = document.createElement("h2");
    head.textContent = title;
    card.append(head, notice("grave", text));
    box.replaceChildren(card);
  }

  // A card that says what is going on, and after two seconds for how long.
  function showBusy(box, text, rows = 3) {
    const card = document.createElement("section");
    card.className = "gair-card gair-busy";
    card.setAttribute("aria-busy", "true");
    const head = document.createElement("h2");
    const spinner = document.createElement("span");
    spinner.className = "gair-spinner";
    const words = document.createElement("span");
    words.textContent = text;
    head.append(spinner, words);
    card.append(head);
    for (let n = 0; n < rows; n += 1) {
      const row = document.createElement("div");
      row.className = "gair-skeleton";
      row.append(document.createElement("i"), document.createElement("b"), document.createElement("b"));
      card.append(row);
    }
    box.replaceChildren(card);
    const since = Date.now();
    const timer = setInterval(() => {
      const seconds = Math.floor((Date.now() - since) / 1000);
      if (!card.isConnected) clearInterval(timer);
      else if (seconds >= 2) words.textContent = `${text}, ${seconds} s`;
    }, 500);
  }

  async function showIndex(name) {
    state.index = name;
    state.facts = null;
    showBusy(document.getElementById("gair-explored"), `Opening ${name}`, 2);
    document.getElementById("gair-facts").textContent = `Opening ${name} …`;
    tell("opening");
    const reply = await ask("index", { do: "index" });
    if (!reply) return;
    if (reply.error) {
      document.getElementById("gair-facts").textContent = "";
      document.getElementById("gair-warnings").replaceChildren(notice("grave", reply.error));
      showError(document.getElementById("gair-explored"), "This index cannot be used", reply.error);
      tell("unusable");
      return;
    }
    state.facts = reply;
    document.title = `${reply.name} · GAIR Geolocator`;
    document.getElementById("gair-facts").innerHTML = reply.facts;
    document.getElementById("gair-warnings").innerHTML = reply.warnings;
    document.getElementById("gair-explored").innerHTML = reply.explore;
    tell("index", reply);
  }

  function showTab(name) {
    state.tab = name;
    document.querySelector(".gair-app").dataset.gairTab = name;
    document.querySelectorAll("[data-gair-show]").forEach((tab) => {
      const chosen = tab.dataset.gairShow === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      document.getElementById(`gair-panel-${tab.dataset.gairShow}`).hidden = !chosen;
    });
    tell("tab", name);
  }

  function mount(element, { server: theirs, upload, props }) {
    server = theirs;
    if (typeof props.share === "number") state.share = props.share;
    const choice = document.getElementById("gair-index");
    const wanted = window.gairLink.read(state);
    const known = [...choice.options].map((option) => option.value);
    if (known.includes(wanted.index)) choice.value = wanted.index;
    window.gairMap.mount(element.querySelector(".gair-map"), { tiles: props.tiles, view: wanted.view });
    window.gairPhotos.mount(upload);
    window.gairLocate.mount();
    window.gairClaim.mount();
    window.gairExplore.mount();
    window.gairSimilar.mount();
    window.gairPage.mount();
    window.gairLink.mount();
    choice.addEventListener("change", () => {
      state.share = null;
      state.area = null;
      tell("area");
      showIndex(choice.value);
    });
    showTab(state.tab);
    showIndex(choice.value);
  }

  return { state, mount, ask, overtake, query, tell, hear, say, showBusy, showError, showTab, notice };
})();
