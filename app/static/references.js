// Reference photos on the map: a dot each, on one canvas above the heat map. Dots are translucent,
// so that where many stand they add up to a density. app/views/map.py writes what is read here.
"use strict";

window.gairReferences = (() => {
  const WORLD = 2 ** 32;
  const DOT_PX = 2.2;
  const OPACITY = 0.55;

  const numbers = (text, Type) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Type(bytes.buffer);
  };

  const Layer = L.Layer.extend({
    onAdd(map) {
      const pane = map.getPane("gairReferences") || map.createPane("gairReferences");
      pane.style.zIndex = 350; // over the heat map, under outlines and markers
      pane.style.pointerEvents = "none";
      this._canvas = L.DomUtil.create("canvas", "gair-references leaflet-zoom-hide", pane);
      map.on("moveend zoomend resize", this.redraw, this);
      this.redraw();
    },

    show(reply) {
      this._points = reply ? numbers(reply.points, Int32Array) : null;
      this._counts = reply ? numbers(reply.counts, Int32Array) : null;
      this.redraw();
    },

    redraw() {
      const map = this._map;
      if (!map || !map._loaded) return;
      const size = map.getSize();
      const ratio = window.devicePixelRatio || 1;
      L.DomUtil.setPosition(this._canvas, map.containerPointToLayerPoint([0, 0]));
      Object.assign(this._canvas, { width: size.x * ratio, height: size.y * ratio });
      Object.assign(this._canvas.style, { width: `${size.x}px`, height: `${size.y}px` });
      if (!this._points) {
        delete this._canvas.dataset.drawn;
        return;
      }
      const context = this._canvas.getContext("2d");
      context.scale(ratio, ratio);
      context.fillStyle = getComputedStyle(map.getContainer()).getPropertyValue("--gair-hot");
      context.globalAlpha = OPACITY;
      this._canvas.dataset.drawn = String(this._paint(context, size));
    },

    // A dot that stands for several photos has their area together.
    _paint(context, size) {
      const scale = (256 * 2 ** this._map.getZoom()) / WORLD;
      const origin = this._map.getPixelBounds().min;
      const middle = 128 * 2 ** this._map.getZoom();
      let drawn = 0;
      this._counts.forEach((count, n) => {
        const x = middle + this._points[2 * n] * scale - origin.x;
        const y = middle + this._points[2 * n + 1] * scale - origin.y;
        const radius = Math.min(DOT_PX * Math.sqrt(count), 6 * DOT_PX);
        if (x < -radius || y < -radius || x > size.x + radius || y > size.y + radius) return;
        context.beginPath();
        context.arc(x, y, radius, 0, 2 * Math.PI);
        context.fill();
        drawn += count;
      });
      return drawn;
    },
  });

  // The layer follows the index and its button; points of an index come when they are first wanted.
  function follow(layer) {
    const { state, ask, overtake, hear } = window.gairDesk;
    let shown = null; // index and set whose points are on the map

    async function show() {
      const wanted = state.references && state.facts && state.facts.references;
      if (!wanted) {
        overtake("references");
        shown = null;
        layer.show(null);
        return;
      }
      const name = `${state.index} ${state.facts.references_set}`;
      if (shown === name) return;
      const reply = await ask("references", { do: "references" });
      if (!reply) return;
      shown = reply.error ? null : name;
      layer.show(reply.error ? null : reply);
    }

    ["index", "references"].forEach((name) => hear(name, show));
    hear("theme", () => layer.redraw());
  }

  return { Layer, follow };
})();
