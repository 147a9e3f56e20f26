// The picture of the region under the heat map, from the index's own tiles: how much of it shows,
// which day of it, and two days side by side or in turn. app/views/map.py writes what is read here.
"use strict";

window.gairPictures = (() => {
  const PANE = "gairPicture";
  const OTHER_PANE = "gairOtherPicture";
  const BLINK_MS = 900;

  function pane(map, name, zIndex) {
    const made = map.createPane(name);
    made.style.zIndex = zIndex;
    made.style.pointerEvents = "none";
    return made;
  }

  // What can be shown: all together, or one day; each may be several pictures.
  function choicesOf(pictures) {
    const days = [...new Set(pictures.map((picture) => picture.day))];
    return days.sort((a, b) => (a || "").localeCompare(b || "")).map((day) => {
      const own = pictures.filter((picture) => picture.day === day);
      const words = [...new Set(own.map((picture) => picture.words))].join(", ");
      return { day: day || "", name: day || "As indexed", words, own };
    });
  }

  function tiles(choice, { name, build }, under) {
    return L.layerGroup(choice.own.map((picture) => {
      const address = ["picture", encodeURIComponent(name), build, picture.number, "{z}/{x}/{y}.webp"].join("/");
      return L.tileLayer(address, {
        bounds: picture.corners, maxNativeZoom: picture.zoom, maxZoom: 19, pane: under, noWrap: true,
      });
    }));
  }

  class Shown {
    constructor(map) {
      this.map = map;
      this.index = null;
      this.choices = [];
      this.opacity = 1;
      this.panes = [pane(map, PANE, 220), pane(map, OTHER_PANE, 221)];
      this.layers = [null, null];
      this.chosen = ["", null]; // days; the second one is compared with the first
      this.blinking = 0;
      this.control = controls(map, this);
      map.on("move zoom resize", () => this.clip());
      window.gairDesk.hear("index", (facts) => this.open(facts));
    }

    open(facts) {
      this.index = { name: facts.name, build: facts.build };
      this.choices = choicesOf(facts.pictures);
      this.chosen = [this.choices.length ? this.choices[0].day : null, null];
      this.control.fill(this.choices);
      [0, 1].forEach((side) => this.show(side, this.chosen[side]));
    }

    show(side, day) {
      if (this.layers[side]) this.map.removeLayer(this.layers[side]);
      this.chosen[side] = day;
      const choice = this.choices.find((one) => one.day === day);
      this.layers[side] = choice ? tiles(choice, this.index, side ? OTHER_PANE : PANE).addTo(this.map) : null;
      if (side && !choice) this.blink(false);
      this.control.said(this.choices, this.chosen);
      this.fade();
      this.clip();
    }

    fade() {
      this.panes.forEach((one) => { one.style.opacity = this.opacity; });
    }

    blink(on) {
      clearInterval(this.blinking);
      this.blinking = 0;
      this.panes[1].style.visibility = "";
      if (on) {
        this.blinking = setInterval(() => {
          const { style } = this.panes[1];
          style.visibility = style.visibility ? "" : "hidden";
        }, BLINK_MS);
      }
      this.clip();
    }

    // The second day shows to the right of the line, or over all of the map while it blinks.
    clip() {
      const share = this.layers[1] && !this.blinking ? this.control.share() : null;
      this.control.line(share);
      if (share === null) {
        this.panes[1].style.clipPath = "";
        return;
      }
      const size = this.map.getSize();
      const from = this.map.containerPointToLayerPoint([size.x * share, 0]);
      const to = this.map.containerPointToLayerPoint(size);
      const corners = [[from.x, from.y], [to.x, from.y], [to.x, to.y], [from.x, to.y]];
      this.panes[1].style.clipPath = `polygon(${corners.map(([x, y]) => `${x}px ${y}px`).join(",")})`;
    }
  }

  const make = (kind, parent, settings = {}) => Object.assign(
    L.DomUtil.create(kind, settings.className || "", parent), settings,
  );

  function controls(map, shown) {
    const box = make("div", null, { className: "gair-buttons gair-map-picture" });
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Picture of the region");
    make("span", box, { textContent: "Picture" });
    const opacity = make("input", box, { type: "range", min: 0, max: 100, step: 5, value: 100 });
    opacity.setAttribute("aria-label", "Opacity of the picture");
    opacity.addEventListener("input", () => { shown.opacity = opacity.value / 100; shown.fade(); });
    const day = make("select", box);
    day.setAttribute("aria-label", "Day of the imagery");
    day.addEventListener("change", () => shown.show(0, day.value));
    const other = make("select", box);
    other.setAttribute("aria-label", "Day to compare with");
    other.addEventListener("change", () => shown.show(1, other.value === "-" ? null : other.value));
    const blink = make("button", box, { type: "button", textContent: "Blink" });
    blink.addEventListener("click", () => {
      const on = !shown.blinking;
      blink.setAttribute("aria-pressed", String(on));
      shown.blink(on);
    });
    put(map, box, "topleft");
    const credit = make("div", null, { className: "gair-picture-credit" });
    put(map, credit, "bottomright");
    const swipe = make("input", map.getContainer(), { type: "range", min: 0, max: 1000, value: 500, className: "gair-swipe" });
    const rule = make("div", map.getContainer(), { className: "gair-swipe-line" });
    swipe.setAttribute("aria-label", "Where the two days meet");
    swipe.addEventListener("input", () => shown.clip());
    L.DomEvent.disableClickPropagation(swipe);
    const option = (value, text) => new Option(text, value);
    return {
      share: () => swipe.value / 1000,
      line(share) {
        swipe.hidden = rule.hidden = share === null;
        rule.style.left = `${100 * (share || 0)}%`;
      },
      fill(choices) {
        box.hidden = credit.hidden = !choices.length;
        day.hidden = other.hidden = choices.length < 2;
        day.replaceChildren(...choices.map((one) => option(one.day, one.name)));
        other.replaceChildren(option("-", "compare with"), ...choices.map((one) => option(one.day, one.name)));
      },
      said(choices, chosen) {
        other.value = chosen[1] === null ? "-" : chosen[1];
        blink.hidden = chosen[1] === null;
        if (chosen[1] === null) blink.setAttribute("aria-pressed", "false");
        const seen = choices.filter((one) => chosen.includes(one.day));
        const days = chosen.filter((one) => one !== null)
          .map((one) => choices.find((choice) => choice.day === one)).filter(Boolean);
        const owners = new Set(seen.flatMap((one) => one.own.map((picture) => picture.attribution)));
        credit.textContent = `Imagery ${days.map((one) => one.words).join(" | ")}. ${[...owners].join("; ")}`;
      },
    };
  }

  function put(map, box, position) {
    const control = L.control({ position });
    control.onAdd = () => {
      L.DomEvent.disableClickPropagation(box);
      return box;
    };
    control.addTo(map);
  }

  return { follow: (map) => new Shown(map) };
})();
