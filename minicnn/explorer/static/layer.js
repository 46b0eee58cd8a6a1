// One layer: all its maps, one of them enlarged; what a pixel of it looks at is framed, below it and on the face.

import { showBelow, slide } from "./below.js";
import { get, path, picture } from "./data.js";
import { change, look, watch } from "./look.js";
import { numberShown } from "./number.js";
import { options } from "./overview.js";
import { $, bring, count, fill, h, number, roving, shape } from "./page.js";

const PER_SHEET = 64;
const ACROSS = 8;

let shown = null; // the layer's description, the open map's numbers, its kernel, and the channel below that is shown
let panels = {}; // for which layer and epoch they were asked for, and what they are then made for

export function watchLayer(state) {
  watch(["layer", "direction", "target", "epoch"], () => showLayer(state));
  watch(["map"], () => showMap(state));
  watch(["at"], point);
  return showLayer(state);
}

function layerOf(state, name) {
  return state.layers.find((layer) => layer.name === name);
}

async function showLayer(state) {
  const layer = layerOf(state, look.layer);
  $("layer-title").textContent = layer.name;
  $("layer-lead").textContent = sentence(layer);
  const asked = `${layer.name} ${look.epoch}`;
  if (panels.asked !== asked) panels = { asked, made: makePanels(layer) }; // or they stay, and the page does not jump
  const mine = panels;
  const made = await mine.made;
  if (panels !== mine) return; // meanwhile another layer was asked for
  shown = made;
  if (!shown) {
    panels = {}; // it failed, and may be tried again
    return;
  }
  showSheet();
  await showMap(state);
}

/** Promises what is shown from then on; null if that failed, or came late. */
async function makePanels(layer) {
  let about;
  const isThere = await fill($("layer"), async () => {
    about = await get(path("layers", layer.name), { epoch: look.epoch });
    return [
      h("div", { class: "sheet-panel" }, h("div", { id: "sheet" })),
      h("div", { class: "map-panel" }, h("div", { id: "map" })),
      h("div", { class: "below-panel" }, h("div", { id: "below" }), h("div", { id: "on-face" })),
    ];
  });
  return isThere ? { layer, about } : null;
}

function sentence(layer) {
  const parts = [`${layer.kind}: ${shape(layer.shape)} numbers`];
  if (layer.reads.length) parts[0] += ` from ${layer.reads.join(" and ")}`;
  if (layer.words) parts.push(layer.words);
  if (layer.parameters) parts.push(`${count(layer.parameters)} parameters`);
  if (layer.multiplications) parts.push(`${count(layer.multiplications)} multiplications`);
  if (layer.algorithm) parts.push(`algorithm: ${layer.algorithm}`);
  return `${parts.join(" · ")}.`;
}

// -- all maps ---------------------------------------------------------------------------------------------------------

