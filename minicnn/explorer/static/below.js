// What a map reads, where the kernel stands on it, and what the input is: the two pictures beside an enlarged map.

import { has, path, picture } from "./data.js";
import { $, h } from "./page.js";

/** For what is `shown` of a layer; `frameAgain` is called when another map has been chosen. */
export function showBelow(shown, state, frameAgain) {
  const { about, kernel, epoch } = shown;
  const source = state.layers.find((layer) => layer.name === about.source);
  $("on-face").replaceChildren(onFace(state));
  if (!source || !about.window) {
    $("below").replaceChildren();
    return;
  }
  const { count: channels, rows, columns } = source.planes;
  if (!(shown.channel < channels)) shown.channel = 0;
  shown.channel = about.channels ? about.channels[shown.map] : (kernel?.strongest ?? shown.channel);
  const choose = about.channels || channels === 1 ? null : h("input", { type: "number", min: 0, max: channels - 1,
    "aria-label": `Map of ${source.name} to show`, onchange: (event) => {
      shown.channel = Math.max(0, Math.min(channels - 1, Math.round(Number(event.target.value)) || 0));
      draw();
      frameAgain();
    } });
  const frame = h("div", { class: "frame", style: { "aspect-ratio": `${columns} / ${rows}` } },
    h("svg", { viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none", "aria-hidden": "true" }, h("g", { class: "taps" }), h("g", { class: "window" })));
  const draw = () => { // the input stays where it is, and keeps the focus
    const where = `${path("maps", "forward", source.name, String(shown.channel))}.png`;
    frame.querySelector("img")?.remove();
    if (has(where, { epoch })) frame.prepend(h("img", { src: picture(where, { epoch }), alt: "" }));
    if (choose) choose.value = shown.channel;
  };
  draw();
  const label = channels === 1 ? `It reads ${source.name}` : [`It reads ${source.name}, map `, choose ?? String(shown.channel)];
  $("below").replaceChildren(h("figure", {}, frame,
    h("figcaption", {}, label, kernel ? ` of ${kernel.taps.length}; the kernel slides over all of them.` : ".")));
}

/** The kernel where it stands: a coloured square for each of its weights. */
export function slide(shown, read) {
  const group = document.querySelector(".taps");
  if (!group) return;
  const { kernel, about } = shown;
  if (!read || !kernel) {
    group.replaceChildren();
    delete group.dataset.of;
    return;
  }
  const taps = kernel.taps[shown.channel];
  if (!taps) return;
  if (group.dataset.of !== `${shown.map} ${shown.channel}`) {
    group.dataset.of = `${shown.map} ${shown.channel}`;
    group.replaceChildren(...taps.flatMap((line, r) => line.map((weight, c) => {
      const rect = h("rect", { x: c * about.dilation[1], y: r * about.dilation[0], width: 1, height: 1, class: weight < 0 ? "negative" : "positive" });
      rect.style.setProperty("opacity", 0.15 + 0.8 * Math.min(1, Math.abs(weight) / kernel.limit) ** 0.6);
      return rect;
    })));
  }
  group.setAttribute("transform", `translate(${read[1][0]} ${read[0][0]})`);
}

function onFace(state) {
  const { size } = state.photo;
  return h("figure", {},
    h("div", { class: "frame", style: { "aspect-ratio": "1" } }, h("img", { src: picture("crop.png"), alt: "" }),
      h("svg", { viewBox: `0 0 ${size} ${size}`, "aria-hidden": "true" }, h("g", { class: "field" }))),
    h("figcaption", {}, "What it sees of the face: its receptive field."));
}
