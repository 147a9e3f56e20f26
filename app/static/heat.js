// The heat map: every cell of the index as a filled polygon on one canvas under the markers. The
// outlines of a build come once and stay; app/views/map.py writes what is read here.
"use strict";

window.gairHeat = (() => {
  const { numbers } = window.gairCanvas;
  const LEVELS = 32;
  const OPACITY = { light: 0.72, dark: 0.78 };
  // From low to high; in the light one low values are pale, in the dark one they are deep.
  const RAMPS = {
    light: [[224, 242, 241], [148, 210, 199], [60, 160, 150], [14, 104, 110], [24, 50, 92]],
    dark: [[16, 42, 58], [15, 83, 94], [20, 140, 128], [94, 205, 150], [240, 249, 160]],
  };
  let kept = { build: "", outlines: null };

  const theme = () => (document.body.classList.contains("dark") ? "dark" : "light");

  function colour(share) {
    const ramp = RAMPS[theme()];
    const at = Math.min(share, 0.9999) * (ramp.length - 1);
    const low = ramp[Math.floor(at)];
    const high = ramp[Math.floor(at) + 1];
    const mixed = low.map((part, n) => Math.round(part + (high[n] - part) * (at % 1)));
    return `rgb(${mixed.join(",")})`;
  }

  // The build whose outlines need not be sent again; null for none.
  const has = (build) => (kept.build === build && build ? build : null);

  function outlinesOf(reply) {
    if (!reply.outlines) return kept.outlines;
    const { count, unit, centres, corners } = reply.outlines;
    const outlines = {
      count,
      unit,
      centres: numbers(centres, Int32Array),
      corners: numbers(corners, Int16Array),
    };
    kept = { build: reply.build, outlines };
    return outlines;
  }

  const Layer = gairCanvas.Layer.extend({
    // Over tiles and grid, under outlines and markers.
    options: { pane: "gairHeat", zIndex: 300, className: "gair-heat" },

    show(reply) {
      this._levels = reply ? numbers(reply.levels, Uint8Array) : null;
      this._outlines = reply ? outlinesOf(reply) : null;
      this.redraw();
    },

    _ready() {
      return this._levels && this._outlines;
    },

    // One path a colour: a hundred thousand cells are 32 fills.
    _paint(context, size) {
      const { count, unit, centres, corners } = this._outlines;
      const { scale, middle, origin } = gairCanvas.view(this._map);
      const paths = Array.from({ length: LEVELS }, () => new Path2D());
      let drawn = 0;
      for (let n = 0; n < count; n += 1) {
        const level = this._levels[n];
        if (!level) continue;
        const x = middle + centres[2 * n] * scale - origin.x;
        const y = middle + centres[2 * n + 1] * scale - origin.y;
        const reach = 32767 * unit * scale;
        if (x < -reach || y < -reach || x > size.x + reach || y > size.y + reach) continue;
        const path = paths[Math.min(LEVELS - 1, Math.floor(((level - 1) / 255) * LEVELS))];
        for (let c = 0; c < 6; c += 1) {
          const px = x + corners[12 * n + 2 * c] * unit * scale;
          const py = y + corners[12 * n + 2 * c + 1] * unit * scale;
          if (c) path.lineTo(px, py);
          else path.moveTo(px, py);
        }
        path.closePath();
        drawn += 1;
      }
      context.globalAlpha = OPACITY[theme()];
      paths.forEach((path, n) => {
        context.fillStyle = colour(n / (LEVELS - 1));
        context.fill(path);
      });
      return drawn;
    },
  });

  const short = (value) => {
    const size = Math.abs(value);
    if (size && (size < 0.001 || size >= 10_000)) return value.toExponential(0).replace("-", "−");
    return String(Number(value.toPrecision(2))).replace("-", "−");
  };

  // What the colours mean: a strip from low to high.
  const Legend = L.Control.extend({
    options: { position: "bottomleft" },

    onAdd() {
      this._box = L.DomUtil.create("div", "gair-legend");
      this._box.hidden = true;
      return this._box;
    },

    show(reply) {
      this._reply = reply;
      this._box.hidden = !reply;
      if (!reply) return;
      const stops = [0, 0.25, 0.5, 0.75, 1].map(colour).join(",");
      const words = document.createElement("span");
      words.textContent = reply.words + (reply.log ? ", log scale" : "");
      const strip = document.createElement("i");
      strip.style.background = `linear-gradient(to right, ${stops})`;
      const ends = document.createElement("b");
      ends.append(...[reply.low, reply.high].map((value) => {
        const end = document.createElement("span");
        end.textContent = short(value);
        return end;
      }));
      this._box.replaceChildren(words, strip, ends);
    },

    again() {
      this.show(this._reply);
    },
  });

  return { has, Layer, Legend };
})();
