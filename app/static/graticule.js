// A grid of meridians and parallels: the map's sense of place when there are no tiles.
"use strict";

(() => {
  const STEPS_DEG = [10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
  const PANE = "gair-grid";
  const CONTROLS_PX = { top: 64, right: 210 };
  const LEGEND_PX = 205;
  const LABELS_PX = { width: 64, height: 24 };
  const LINES_ACROSS = 7; // about this many on the shorter side

  const decimals = (step) => (step >= 1 ? 0 : Math.ceil(-Math.log10(step) - 1e-9));

  const named = (value, step, positive, negative) =>
    `${Math.abs(value).toFixed(decimals(step))}°${value < 0 ? negative : positive}`;

  function multiples(from, to, step) {
    const values = [];
    for (let n = Math.ceil(from / step); n * step <= to; n += 1) values.push(n * step);
    return values;
  }

  function label(text, kind) {
    const span = document.createElement("span");
    span.textContent = text;
    return L.divIcon({ html: span, className: `gair-grid-label gair-grid-${kind}`, iconSize: null });
  }

  window.gairGraticule = L.LayerGroup.extend({
    onAdd(map) {
      L.LayerGroup.prototype.onAdd.call(this, map);
      map.createPane(PANE).style.zIndex = 250; // under everything that is drawn on the map
      map.on("moveend resize", this.redraw, this);
      if (map._loaded) this.redraw();
    },

    onRemove(map) {
      map.off("moveend resize", this.redraw, this);
      L.LayerGroup.prototype.onRemove.call(this, map);
    },

    redraw() {
      const map = this._map;
      if (!map) return;
      this.clearLayers();
      const seen = map.getBounds();
      const drawn = seen.pad(0.5); // lines reach past the edge, so that a drag shows no gap
      const shorter = Math.min(seen.getNorth() - seen.getSouth(), seen.getEast() - seen.getWest());
      const step = STEPS_DEG.find((s) => shorter / s >= LINES_ACROSS / 2) || STEPS_DEG.at(-1);
      const south = Math.max(drawn.getSouth(), -85);
      const north = Math.min(drawn.getNorth(), 85);
      multiples(drawn.getWest(), drawn.getEast(), step).forEach((lon) => {
        this.line([[south, lon], [north, lon]]);
        this.text([seen.getSouth(), lon], named(lon, step, "E", "W"), "lon");
      });
      multiples(south, north, step).forEach((lat) => {
        this.line([[lat, drawn.getWest()], [lat, drawn.getEast()]]);
        this.text([lat, seen.getWest()], named(lat, step, "N", "S"), "lat");
      });
    },

    line(ends) {
      const options = { pane: PANE, className: "gair-grid", interactive: false, weight: 1 };
      this.addLayer(L.polyline(ends, options));
    },

    // Whether a control, or the labels of the other axis, sit there.
    covered({ x, y }, kind) {
      const size = this._map.getSize();
      if (kind === "lat") return y < CONTROLS_PX.top || y > size.y - LABELS_PX.height;
      const legend = document.querySelector(".gair-legend:not([hidden])");
      return x < (legend ? LEGEND_PX : LABELS_PX.width) || x > size.x - CONTROLS_PX.right;
    },

    text(where, text, kind) {
      if (this.covered(this._map.latLngToContainerPoint(where), kind)) return;
      const options = { pane: PANE, icon: label(text, kind), interactive: false, keyboard: false };
      this.addLayer(L.marker(where, options));
    },
  });
})();
