// The photograph with its face, the crop that the network is given, its scores; and the network as a strip of layers.

import { get, has, isRecorded, path, picture } from "./data.js";
import { change, look, watch } from "./look.js";
import { $, bring, count, h, number, roving, shape } from "./page.js";

const TOP = 5; // scores that are shown

export function showPhoto(state) {
  const { photo } = state;
  $("seen").replaceChildren(photographFigure(photo), arrow(), cropFigure(photo), arrow(), scoresFigure(state));
  watch(["target"], markScores);
  markScores();
}

function markScores() {
  for (const button of document.querySelectorAll("#seen .scores button")) button.setAttribute("aria-pressed", String(Number(button.dataset.class) === look.target));
}

function arrow() {
  return h("span", { class: "arrow", "aria-hidden": "true" }, "→");
}

function photographFigure(photo) {
  const { face, square } = photo;
  const turned = photo.angle ? `rotate(${photo.angle} ${(face.left + face.right) / 2} ${(face.top + face.bottom) / 2})` : null;
  const frame = (box, kind) => {
    const sizes = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
    return [h("rect", { ...sizes, class: `${kind} under` }), h("rect", { ...sizes, class: kind })];
  };
  const scale = (square.right - square.left) / photo.size;
  const onPhoto = h("g", { transform: `translate(${square.left} ${square.top}) scale(${scale})` }, h("g", { class: "field-on-photo" }));
  const others = photo.faces > 1 ? `, the largest of ${photo.faces}` : "";
  return h("figure", { class: "photograph" },
    h("div", { class: "frame", style: { "aspect-ratio": `${photo.width} / ${photo.height}` } },
      h("img", { src: picture("photo.png"), alt: `The photograph ${photo.name}` }),
      h("svg", { viewBox: `0 0 ${photo.width} ${photo.height}`, "aria-hidden": "true" },
        frame(face, "face"), h("g", { transform: turned }, frame(square, "square"), onPhoto))),
    h("figcaption", {}, `${photo.name}, ${photo.width}×${photo.height}. Solid: the face that was found${others}. Dashed: what is cut out.`));
}

function cropFigure(photo) {
  const colours = photo.channels === 1 ? "grey" : "colour";
  return h("figure", { class: "crop" },
    h("div", { class: "frame", style: { "aspect-ratio": "1" } },
      h("img", { src: picture("crop.png"), alt: "The face as the network is given it" }),
      h("svg", { viewBox: `0 0 ${photo.size} ${photo.size}`, "aria-hidden": "true" }, h("g", { class: "field" }))),
    h("figcaption", {}, `The network’s input: ${photo.size}×${photo.size} pixels, ${colours}.`));
}

function scoresFigure(state) {
  const { scores } = state;
  const largest = Math.max(...scores.top.map((row) => Math.abs(row.score)), Number.MIN_VALUE);
  const rows = scores.top.slice(0, TOP).map((row) => {
    const value = scores.kind === "probability" ? `${(100 * row.score).toFixed(1)} %` : number(row.score);
    const share = scores.kind === "probability" ? row.score : Math.max(0, row.score) / largest;
    const bar = h("span", { class: "bar" });
    bar.style.setProperty("--share", share);
    return h("li", {},
      h("button", { type: "button", "data-class": row.class, onclick: () => change({ target: row.class, direction: "backward" }), disabled: isRecorded },
        h("span", { class: "name" }, row.name), h("span", { class: "value" }, value), bar));
  });
  const hint = isRecorded ? "" : " Choose one to see, backward, what speaks for and against it.";
  const what = {
    probability: `Probabilities of ${count(scores.of)} classes.`,
    score: `Scores of ${count(scores.of)} classes.`,
    embedding: `The largest of the ${count(scores.of)} numbers that stand for this face, its embedding.`,
  }[scores.kind];
  return h("figure", { class: "scores" },
    h("ol", {}, rows),
    h("figcaption", {}, what, hint));
}

export function showStrip(state) {
  const strip = $("strip");
  const cards = state.layers.map((layer) => card(layer));
  strip.replaceChildren(...cards);
  roving(strip, () => [...strip.children], { choose: (item) => change({ layer: item.dataset.item, map: 0, at: null }) });
  $("network-lead").textContent = `${count(state.model.parameters)} parameters, ${count(state.model.multiplications)} multiplications for one picture. ${state.model.note}`;
  const draw = () => drawStrip(state);
  watch(["direction", "target", "epoch"], draw);
  watch(["layer"], () => select(strip));
  select(strip);
  draw();
}

function card(layer) {
  const choose = () => {
    change({ layer: layer.name, map: 0, at: null });
    if ($("layer").getBoundingClientRect().top > 0.6 * innerHeight) bring($("strip"), "start"); // or nothing seems to happen
  };
  return h("button", { type: "button", class: "card", role: "option", "data-item": layer.name, tabindex: "-1",
    title: `${layer.kind} ${layer.name}`, onclick: choose },
    h("span", { class: "kind" }, layer.kind),
    h("span", { class: "name" }, layer.name),
    h("span", { class: "maps" }, h("img", { alt: "", loading: "lazy", class: layer.planes.vector ? "vector" : null })),
    h("span", { class: "size" }, shape(layer.shape)));
}

function select(strip) {
  for (const item of strip.children) {
    const chosen = item.dataset.item === look.layer;
    item.setAttribute("aria-selected", String(chosen));
    item.tabIndex = chosen ? 0 : -1;
    if (chosen) {
      const centre = item.offsetLeft - strip.clientWidth / 2 + item.offsetWidth / 2;
      if (item.offsetLeft < strip.scrollLeft || item.offsetLeft + item.offsetWidth > strip.scrollLeft + strip.clientWidth) strip.scrollLeft = centre;
    }
  }
}

export function options() {
  const asked = look.direction === "backward" && look.target !== look.best; // the best one's need not be asked for
  return { target: asked ? look.target : null, epoch: look.epoch };
}

async function drawStrip(state) {
  sayWhatIsShown(state);
  const items = [...$("strip").children];
  for (const item of items) item.classList.add("old"); // until its new picture is there
  await computed(state);
  for (const item of items) {
    const image = item.querySelector("img");
    const where = `${path("strips", look.direction, item.dataset.item)}.png`;
    image.onload = image.onerror = () => item.classList.remove("old");
    if (has(where, options())) image.src = picture(where, options());
  }
}

/** When the pass that the maps are of has been computed. One request waits for it: pictures are asked for after that, or
 * they would take all of the few requests that a browser lets wait. */
async function computed(state) {
  const isAtHand = isRecorded || (look.direction === "forward" && look.epoch === null);
  if (!isAtHand) await get(path("values", look.direction, state.layers.at(-1).name, "0"), options()).catch(() => null); // said where it matters
}

function sayWhatIsShown(state) {
  const name = state.scores.top.find((row) => row.class === look.target)?.name ?? `class ${look.target}`;
  $("legend").replaceChildren(
    h("span", { class: "swatch negative" }), "negative",
    h("span", { class: "swatch zero" }), "zero",
    h("span", { class: "swatch positive" }), "positive",
    h("span", { class: "about" }, look.direction === "forward"
      ? "Each layer’s liveliest maps. Stronger colour: a larger number, within the layer."
      : `Gradients: how much ${state.gradient_of.replace("CLASS", name)} would grow if a number grew a little.`));
}
