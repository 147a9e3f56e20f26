// A layer of the map that is painted on one canvas, and the numbers that such layers are sent: the
// heat map and the reference photos are two. app/views/map.py writes what is read here.
"use strict";

window.gairCanvas = (() => {
  const WORLD = 2 ** 32;

  const numbers = (text, Type) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Type(bytes.buffer);
  };

  // What places in units of the world are on the canvas: x = middle + unit * scale - origin.x.
  function view(map) {
    const world = 256 * 2 ** map.getZoom();
    return { scale: world / WORLD, middle: world / 2, origin: map.getPixelBounds().min };
  }

  // A layer says its `pane`, its `zIndex`, its `className`, whether it is `_ready`, and how to
  // `_paint(context, size)`, which counts what it painted.
  const Layer = L.Layer.extend({
    onAdd(map) {
      const pane = map.getPane(this.options.pane) || map.createPane(this.options.pane);
      pane.style.zIndex = this.options.zIndex;
      pane.style.pointerEvents = "none";
      this._canvas = L.DomUtil.create("canvas", `${this.options.className} leaflet-zoom-hide`, pane);
      map.on("moveend zoomend resize", this.redraw, this);
      this.redraw();
    },

    onRemove(map) {
      map.off("moveend zoomend resize", this.redraw, this);
      this._canvas.remove();
    },

    redraw() {
      const map = this._map;
      if (!map || !map._loaded) return;
      const size = map.getSize();
      const ratio = window.devicePixelRatio || 1;
      L.DomUtil.setPosition(this._canvas, map.containerPointToLayerPoint([0, 0]));
      Object.assign(this._canvas, { width: size.x * ratio, height: size.y * ratio });
      Object.assign(this._canvas.style, { width: `${size.x}px`, height: `${size.y}px` });
      if (!this._ready()) {
        delete this._canvas.dataset.drawn;
        return;
      }
      const context = this._canvas.getContext("2d");
      context.scale(ratio, ratio);
      this._canvas.dataset.drawn = String(this._paint(context, size));
    },
  });

  return { Layer, numbers, view };
})();