function showSheet() {
  const { layer } = shown;
  const { count: maps, rows, columns } = layer.planes;
  const place = $("sheet");
  if (maps === 1) {
    place.replaceChildren(h("p", { class: "lead" }, layer.planes.vector ? "A vector: all its numbers in one picture, in reading order." : "One map."));
    return;
  }
  const page = Math.floor(look.map / PER_SHEET);
  const first = page * PER_SHEET;
  const here = Math.min(PER_SHEET, maps - first);
  const lines = Math.ceil(here / ACROSS);
  const source = picture(`${path("sheets", look.direction, layer.name, String(page))}.png`, options());
  const cells = Array.from({ length: here }, (_, place) => {
    const cell = h("button", { type: "button", class: "cell", role: "option", "data-item": first + place,
      "aria-label": `Map ${first + place}`, tabindex: "-1", onclick: () => change({ map: first + place, at: null }) });
    if (source) {
      const across = Math.min(ACROSS, here);
      cell.style.setProperty("background-image", `url("${source}")`);
      cell.style.setProperty("background-size", `${100 * ACROSS}% ${100 * lines}%`);
      const x = ACROSS > 1 ? (100 * (place % ACROSS)) / (ACROSS - 1) : 0;
      const y = lines > 1 ? (100 * Math.floor(place / ACROSS)) / (lines - 1) : 0;
      cell.style.setProperty("background-position", `${x}% ${y}%`);
    }
    cell.style.setProperty("aspect-ratio", `${columns} / ${rows}`);
    return cell;
  });
  const grid = h("div", { class: "sheet", role: "listbox", "aria-label": `Maps of ${layer.name}` }, cells);
  roving(grid, () => [...grid.children], { across: () => ACROSS, choose: (item) => change({ map: Number(item.dataset.item), at: null }) });
  const go = (step) => change({ map: Math.max(0, Math.min(maps - 1, (page + step) * PER_SHEET)), at: null });
  const pager = maps > PER_SHEET ? h("p", { class: "pager" },
    h("button", { type: "button", onclick: () => go(-1), disabled: page === 0, "aria-label": "Earlier maps" }, "‹"),
    `maps ${first} to ${first + here - 1} of ${maps}`,
    h("button", { type: "button", onclick: () => go(1), disabled: first + here >= maps, "aria-label": "Later maps" }, "›")) : null;
  const pressed = place.querySelector(".pager button:focus")?.getAttribute("aria-label");
  place.replaceChildren(...[grid, pager].filter(Boolean));
  place.dataset.page = page;
  markSheet();
  const again = pressed && place.querySelector(`.pager [aria-label="${pressed}"]`); // the keyboard stays on the button
  if (again) (again.disabled ? place.querySelector(".cell[aria-selected=true]") : again).focus();
}

function markSheet() {
  for (const cell of document.querySelectorAll("#sheet .cell")) {
    const chosen = Number(cell.dataset.item) === look.map;
    cell.setAttribute("aria-selected", String(chosen));
    cell.tabIndex = chosen ? 0 : -1;
  }
}

// -- one map ----------------------------------------------------------------------------------------------------------

async function showMap(state) {
  const mine = shown;
  if (!mine) return;
  const { layer } = mine;
  if (Math.floor(look.map / PER_SHEET) !== Number($("sheet").dataset.page ?? 0)) showSheet();
  markSheet();
  const map = Math.min(look.map, layer.planes.count - 1);
  const { direction, epoch } = look;
  const given = options();
  let answer;
  const isThere = await fill($("map"), async () => {
    answer = await get(path("values", direction, layer.name, String(map)), given);
    const image = picture(`${path("maps", direction, layer.name, String(map))}.png`, given);
    return mapFigure(layer, map, answer, image);
  });
  if (!isThere) return;
  Object.assign(mine, { map, direction, epoch, answer, values: decode(answer), kernel: null });
  if (layer.kernels) { // an exported page may have none for this map; the window is shown without
    const kernel = await get(path("kernels", layer.name, String(map)), { epoch }).catch(() => null);
    if (mine.answer === answer) mine.kernel = kernel;
  }
  if (shown === mine && mine.answer === answer) {
    showBelow(mine, state, () => hover(hovered));
    point();
  }
}

function decode(answer) {
  const raw = Uint8Array.from(atob(answer.base64), (letter) => letter.charCodeAt(0));
  return new Float32Array(raw.buffer);
}

