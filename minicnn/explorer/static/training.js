// A training watched again: its curves, and filters, maps and scores as they were after each epoch that was kept.

import { has, isRecorded, path, picture } from "./data.js";
import { change, look, watch } from "./look.js";
import { $, h, number, still } from "./page.js";

const [WIDE, HIGH] = [600, 180];
let playing = null;

export function showTraining(state) {
  const { history, epochs } = state.training;
  if (!history.length) {
    $("training").replaceChildren(h("p", { class: "lead" }, "This network brings no training along. Explore the folder of a run: minicnn train DATASET --out RUN --snapshots 1, then minicnn explore RUN."));
    return;
  }
  const parts = [curves(history, epochs)];
  if (epochs.length) parts.push(player(epochs), h("div", { id: "then" }));
  else if (!isRecorded) parts.push(h("p", { class: "lead" }, "The run kept its numbers but no networks. With minicnn train … --snapshots 1, filters and maps can be watched too."));
  $("training").replaceChildren(...parts);
  watch(["epoch", "layer", "map", "direction"], () => then(state));
  then(state);
}

// -- curves -----------------------------------------------------------------------------------------------------------

function curves(history, epochs) {
  const names = ["loss", "val_loss"].filter((name) => name in history[0]);
  const values = history.flatMap((row) => names.map((name) => row[name])).filter(Number.isFinite);
  const most = Math.max(...values, 1e-9);
  const x = (epoch) => (history.length > 1 ? ((epoch - 1) / (history.length - 1)) * WIDE : WIDE / 2);
  const y = (value) => HIGH - (value / most) * HIGH;
  const lines = names.map((name) => h("polyline", { class: `curve ${name}`, points: history.map((row, i) => `${x(i + 1)},${y(row[name])}`).join(" ") }));
  const last = history.at(-1);
  const words = Object.entries(last).map(([name, value]) => `${name.replace("_", " ")} ${number(value, 3)}`).join(", ");
  return h("figure", { class: "curves" },
    h("svg", { viewBox: `-4 -6 ${WIDE + 8} ${HIGH + 12}`, role: "img", "aria-label": `Loss over ${history.length} epochs; at the end ${words}` },
      h("line", { x1: 0, x2: WIDE, y1: HIGH, y2: HIGH, class: "axis" }), lines,
      h("line", { class: "now", y1: 0, y2: HIGH, visibility: "hidden" })),
    h("figcaption", {}, h("span", { class: "key loss" }, "loss"), names.includes("val_loss") ? h("span", { class: "key val_loss" }, "validation loss") : null,
      ` from ${number(most, 3)} down to 0, over ${history.length} epochs. At the end: ${words}.`));
}

/** The slider has a place for each epoch that was kept, and the last for the network as it is. */
function player(epochs) {
  const places = [...epochs, null];
  const label = h("output", { id: "epoch-name" }, "");
  const slider = h("input", { type: "range", min: 0, max: epochs.length, id: "epoch", "aria-label": "Epoch",
    oninput: (event) => change({ epoch: places[Number(event.target.value)] }) });
  const step = () => change({ epoch: places[(places.indexOf(look.epoch) + 1) % places.length] });
  const stop = () => {
    clearInterval(playing);
    playing = null;
    play.textContent = still.matches ? "Next" : "Play";
  };
  const play = h("button", { type: "button", onclick: () => {
    if (still.matches) return step();
    if (playing) return stop();
    playing = setInterval(step, 900);
    play.textContent = "Stop";
    return null;
  } }, still.matches ? "Next" : "Play");
  const now = h("button", { type: "button", onclick: () => {
    stop();
    change({ epoch: null });
  } }, "The network as it is");
  return h("div", { class: "controls player" }, play, slider, label, now);
}

// -- the network as it was ----------------------------------------------------------------------------------------------

async function then(state) {
  const { history, epochs } = state.training;
  if (!epochs.length) return;
  const { epoch } = look;
  const name = epoch === null ? "as it is" : epoch === 0 ? "before the first step" : `after epoch ${epoch}`;
  $("epoch-name").textContent = name;
  $("epoch").value = epoch === null ? epochs.length : epochs.indexOf(epoch);
  $("epoch").setAttribute("aria-valuetext", name);
  const now = document.querySelector(".curves .now");
  now.setAttribute("visibility", epoch ? "visible" : "hidden");
  if (epoch) {
    const x = history.length > 1 ? ((epoch - 1) / (history.length - 1)) * WIDE : WIDE / 2;
    now.setAttribute("x1", x);
    now.setAttribute("x2", x);
  }
  const first = state.layers.find((layer) => layer.kernels);
  const show = (where, caption) => has(where, { epoch })
    ? h("figure", {}, h("img", { src: picture(where, { epoch }), alt: caption, class: "pixelated" }), h("figcaption", {}, caption)) : null;
  const map = Math.min(look.map, state.layers.find((layer) => layer.name === look.layer).planes.count - 1);
  $("then").replaceChildren(...[
    first ? show(`${path("filters", first.name)}.png`, `The filters of ${first.name}`) : null,
    show(`${path("maps", "forward", look.layer, String(map))}.png`, `${look.layer}, map ${map}. Everything above shows this epoch too.`),
  ].filter(Boolean));
}
