// The map: outline and holes of the index, heat map, regions, numbered places, a claim, an area that
// was drawn. app/views/map.py writes the data read here. What is chosen travels as the document's
// events "gair:*", so that list and map need not know each other.
"use strict";

window.gairMap = (() => {
  const FIT = { paddingTopLeft: [48, 84], paddingBottomRight: [48, 48], maxZoom: 14 }; // under the buttons
  const PHONE_PX = 480;
  const PIN_PX = 40;
  const WHOLE = { paddingTopLeft: [24, 56], paddingBottomRight: [24, 24] };
  const layers = {};
  let map = null;
  let drawing = null; // gives up drawing, while there is any
  let wanted = null; // the view that the address asks for, until it was shown
  let held = false; // nothing moves that view before somebody does something

  const hear = (name, handler) => document.addEventListener(`gair:${name}`, (e) => handler(e.detail));
  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(`gair:${name}`, { detail }));

  function mount(box, { tiles, view }) {
    wanted = view;
    map = L.map(box, {
      attributionControl: false,
      scrollWheelZoom: false, // until the map has the focus, so that the page can be scrolled
      zoomControl: false,
      zoomSnap: 0.25,
      maxZoom: 19,
    });
    map.setView([0, 0], 2);
    addBackground(tiles);
    ["holes", "outline", "regions", "area", "claim", "looked"].forEach((name) => {
      layers[name] = L.layerGroup().addTo(map);
    });
    layers.heat = new window.gairHeat.Layer().addTo(map);
    layers.references = new window.gairReferences.Layer().addTo(map);
    layers.places = L.featureGroup().addTo(map);
    layers.explored = L.featureGroup();
    layers.legend = new window.gairHeat.Legend().addTo(map);
    window.gairControls.add(map, layers, { whole, near, draw });
    window.gairPictures.follow(map);
    window.gairOverlays.follow(map);
    window.gairSun.follow(map);
    map.on("focus", () => map.scrollWheelZoom.enable());
    map.on("blur", () => map.scrollWheelZoom.disable());
    map.on("click", (event) => drawing || clicked(event.latlng));
    map.on("moveend", () => tell("view", viewNow()));
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === box && !drawing) clicked(map.getCenter());
    });
    new ResizeObserver(() => map.invalidateSize({ animate: false })).observe(box);
    listen();
  }

  function listen() {
    const release = () => { held = false; };
    ["pointerdown", "keydown"].forEach((kind) => document.addEventListener(kind, release, true));
    hear("sending", release);
    hear("index", showIndex);
    hear("answer", (answer) => {
      layers.looked.clearLayers();
      map.closePopup();
      drawRegions(answer ? answer.regions : []);
      drawDecision(answer ? answer.decision : null);
      drawPlaces(answer ? answer.places : []);
      if (!answer) showHeat(null);
    });
    hear("heat", showHeat);
    hear("pick", highlight);
    hear("claim", drawClaim);
    hear("explored", drawExplored);
    hear("area", drawArea);
    hear("theme", () => { layers.heat.redraw(); layers.legend.again(); });
    window.gairReferences.follow(layers.references);
    hear("tab", (tab) => {
      map.getContainer().classList.toggle("gair-aiming", tab === "claim");
      layers.explored[tab === "explore" ? "addTo" : "removeFrom"](map);
    });
  }

  function showHeat(reply) {
    layers.heat.show(reply);
    layers.legend.show(reply);
  }

  function viewNow() {
    const { lat, lng } = map.getCenter();
    return [lat.toFixed(5), lng.toFixed(5), map.getZoom().toFixed(2)].map(Number);
  }

  function addBackground(tiles) {
    if (!tiles) {
      new window.gairGraticule().addTo(map);
      return;
    }
    L.control.attribution({ prefix: false }).addTo(map);
    L.tileLayer(tiles.url, { attribution: tiles.attribution, maxZoom: 19 }).addTo(map);
  }

  function showIndex({ outline, holes }) {
    layers.outline.clearLayers();
    layers.holes.clearLayers();
    layers.region = L.geoJSON(outline, { interactive: false, className: "gair-outline" });
    layers.outline.addLayer(layers.region);
    if (holes) layers.holes.addLayer(L.geoJSON(holes, { interactive: false, className: "gair-hole", weight: 1 }));
    drawArea();
    if (wanted) map.setView([wanted[0], wanted[1]], wanted[2]);
    else map.fitBounds(layers.region.getBounds(), WHOLE);
    held = Boolean(wanted);
    wanted = null;
  }

  // As FIT; on a phone the buttons fill several lines, and the credit lies below.
  function fit() {
    const box = map.getContainer();
    if (box.clientWidth > PHONE_PX) return FIT;
    const lines = box.querySelector(".leaflet-top.leaflet-left").offsetHeight;
    const top = Math.min(lines + PIN_PX, box.clientHeight / 2);
    return { ...FIT, paddingTopLeft: [48, top], paddingBottomRight: [48, 84] };
  }

  function whole() {
    if (layers.region) map.flyToBounds(layers.region.getBounds(), { ...WHOLE, duration: 0.6 });
  }

  function near() {
    map.flyToBounds(layers.places.getBounds(), { ...fit(), duration: 0.6 });
  }

  // The largest first, so that the smaller one is drawn on top.
  function drawRegions(features) {
    layers.regions.clearLayers();
    features.forEach((feature) => {
      const likely = Math.round(100 * feature.properties.level);
      const className = `gair-region gair-region-${likely}`;
      layers.regions.addLayer(L.geoJSON(feature, { interactive: false, className, weight: 1.5 }));
    });
  }

  // What a decision answers with: a disc around the best guess, or a region.
  function drawDecision(decision) {
    if (!decision) return;
    const style = { className: "gair-decided", interactive: false, weight: 2.5 };
    const disc = () => L.circle(decision.position, { radius: decision.radius_m, ...style });
    layers.regions.addLayer(decision.region ? L.geoJSON(decision.region, style) : disc());
  }

  // Worst first, so that the best place is drawn on top.
  function drawPlaces(places) {
    layers.places.clearLayers();
    [...places].sort((a, b) => b.rank - a.rank).forEach((place) => layers.places.addLayer(layerOf(place)));
    if (places.length && !held) map.flyToBounds(layers.places.getBounds(), { ...fit(), duration: 0.5 });
  }

  function layerOf(place) {
    const first = place.rank === 1 ? " gair-first" : "";
    const cell = L.polygon(place.cell, { className: `gair-cell${first}`, weight: 2, interactive: false });
    const parts = [cell, markerOf(place, first)];
    if (place.merged_within_m > 0) {
      const around = { radius: place.merged_within_m, className: "gair-spread", interactive: false, weight: 1.5 };
      parts.unshift(L.circle(place.position, around));
    }
    const layer = L.featureGroup(parts);
    layer.rank = place.rank;
    layer.on("click", (event) => { L.DomEvent.stopPropagation(event); tell("pick", place.rank); });
    layer.on("keypress", ({ originalEvent }) => originalEvent.key === "Enter" && tell("pick", place.rank));
    return layer;
  }

  function markerOf(place, first) {
    const pin = document.createElement("span");
    pin.textContent = place.rank;
    const icon = L.divIcon({ html: pin, className: `gair-pin${first}`, iconSize: [30, 32], iconAnchor: [15, 31] });
    const options = { icon, title: place.label, alt: place.label, riseOnHover: true };
    return L.marker(place.position, { ...options, zIndexOffset: 1000 - 10 * (Number(place.rank) || 0) });
  }

  // Similar places with their examples, or photos of a place; seen in "Explore" only.
  function drawExplored(points) {
    layers.explored.clearLayers();
    [...points].reverse().forEach(({ mark, position, label, cell }) => {
      const kind = /^\d/.test(mark) ? "" : " gair-first";
      if (cell) layers.explored.addLayer(L.polygon(cell, { className: `gair-cell${kind}`, weight: 2, interactive: false }));
      layers.explored.addLayer(markerOf({ rank: mark, position, label }, kind));
    });
    if (!points.length) return;
    map.closePopup();
    // At once: one list follows another faster than a flight ends.
    if (!held) map.fitBounds(layers.explored.getBounds(), { ...fit(), animate: false });
  }

  function highlight(rank) {
    layers.places.eachLayer((layer) => {
      const chosen = layer.rank === rank;
      layer.eachLayer((part) => {
        const element = part.getElement();
        if (element) element.classList.toggle("gair-chosen", chosen);
        if (part instanceof L.Marker) part.setZIndexOffset(chosen ? 2000 : 1000 - 10 * layer.rank);
        if (chosen && part.bringToFront) part.bringToFront();
        if (chosen && part instanceof L.Marker) map.panInside(part.getLatLng(), { padding: [48, 48] });
      });
    });
  }

  function drawClaim(claim) {
    layers.claim.clearLayers();
    if (!claim) return;
    const circle = L.circle(claim.at, { radius: claim.radius_m, className: "gair-claimed", interactive: false, weight: 2 });
    layers.claim.addLayer(circle);
    const icon = L.divIcon({ className: "gair-claim-mark", iconSize: [18, 18] });
    const words = `The claimed place: ${claim.at.map((v) => v.toFixed(5)).join(", ")}`;
    layers.claim.addLayer(L.marker(claim.at, { icon, alt: words, title: words, keyboard: false }));
    if (!held && !map.getBounds().contains(circle.getBounds())) {
      map.flyToBounds(circle.getBounds(), { ...fit(), duration: 0.5 });
    }
  }

  function drawArea() {
    layers.area.clearLayers();
    const { area } = window.gairDesk.state;
    if (!area) return;
    const corners = area.map(([lon, lat]) => [lat, lon]);
    layers.area.addLayer(L.polygon(corners, { className: "gair-area", interactive: false, weight: 2 }));
  }

  function draw(kind) {
    if (drawing) drawing();
    map.closePopup();
    const mine = window.gairDraw.start(map, kind, (ring) => {
      setTimeout(() => { if (drawing === mine) drawing = null; }); // the last click is none on the map
      if (!ring) return;
      window.gairDesk.state.area = ring;
      tell("area");
    });
    drawing = mine;
  }

  // In "Check a claim" a click claims the place; elsewhere it asks what the cell there says.
  async function clicked(latlng) {
    const { state, ask, query } = window.gairDesk;
    const { lat, lng } = latlng.wrap();
    if (state.tab === "claim") {
      window.gairClaim.test(`${lat.toFixed(5)}, ${lng.toFixed(5)}`);
      return;
    }
    if (!state.facts) return;
    const reply = await ask("cell", { do: "cell", lonlat: [lng, lat], ...query() });
    if (!reply) return;
    layers.looked.clearLayers();
    if (reply.cell) layers.looked.addLayer(L.polygon(reply.cell, { className: "gair-looked", interactive: false, weight: 2.5 }));
    const card = document.createElement("div");
    if (reply.error) card.append(window.gairDesk.notice("grave", reply.error));
    else card.innerHTML = reply.card;
    L.popup({ minWidth: 300, maxWidth: 340, autoPanPadding: [16, 56] }).setLatLng(reply.at || [lat, lng]).setContent(card).openOn(map);
  }

  return { mount };
})();
