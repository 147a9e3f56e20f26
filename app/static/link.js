// The address of a view: index, tab, settings, area, claim and map, never the photo. It stands after
// the #, which browsers do not send anywhere.
"use strict";

window.gairLink = (() => {
  const TABS = ["locate", "claim", "explore"];
  const LAYERS = ["fused", "imagery", "location", "ground", "off"];
  let view = null;

  const numbers = (text, count) => {
    const found = (text || "").split(",").map(Number);
    return text && found.length === count && found.every(Number.isFinite) ? found : null;
  };

  const inside = (value, low, high) => value !== null && value !== "" && Number(value) >= low && Number(value) <= high;

  // What the address says, into the state; what makes no sense is left out.
  function read(state) {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (TABS.includes(asked.get("tab"))) state.tab = asked.get("tab");
    if (LAYERS.includes(asked.get("heat"))) state.layer = asked.get("heat");
    state.references = asked.get("photos") === "1";
    if (inside(asked.get("k"), 1, 20)) state.k = Math.round(Number(asked.get("k")));
    if (inside(asked.get("share"), 0, 1)) state.share = Number(asked.get("share"));
    if (inside(asked.get("wrong"), 0.1, 50)) state.error_percent = Number(asked.get("wrong"));
    if (inside(asked.get("within"), 1, 1e6)) state.within_m = Number(asked.get("within"));
    if (inside(asked.get("radius"), 1, 1e6)) state.radius_m = Number(asked.get("radius"));
    if (asked.get("claim")) state.claim = asked.get("claim").slice(0, 200);
    const flat = (asked.get("area") || "").split(" ").map((corner) => numbers(corner, 2));
    if (flat.length > 2 && flat.every(Boolean)) state.area = flat;
    const place = numbers(asked.get("view"), 3);
    view = place && Math.abs(place[0]) <= 85 && Math.abs(place[1]) <= 180 && place[2] >= 0 && place[2] <= 19 ? place : null;
    return { index: asked.get("index"), view };
  }

  function write() {
    const { state } = window.gairDesk;
    const said = new URLSearchParams({ index: state.index });
    if (state.tab !== "locate") said.set("tab", state.tab);
    if (state.k !== 5) said.set("k", state.k);
    if (state.share !== null) said.set("share", state.share);
    if (state.error_percent !== null) {
      said.set("wrong", state.error_percent);
      said.set("within", state.within_m);
    }
    if (state.layer !== "fused") said.set("heat", state.layer);
    if (state.references) said.set("photos", "1");
    if (state.area) said.set("area", state.area.map((corner) => corner.join(",")).join(" "));
    if (state.claim) {
      said.set("claim", state.claim);
      said.set("radius", state.radius_m);
    }
    if (view) said.set("view", view.join(","));
    history.replaceState(null, "", `#${said}`);
  }

  function mount() {
    const later = () => state().facts && write();
    const state = () => window.gairDesk.state;
    ["index", "tab", "setting", "area", "claim"].forEach((name) => document.addEventListener(`gair:${name}`, later));
    document.addEventListener("gair:view", (event) => {
      if (!state().facts) return; // the map has not been put where the address says yet
      view = event.detail;
      write();
    });
    window.addEventListener("hashchange", () => location.reload());
  }

  return { read, mount };
})();
