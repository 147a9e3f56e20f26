// Drawing an area on the map: a box by two opposite corners, or a polygon corner by corner. Clicks
// and taps do, so that it works with fingers; Escape gives up, Enter or a double click ends.
"use strict";

window.gairDraw = (() => {
  const HINTS = {
    box: "Click two opposite corners; Escape gives up",
    polygon: "Click the corners; double click or Enter ends, Escape gives up",
  };
  const CLOSE_PX = 10;

  function start(map, kind, done) {
    const corners = [];
    const sketch = L.polyline([], { className: "gair-sketch", interactive: false, weight: 2 }).addTo(map);
    const hint = L.DomUtil.create("div", "gair-hint", map.getContainer());
    hint.setAttribute("role", "status");
    hint.textContent = HINTS[kind];
    const container = map.getContainer();
    container.classList.add("gair-drawing");
    map.doubleClickZoom.disable();

    const box = (a, b) => [a, L.latLng(a.lat, b.lng), b, L.latLng(b.lat, a.lng)];
    const shape = (next) => {
      if (kind === "box") return corners.length ? box(corners[0], next) : [];
      return [...corners, next];
    };
    const preview = (event) => {
      const points = shape(event.latlng);
      sketch.setLatLngs(points.length > 2 ? [...points, points[0]] : points);
    };
    const near = (a, b) =>
      map.latLngToContainerPoint(a).distanceTo(map.latLngToContainerPoint(b)) < CLOSE_PX;

    function click(event) {
      const point = event.latlng.wrap();
      if (kind === "box" && corners.length) {
        if (!near(corners[0], point)) finish(box(corners[0], point));
        return;
      }
      if (corners.length > 2 && near(corners[0], point)) {
        finish(corners);
        return;
      }
      if (!corners.length || !near(corners.at(-1), point)) corners.push(point);
      hint.dataset.corners = corners.length;
      preview(event);
    }
    function keys(event) {
      if (event.key === "Escape") finish(null);
      if (event.key === "Enter" && kind === "polygon") finish(corners.length > 2 ? corners : null);
    }
    function double() {
      if (kind === "polygon") finish(corners.length > 2 ? corners : null);
    }
    function finish(points) {
      map.off("click", click).off("mousemove", preview).off("dblclick", double);
      document.removeEventListener("keydown", keys);
      sketch.remove();
      hint.remove();
      container.classList.remove("gair-drawing");
      setTimeout(() => map.doubleClickZoom.enable(), 300);
      done(points && points.map((p) => [round(p.lng), round(p.lat)]));
    }
    const round = (degrees) => Math.round(degrees * 1e5) / 1e5;

    map.on("click", click).on("mousemove", preview).on("dblclick", double);
    document.addEventListener("keydown", keys);
    return () => finish(null);
  }

  return { start };
})();
