// The chosen number of a convolution, computed by loops, by one matrix product, and by Winograd's tiles.

import { get, path } from "./data.js";
import { look, watch } from "./look.js";
import { $, count, fill, h, matrix, number, roving } from "./page.js";

let way = "loops";
let tile = null;

export function watchWays(state) {
  const show = () => {
    const layer = state.layers.find((one) => one.name === look.layer);
    if (!look.at) return null;
    if (!layer.kernels) return fill($("ways"), () => h("p", { class: "lead" }, `${layer.name} is no convolution. Choose a number of one that is.`));
    return fill($("ways"), draw);
  };
  watch(["at", "map", "layer", "epoch"], show);
  return show();
}

async function draw() {
  const { layer, map, at, epoch } = look; // something else may be looked at when the answer comes
  const found = await get(path("ways", layer, String(map), ...at.map(String)), { epoch });
  const panel = h("div", { id: "way", role: "tabpanel", tabindex: "0", "aria-labelledby": `way-${way}` });
  const panels = { loops: () => loops(found), im2col: () => im2col(found), winograd: () => winograd(found, show) };
  const names = { loops: "Loops", im2col: "im2col", winograd: "Winograd" };
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Algorithms" }, Object.entries(names).map(([id, name]) =>
    h("button", { type: "button", role: "tab", id: `way-${id}`, "data-item": id, "aria-controls": "way", onclick: () => choose(id) }, name)));
  function show() {
    for (const tab of tabs.children) {
      const chosen = tab.dataset.item === way;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `way-${way}`);
    panel.replaceChildren(...panels[way]());
  }
  function choose(id) {
    way = id;
    show();
  }
  roving(tabs, () => [...tabs.children], { choose: (item) => choose(item.dataset.item) });
  show();
  return [h("p", { class: "lead" }, `${layer}[${[...at, map].join(", ")}]. Here “auto” chose ${found.used}.`), tabs, panel];
}

function loops(found) {
  const { output, layer } = found.multiplications;
  const code = [
    "for oh, ow, f in every position and filter:",
    "    total = bias[f]",
    "    for kh, kw, c in every tap and channel:",
    "        total += x[oh·s + kh·d − top, ow·s + kw·d − left, c] · kernel[kh, kw, c, f]",
    "    y[oh, ow, f] = total",
  ].join("\n");
  return [h("p", {}, `The definition. ${count(output)} multiplications for this number, ${count(layer)} for the layer, one after the other. The section above has each of them.`),
    h("pre", { class: "scroll", tabindex: "0" }, h("code", {}, code))];
}

function im2col(found) {
  const { matrix: rows, kernel, columns, products, first, chosen } = found.im2col;
  const more = columns > kernel.length ? ` The first ${kernel.length} of its ${count(columns)} columns are shown.` : "";
  const limit = Math.max(...rows.flat().map(Math.abs), Number.MIN_VALUE);
  const largest = Math.max(...kernel.map(Math.abs), Number.MIN_VALUE);
  return [
    h("p", {}, `Each output’s window is laid out as a row of a matrix, the kernel as a column; then all outputs are one matrix product, which computers do best. The price: every input is copied as often as windows overlap.${more}`),
    h("div", { class: "scroll im2col", tabindex: "0", role: "group", "aria-label": "Windows as rows of a matrix" },
      picture([kernel], largest, `The kernel, ${kernel.length} numbers, turned to lie beside the rows it meets`, "kernel"),
      picture(rows, limit, `${rows.length} windows as rows of ${kernel.length} numbers`, "windows", chosen)),
    h("table", { class: "ledger" }, h("tbody", {}, products.map((product, i) =>
      h("tr", { class: i === chosen ? "final" : null }, h("th", { scope: "row" }, `row · kernel${found.bias ? " + bias" : ""}, output column ${first + i}`), h("td", {}, number(product, 6)))))),
  ];
}

/** Many numbers as squares; the one under the pointer is read out. */
function picture(rows, limit, label, kind, chosen = null) {
  const wide = rows[0].length;
  const readout = h("figcaption", {}, label);
  const cells = rows.flatMap((line, r) => line.map((value, c) => {
    const rect = h("rect", { x: c, y: r, width: 1, height: 1, class: value < 0 ? "negative" : "positive", "data-at": `${r},${c}` });
    rect.style.setProperty("opacity", value ? Math.min(1, Math.abs(value) / limit) ** 0.6 : 0);
    return rect;
  }));
  const svg = h("svg", { viewBox: `0 0 ${wide} ${rows.length}`, role: "img", "aria-label": label, class: "numbers", preserveAspectRatio: "none" }, cells,
    chosen === null ? null : h("rect", { x: 0, y: chosen, width: wide, height: 1, class: "chosen" }));
  svg.style.setProperty("--wide", wide);
  svg.style.setProperty("--high", rows.length);
  svg.addEventListener("pointermove", (event) => {
    const at = event.target.dataset?.at?.split(",").map(Number);
    if (at) readout.textContent = `${kind === "kernel" ? "kernel" : `row ${at[0]}`}, entry ${at[1]}: ${number(rows[at[0]][at[1]], 6)}`;
  });
  return h("figure", {}, svg, readout);
}

function winograd(found, redraw) {
  const { tiles, reason, channel, channels } = found.winograd;
  const names = Object.keys(tiles);
  if (!names.length) return [h("p", {}, `Winograd’s forms here need 3×3 or 5×5 kernels at stride 1, or 3×3 at stride 2: this is ${reason}.`)];
  if (!names.includes(tile)) [tile] = names;
  const one = tiles[tile];
  const pick = h("label", { class: "field-label" }, "Tile ", h("select", { onchange: (event) => {
    tile = event.target.value;
    redraw();
    $("way").querySelector("select").focus();
  } }, names.map((name) => h("option", { value: name, selected: name === tile }, name))));
  const small = one.d.length > 4;
  const saved = (one.directly / one.multiplications).toFixed(2);
  return [
    h("p", {}, `${one.multiplications} multiplications per channel make ${one.m * one.m} outputs, where the definition needs ${one.directly}: ${saved} times fewer. Shown: channel ${channel} of ${channels}, the one with the largest part in this number.`),
    ...(one.empty ? [h("p", {}, "Where both axes have the points i and −i, two complex products do for four: of the three columns of their places, the last stays empty.")] : []),
    pick,
    h("div", { class: "products" },
      matrix(one.d, { caption: "d: a tile of the input", small }), h("span", { class: "sign" }, "→"), matrix(one.v, { caption: "Bᵀ d B", small })),
    h("div", { class: "products" },
      matrix(one.k, { caption: "k: the kernel", small }), h("span", { class: "sign" }, "→"), matrix(one.u, { caption: "G k Gᵀ", small })),
    h("div", { class: "products" },
      matrix(one.product, { caption: "entry by entry: the only multiplications", small }), h("span", { class: "sign" }, "Σ"),
      matrix(one.sum, { caption: `summed over ${channels} channels`, small }), h("span", { class: "sign" }, "→"),
      matrix(one.outputs, { caption: `Aᵀ […] A${found.bias ? " + bias" : ""}: the outputs, this number framed`, marked: [one.row, one.column], digits: 5 })),
  ];
}
