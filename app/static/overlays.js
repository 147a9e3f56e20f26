// Overlays of one's own: GeoJSON, KML and GPX files on the map. They are read in the browser and sent
// nowhere. KML and GPX become GeoJSON by @tmcw/togeojson 7.1.3 (BSD-2-Clause).
"use strict";

window.gairOverlays = (() => {
  const MOST_BYTES = 10e6;
  const MOST_FEATURES = 20_000;
  const KINDS = ".geojson,.json,.kml,.gpx";
  const NAMES = ["name", "title", "label"];

  // A sentence says what is wrong with a file.
  class Unusable extends Error {}

  async function features(file) {
    if (file.size > MOST_BYTES) {
      throw new Unusable(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB: at most ${MOST_BYTES / 1e6} MB can be shown`);
    }
    const text = await file.text();
    const parsed = /\.(kml|gpx)$/i.test(file.name) ? fromXml(file.name, text) : fromJson(file.name, text);
    const listed = (parsed.type === "FeatureCollection" ? parsed.features : [parsed]) || [];
    const placed = listed.filter((one) => one && (one.geometry || one.coordinates || one.geometries));
    if (!placed.length) throw new Unusable(`${file.name} has nothing in it that lies anywhere`);
    if (placed.length > MOST_FEATURES) {
      throw new Unusable(`${file.name} has ${placed.length.toLocaleString("en")} features: at most ${MOST_FEATURES.toLocaleString("en")} can be shown`);
    }
    return placed;
  }

  function fromJson(name, text) {
    let parsed;
    try {
      parsed = JSON.parse(text);
    } catch {
      throw new Unusable(`${name} is not GeoJSON: choose a .geojson, .kml or .gpx file`);
    }
    if (!parsed || typeof parsed.type !== "string") {
      throw new Unusable(`${name} is JSON, but not GeoJSON: it has no type`);
    }
    return parsed;
  }

  function fromXml(name, text) {
    const kind = name.toLowerCase().endsWith(".kml") ? "kml" : "gpx";
    const xml = new DOMParser().parseFromString(text, "text/xml");
    const root = xml.documentElement;
    if (xml.querySelector("parsererror") || root.localName.toLowerCase() !== kind) {
      throw new Unusable(`${name} is not ${kind.toUpperCase()}: it is damaged or of another kind`);
    }
    return window.toGeoJSON[kind](xml);
  }

  // GeoJSON may hold anything: numbers that are none, and places that are not on Earth.
  function checkPlaces(name, layer) {
    layer.eachLayer((one) => {
      const bounds = one.getBounds ? one.getBounds() : L.latLngBounds([one.getLatLng()]);
      const edges = bounds.isValid() ? [bounds.getSouth(), bounds.getNorth(), bounds.getWest(), bounds.getEast()] : [NaN];
      const [south, north, west, east] = edges;
      if (!edges.every(Number.isFinite) || south < -90 || north > 90 || west < -540 || east > 540) {
        throw new Unusable(`${name} has a place that is no longitude and latitude in degrees`);
      }
    });
  }

  function layerOf(name, placed) {
    const icon = L.divIcon({ className: "gair-overlay-dot", iconSize: [12, 12] });
    let layer;
    try {
      layer = L.geoJSON(placed, {
        style: () => ({ className: "gair-overlay" }),
        pointToLayer: (_, latlng) => L.marker(latlng, { icon, keyboard: false }),
        onEachFeature: (feature, one) => {
          const properties = feature.properties || {};
          const key = NAMES.find((candidate) => typeof properties[candidate] === "string");
          if (!key) return;
          const words = document.createElement("span"); // text, whatever the file says
          words.textContent = properties[key].slice(0, 120);
          one.bindTooltip(words);
        },
      });
      checkPlaces(name, layer);
    } catch (error) {
      throw error instanceof Unusable ? error : new Unusable(`${name} has a shape that cannot be drawn`);
    }
    return layer;
  }

  function follow(map) {
    const shown = L.featureGroup().addTo(map);
    const box = L.DomUtil.create("div", "gair-buttons gair-map-overlays");
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Overlays of your own");
    const input = L.DomUtil.create("input", "", box);
    Object.assign(input, { type: "file", multiple: true, accept: KINDS });
    input.setAttribute("aria-label", "Choose GeoJSON, KML or GPX files");
    const button = (text, go) => {
      const made = L.DomUtil.create("button", "", box);
      Object.assign(made, { type: "button", textContent: text });
      made.addEventListener("click", go);
      return made;
    };
    button("Overlay", () => input.click()).title = "GeoJSON, KML or GPX; read here, sent nowhere";
    const clear = button("Clear overlays", () => { shown.clearLayers(); clear.hidden = true; });
    clear.hidden = true;
    input.addEventListener("change", async () => {
      const { say } = window.gairDesk;
      for (const file of [...input.files]) {
        try {
          const placed = await features(file);
          const layer = layerOf(file.name, placed);
          shown.addLayer(layer);
          clear.hidden = false;
          map.flyToBounds(layer.getBounds(), { maxZoom: 16, padding: [48, 48], duration: 0.5 });
          tellAll(map, `${file.name}: ${placed.length.toLocaleString("en")} shown`, false);
          say(`${file.name} shown`);
        } catch (error) {
          const words = error instanceof Unusable ? error.message : `${file.name} cannot be read`;
          tellAll(map, words, true);
          say(words);
        }
      }
      input.value = "";
    });
    const control = L.control({ position: "topleft" });
    control.onAdd = () => {
      L.DomEvent.disableClickPropagation(box);
      return box;
    };
    control.addTo(map);
  }

  // One line over the map: what came of a file.
  function tellAll(map, words, wrong) {
    map.getContainer().querySelectorAll(".gair-overlay-said").forEach((one) => one.remove());
    const line = L.DomUtil.create("div", "gair-hint gair-overlay-said", map.getContainer());
    line.textContent = words;
    line.setAttribute("role", wrong ? "alert" : "status");
    setTimeout(() => line.remove(), wrong ? 9000 : 3000);
  }

  return { follow };
})();
