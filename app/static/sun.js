// Where the sun stood when the photo was taken: a ray from the chosen place towards it and the way
// its shadows point, both at the angle that they have on the ground, and words in the list.
"use strict";

window.gairSun = (() => {
  const RAY_PX = 86;
  const SVG = "http://www.w3.org/2000/svg";
  let map = null;
  let layer = null;
  let places = [];
  let suns = [];
  let picked = 1;
  let typed = "";

  function part(kind, name, settings) {
    const made = document.createElementNS(SVG, kind);
    made.setAttribute("class", name);
    Object.entries(settings).forEach(([key, value]) => made.setAttribute(key, value));
    return made;
  }

  function mark(sun) {
    const turn = (sun.azimuth_deg * Math.PI) / 180;
    const [x, y] = [Math.sin(turn) * RAY_PX, -Math.cos(turn) * RAY_PX];
    const svg = document.createElementNS(SVG, "svg");
    svg.append(
      part("line", "gair-sun-ray", { x1: 0, y1: 0, x2: x, y2: y }),
      part("line", "gair-sun-shadow", { x1: 0, y1: 0, x2: -x, y2: -y }),
      part("circle", "gair-sun-disc", { cx: x, cy: y, r: 7 }),
    );
    return L.divIcon({ html: svg, className: "gair-sun-mark", iconSize: [0, 0] });
  }

  function draw() {
    layer.clearLayers();
    const at = places.findIndex((place) => place.rank === picked);
    const sun = suns[at];
    if (!sun || sun.elevation_deg < 0) return;
    const options = { icon: mark(sun), interactive: false, keyboard: false, zIndexOffset: -1000, alt: sun.words };
    layer.addLayer(L.marker(places[at].position, options));
  }

  function write(said) {
    const box = document.getElementById("gair-sun-said");
    if (box) box.textContent = said;
    places.forEach(({ rank }, n) => {
      const line = document.querySelector(`[data-gair-sun="${rank}"]`);
      if (!line) return;
      line.hidden = !suns[n];
      line.textContent = suns[n] ? `${suns[n].words[0].toUpperCase()}${suns[n].words.slice(1)}.` : "";
    });
  }

  async function ask() {
    const { state, ask: question } = window.gairDesk;
    suns = [];
    draw();
    if (!places.length) return;
    const reply = await question("sun", {
      do: "sun",
      photos: state.photos.map((photo) => photo.path),
      lonlats: places.map(({ position }) => [position[1], position[0]]),
      taken_at: typed,
    });
    if (!reply) return;
    suns = reply.error ? [] : reply.places;
    const asks = suns.length || reply.error ? "" : "; type the time to see where the sun stood";
    write(reply.error || `${reply.said}${asks}`);
    draw();
  }

  function follow(theirs) {
    map = theirs;
    layer = L.layerGroup().addTo(map);
    const { hear } = window.gairDesk;
    hear("answer", (answer) => {
      places = answer ? answer.places : [];
      picked = 1;
      const input = document.querySelector("[data-gair-taken]");
      if (input) input.value = typed;
      ask();
    });
    hear("sending", () => { typed = ""; }); // another photo has a time of its own
    hear("pick", (rank) => { picked = rank; draw(); });
    document.addEventListener("submit", (event) => {
      if (!event.target.closest("[data-gair-sun-form]")) return;
      event.preventDefault();
      typed = event.target.querySelector("[data-gair-taken]").value.trim();
      ask();
    });
  }

  // What was typed, where a sun was told by it.
  const taken = () => (suns.length ? typed : "");

  return { follow, taken };
})();
