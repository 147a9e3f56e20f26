// The map's buttons: where to look, what the heat map shows, an area to search in.
"use strict";

window.gairControls = (() => {
  const HEAT = [["fused", "Fused"], ["imagery", "Imagery"], ["location", "Location"],
    ["ground", "Photos"], ["off", "Off"]];

  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(`gair:${name}`, { detail }));

  function add(map, layers, { whole, near, draw }) {
    L.control.zoom({ position: "topright" }).addTo(map);
    L.control.scale({ position: "bottomright", imperial: false, maxWidth: 140 }).addTo(map);
    bar(map, "gair-map-views", "Where to look", (box) => {
      button(box, "Whole index", whole);
      const places = button(box, "Places", near);
      places.disabled = true;
      layers.places.on("layeradd layerremove", () => {
        places.disabled = layers.places.getLayers().length === 0;
      });
    });
    bar(map, "gair-map-heat", "Heat map", heatButtons);
    bar(map, "gair-map-references", "Reference photos", referenceButton);
    bar(map, "gair-map-area", "Area to search in", (box) => areaButtons(box, draw));
  }

  function bar(map, name, words, fill) {
    const control = L.control({ position: "topleft" });
    control.onAdd = () => {
      const box = L.DomUtil.create("div", `gair-buttons ${name}`);
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", words);
      fill(box);
      L.DomEvent.disableClickPropagation(box);
      return box;
    };
    control.addTo(map);
  }

  function button(box, text, go) {
    const made = L.DomUtil.create("button", "", box);
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", go);
    return made;
  }

  function heatButtons(box) {
    const { state } = window.gairDesk;
    const name = L.DomUtil.create("span", "", box);
    name.textContent = "Heat";
    const made = HEAT.map(([layer, text]) => {
      const one = button(box, text, () => {
        state.layer = layer;
        show();
        tell("layer");
        tell("setting");
      });
      one.dataset.gairLayer = layer;
      return one;
    });
    const show = () => made.forEach((one) => {
      one.setAttribute("aria-pressed", String(one.dataset.gairLayer === state.layer));
    });
    show();
    // An index without reference photos has no such map.
    document.addEventListener("gair:index", ({ detail }) => {
      made.find((one) => one.dataset.gairLayer === "ground").hidden = !detail.references;
      if (!detail.references && state.layer === "ground") {
        state.layer = "fused";
        show();
        tell("layer");
      }
    });
  }

  function referenceButton(box) {
    const { state } = window.gairDesk;
    const one = button(box, "Reference photos", () => {
      state.references = !state.references;
      show();
      tell("references");
      tell("setting");
    });
    one.dataset.gairReferences = "";
    const show = () => one.setAttribute("aria-pressed", String(state.references));
    show();
    box.hidden = true;
    document.addEventListener("gair:index", ({ detail }) => {
      box.hidden = !detail.references;
      const count = detail.references.toLocaleString("en");
      one.title = `Where the ${count} reference photos of this index were taken`;
    });
  }

  function areaButtons(box, draw) {
    const { state } = window.gairDesk;
    const name = L.DomUtil.create("span", "", box);
    name.textContent = "Area";
    button(box, "Box", () => draw("box"));
    button(box, "Polygon", () => draw("polygon"));
    const clear = button(box, "Clear", () => {
      state.area = null;
      tell("area");
    });
    clear.dataset.gairClear = "";
    const show = () => { clear.disabled = !state.area; };
    document.addEventListener("gair:area", show);
    show();
  }

  return { add };
})();
