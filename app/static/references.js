// Reference photos on the map: a dot each, on one canvas above the heat map. Dots are translucent,
// so that where many stand they add up to a density. app/views/map.py writes what is read here.
"use strict";

window.gairReferences = (() => {
  const { numbers } = window.gairCanvas;
  const DOT_PX = 2.2;
  const OPACITY = 0.55;

  const Layer = gairCanvas.Layer.extend({
    // Over the heat map, under outlines and markers.
    options: { pane: "gairReferences", zIndex: 350, className: "gair-references" },

    show(reply) {
      this._points = reply ? numbers(reply.points, Int32Array) : null;
      this._counts = reply ? numbers(reply.counts, Int32Array) : null;
      this.redraw();
    },

    _ready() {
      return this._points;
    },

    // A dot that stands for several photos has their area together.
    _paint(context, size) {
      context.fillStyle = getComputedStyle(this._map.getContainer()).getPropertyValue("--gair-hot");
      context.globalAlpha = OPACITY;
      const { scale, middle, origin } = gairCanvas.view(this._map);
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
