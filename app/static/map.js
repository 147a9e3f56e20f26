// The map: the outline of the index, the numbered places, their H3 cells. app/views/map.py writes
// the data read here. A choice travels as the document's event "gair:pick", so that list and map
// need not know each other.
"use strict";

window.gairMap = (() => {
  const FIT = { padding: [48, 48], maxZoom: 14 };

  function mount(box, props, watch) {
    const { outline, tiles } = props.background;
    const map = L.map(box, {
      attributionControl: false,
      scrollWheelZoom: false, // until the map has the focus, so that the page can be scrolled
      zoomControl: false,
      zoomSnap: 0.25,
      maxZoom: 19,
    });
    const region = L.geoJSON(outline, { interactive: false, className: "gair-outline" });
    const places = L.featureGroup();
    map.fitBounds(region.getBounds(), { padding: [24, 24] });
    addBackground(map, tiles);
    region.addTo(map);
    places.addTo(map);
    const views = { region, places };
    addControls(map, views);
    map.on("focus", () => map.scrollWheelZoom.enable());
    map.on("blur", () => map.scrollWheelZoom.disable());
    new ResizeObserver(() => map.invalidateSize({ pan: false })).observe(box);

    const regions = L.layerGroup().addTo(map);
    const show = () => {
      drawRegions(regions, props.value.regions);
      draw(map, places, props.value.places);
    };
    watch("value", show);
    document.addEventListener("gair:pick", (event) => highlight(map, places, event.detail));
    show();
  }

  function addBackground(map, tiles) {
    if (!tiles) {
      new window.gairGraticule().addTo(map);
      return;
    }
    L.control.attribution({ prefix: false }).addTo(map);
    L.tileLayer(tiles.url, { attribution: tiles.attribution, maxZoom: 19 }).addTo(map);
  }

  function addControls(map, views) {
    L.control.zoom({ position: "topright" }).addTo(map);
    L.control.scale({ position: "bottomright", imperial: false, maxWidth: 140 }).addTo(map);
    const bar = L.control({ position: "topleft" });
    bar.onAdd = () => {
      const box = L.DomUtil.create("div", "gair-map-views");
      addView(box, "Whole index", () => map.flyToBounds(views.region.getBounds(), { padding: [24, 24], duration: 0.6 }));
      const near = addView(box, "Places", () => map.flyToBounds(views.places.getBounds(), { ...FIT, duration: 0.6 }));
      near.disabled = true;
      views.places.on("layeradd layerremove", () => {
        near.disabled = views.places.getLayers().length === 0;
      });
      L.DomEvent.disableClickPropagation(box);
      return box;
    };
    bar.addTo(map);
  }

  function addView(box, text, go) {
    const button = L.DomUtil.create("button", "", box);
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", go);
    return button;
  }

  // The largest first, so that the smaller one is drawn on top.
  function drawRegions(group, features) {
    group.clearLayers();
    features.forEach((feature) => {
      const likely = Math.round(100 * feature.properties.level);
      const className = `gair-region gair-region-${likely}`;
      group.addLayer(L.geoJSON(feature, { interactive: false, className, weight: 1.5 }));
    });
  }

  // Worst first, so that the best place is drawn on top.
  function draw(map, group, places) {
    group.clearLayers();
    [...places].sort((a, b) => b.rank - a.rank).forEach((place) => group.addLayer(layerOf(place)));
    if (places.length) map.flyToBounds(group.getBounds(), { ...FIT, duration: 0.5 });
  }

  function layerOf(place) {
    const first = place.rank === 1 ? " gair-first" : "";
    const cell = L.polygon(place.cell, { className: `gair-cell${first}`, weight: 2 });
    const parts = [cell, markerOf(place, first)];
    if (place.spread_m > 0) {
      const around = { radius: place.spread_m, className: "gair-spread", interactive: false, weight: 1.5 };
      parts.unshift(L.circle(place.position, around));
    }
    const layer = L.featureGroup(parts);
    layer.rank = place.rank;
    layer.on("click", () => pick(place.rank));
    layer.on("keypress", ({ originalEvent }) => originalEvent.key === "Enter" && pick(place.rank));
    return layer;
  }

  function markerOf(place, first) {
    const pin = document.createElement("span");
    pin.textContent = place.rank;
    const icon = L.divIcon({
      html: pin,
      className: `gair-pin${first}`,
      iconSize: [30, 32],
      iconAnchor: [15, 31],
    });
    return L.marker(place.position, {
      icon,
      title: place.label,
      alt: place.label,
      riseOnHover: true,
      zIndexOffset: 1000 - 10 * place.rank,
    });
  }

  function pick(rank) {
    document.dispatchEvent(new CustomEvent("gair:pick", { detail: rank }));
  }

  function highlight(map, group, rank) {
    group.eachLayer((layer) => {
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

  return { mount };
})();
