// Where time, multiplications and memory go, and how near each layer is to what this machine can do.

import { get, has } from "./data.js";
import { $, bytes, count, fill, h, number, seconds } from "./page.js";

export function showCosts() {
  const place = $("costs");
  const ask = () => fill(place, async () => draw(await get("costs")), "Measuring …");
  if (!has("costs")) {
    place.replaceChildren(h("p", { class: "lead" }, "This page was exported without measurements."));
    return;
  }
  place.replaceChildren(
    h("p", { class: "lead" }, "Each layer’s forward pass is timed on this machine, for one picture."),
    h("button", { type: "button", id: "measure", onclick: ask }, "Measure"));
}

function draw(found) {
  const most = Math.max(...found.layers.map((layer) => layer.seconds), Number.MIN_VALUE);
  const rows = found.layers.map((layer) => {
    const bar = h("span", { class: "bar" });
    bar.style.setProperty("--share", layer.seconds / most);
    return h("tr", {}, h("th", { scope: "row" }, layer.name), h("td", {}, seconds(layer.seconds), bar),
      h("td", {}, count(layer.multiplications)), h("td", {}, bytes(layer.bytes)), h("td", {}, layer.rate ? number(layer.rate, 3) : ""));
  });
  return [
    h("p", { class: "lead" }, `${seconds(found.seconds)} for one picture, layer by layer, on ${found.threads} ${found.threads === 1 ? "thread" : "threads"}; medians of ${found.repeats}.`),
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Costs of each layer" },
      h("table", { class: "costs" },
        h("thead", {}, h("tr", {}, ["layer", "time", "multiplications", "memory read and written", "GFLOP/s"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, rows))),
    roofline(found),
  ];
}

// -- roofline -----------------------------------------------------------------------------------------------------------

const [WIDE, HIGH] = [640, 300];

/** Both axes logarithmic: work per byte to the right, work per second upwards; the roof is what the machine can do. */
function roofline({ layers, peak, bandwidth }) {
  const points = layers.filter((layer) => layer.rate > 0 && layer.intensity > 0);
  if (!points.length) return null;
  const decades = (values) => [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const [left, right] = decades([...points.map((p) => p.intensity), peak / bandwidth / 2, (peak / bandwidth) * 2]);
  const [bottom, top] = decades([...points.map((p) => p.rate), peak]);
  const x = (value) => ((Math.log10(value) - left) / (right - left)) * WIDE;
  const y = (value) => HIGH - ((Math.log10(value) - bottom) / (top - bottom)) * HIGH;
  const corner = peak / bandwidth;
  const start = Math.max(10 ** left, 10 ** bottom / bandwidth);
  const ticks = (from, to, make) => Array.from({ length: to - from + 1 }, (_, i) => make(10 ** (from + i)));
  const word = (value) => (value >= 1 ? String(value) : value.toPrecision(1));
  return h("figure", { class: "roofline" },
    h("svg", { viewBox: `-44 -14 ${WIDE + 60} ${HIGH + 48}`, role: "img", "aria-label": "Roofline: each layer’s work per second over its work per byte, below what the machine can do" },
      ticks(left, right, (v) => h("g", {}, h("line", { x1: x(v), x2: x(v), y1: 0, y2: HIGH, class: "grid" }), h("text", { x: x(v), y: HIGH + 16, "text-anchor": "middle" }, word(v)))),
      ticks(bottom, top, (v) => h("g", {}, h("line", { x1: 0, x2: WIDE, y1: y(v), y2: y(v), class: "grid" }), h("text", { x: -6, y: y(v) + 4, "text-anchor": "end" }, word(v)))),
      h("polyline", { class: "roof", points: `${x(start)},${y(start * bandwidth)} ${x(corner)},${y(peak)} ${WIDE},${y(peak)}` }),
      points.map((p) => h("circle", { cx: x(p.intensity), cy: y(p.rate), r: 5, class: "layer-point" }, h("title", {}, `${p.name}: ${number(p.rate, 3)} GFLOP/s at ${number(p.intensity, 3)} FLOP per byte`))),
      points.map((p) => h("text", { x: x(p.intensity) + 8, y: y(p.rate) + 4, class: "point-name" }, p.name)),
      h("text", { x: WIDE, y: HIGH + 31, "text-anchor": "end" }, "FLOP per byte")),
    h("figcaption", {}, `GFLOP/s over FLOP per byte. The roof: ${number(peak, 3)} GFLOP/s and ${number(bandwidth, 3)} GB/s, both measured on this machine just now. A layer under the slope waits for memory.`));
}