function mapFigure(layer, map, answer, image) {
  const { rows, columns, vector } = layer.planes;
  const name = vector ? layer.name : `map ${map} of ${layer.name}`;
  const zoom = h("div", { class: "zoom", id: "zoom", tabindex: "0", role: "application",
    "aria-label": `${name}, ${rows} by ${columns}. Arrow keys choose a pixel, Enter opens its arithmetic.`, "aria-describedby": "readout",
    style: { "aspect-ratio": `${columns} / ${rows}` } },
    h("img", { src: image, alt: "", draggable: "false" }),
    h("svg", { viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      (answer.explained ?? []).map(([r, c]) => h("circle", { cx: c + 0.5, cy: r + 0.5, r: Math.max(rows, columns) / 60, class: "explained" })),
      h("rect", { class: "pixel under", width: 1, height: 1 }), h("rect", { class: "pixel", width: 1, height: 1 })));
  const at = (event) => {
    const box = zoom.getBoundingClientRect();
    const place = (part, size) => Math.max(0, Math.min(size - 1, Math.floor(part * size)));
    return [place((event.clientY - box.top) / box.height, rows), place((event.clientX - box.left) / box.width, columns)];
  };
  zoom.addEventListener("pointermove", (event) => hover(at(event)));
  zoom.addEventListener("pointerleave", () => hover(look.at));
  zoom.addEventListener("click", (event) => open(at(event)));
  zoom.addEventListener("keydown", (event) => {
    const [r, c] = hovered ?? look.at ?? [Math.floor(rows / 2), Math.floor(columns / 2)];
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.key === "Enter" || event.key === " ") open([r, c], true);
    else if (step) hover([Math.max(0, Math.min(rows - 1, r + step[0])), Math.max(0, Math.min(columns - 1, c + step[1]))]);
    else return;
    event.preventDefault();
  });
  zoom.addEventListener("focus", () => hover(hovered ?? look.at ?? [Math.floor(rows / 2), Math.floor(columns / 2)]));
  const range = `${name}, ${rows}×${columns}: from ${number(answer.least)} to ${number(answer.most)}`;
  const zeros = answer.zeros > 0.005 ? `, ${Math.round(100 * answer.zeros)} % zeros` : "";
  const kinds = answer.explained ? " The dots are the numbers whose arithmetic this page holds." : "";
  return [h("figure", {}, zoom, h("figcaption", {}, `${range}${zeros}.${kinds}`)),
    h("p", { class: "readout", id: "readout", "aria-live": "polite" }, "")];
}

let hovered = null;

async function open(at, byKey = false) {
  change({ at });
  if (byKey) $("number-view").focus({ preventScroll: true });
  await numberShown();
  bring($("number-view"), "nearest"); // if there is room, the map stays in sight
}

function point() {
  hover(look.at);
}

/** Show what the pixel [row, column] looks at; null: nothing. Everything needed is here already, so it is immediate. */
function hover(at) {
  hovered = at;
  const mine = shown;
  if (!mine?.values || !$("zoom")) return;
  const { layer, about } = mine;
  const { rows, columns, vector } = layer.planes;
  const inside = at && at[0] < rows && at[1] < columns && (!vector || at[0] * columns + at[1] < layer.shape[0]);
  for (const pixel of document.querySelectorAll("#zoom .pixel")) {
    pixel.setAttribute("visibility", inside ? "visible" : "hidden");
    if (inside) {
      pixel.setAttribute("x", at[1]);
      pixel.setAttribute("y", at[0]);
    }
  }
  const axis = (spans, place) => spans && (vector ? spans[0] : spans[place]);
  const field = inside && about.field && [axis(about.field.rows, at[0]), axis(about.field.columns, at[1])];
  const read = inside && about.window && [axis(about.window.rows, at[0]), axis(about.window.columns, at[1])];
  frame(document.querySelectorAll(".field, .field-on-photo"), field);
  frame(document.querySelectorAll(".window"), read);
  slide(mine, read);
  if (!inside) {
    $("readout").textContent = "Point at a pixel, or use the arrow keys. Click it, or press Enter, for its arithmetic.";
    return;
  }
  const value = mine.values[at[0] * columns + at[1]];
  const index = vector ? [at[0] * columns + at[1]] : [...at, mine.map];
  const d = mine.direction === "backward" ? "d " : "";
  const sees = field ? ` sees ${field[0][1] - field[0][0]}×${field[1][1] - field[1][0]} pixels of the input` : "";
  $("readout").replaceChildren(h("code", {}, `${d}${layer.name}[${index.join(", ")}]`), " = ", h("b", {}, number(value, 6)), h("span", {}, sees));
}

function frame(groups, spans) {
  for (const group of groups) {
    if (!spans) {
      group.replaceChildren();
      continue;
    }
    const [[top, bottom], [left, right]] = spans;
    const sizes = { x: left, y: top, width: right - left, height: bottom - top };
    if (group.childElementCount) {
      for (const rect of group.children) for (const [name, value] of Object.entries(sizes)) rect.setAttribute(name, value);
    } else group.append(h("rect", { ...sizes, class: "spot under" }), h("rect", { ...sizes, class: "spot" }));
  }
}
