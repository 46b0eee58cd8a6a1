// A convolution to play with: minicnn computes it, the page lets the kernel slide.

import { get, isRecorded } from "./data.js";
import { $, h, number, still, tint } from "./page.js";

const chosen = { kernel: "edges", padding: "same", stride: 1, dilation: 1 };
let found = null;
let asked = 0; // how often; only the newest answer is shown, whichever comes last
let at = [0, 0];
let sliding = null;
let typed = null; // the kernel's input that is being typed into: no answer changes it

export function showPlay(state) {
  const controls = h("div", { class: "controls" },
    choice("Kernel", "kernel", state.kernels.map((name) => [name, name.replaceAll("-", " ")])),
    choice("Padding", "padding", [["valid", "valid"], ["same", "same"]]),
    choice("Stride", "stride", [1, 2, 3].map((n) => [n, String(n)])),
    choice("Dilation", "dilation", [1, 2, 3].map((n) => [n, String(n)])));
  $("play").replaceChildren(
    h("p", { class: "lead" }, "The face, 16 pixels wide, and one kernel. Watch where it stands, what it reads, and how many outputs there are."),
    controls, stage());
  return update();
}

/** Built once; answers are written into it, so that whatever has the focus keeps it. */
function stage() {
  return h("div", { id: "play-stage" },
    h("p", { class: "message", id: "play-message", hidden: true }),
    h("div", { class: "boards" },
      h("figure", { id: "play-input", class: "played", hidden: true }),
      kernelTable(),
      h("figure", { class: "played", hidden: true }, board(), h("figcaption", { id: "play-size" }))),
    h("div", { class: "played", hidden: true },
      h("p", { class: "readout", id: "play-readout", "aria-live": "polite" }, ""),
      h("p", {}, h("button", { type: "button", id: "slide", onclick: toggle }, "Let it slide"))));
}

function choice(label, name, values) {
  return h("fieldset", { class: "switch" }, h("legend", {}, label), values.map(([value, text]) =>
    h("label", {}, h("input", { type: "radio", name, value, checked: String(chosen[name]) === String(value), onchange: () => {
      chosen[name] = value;
      if (name === "kernel") delete chosen.numbers;
      update();
    } }), h("span", {}, text))));
}

async function update() {
  const mine = ++asked;
  const options = { kernel: chosen.numbers ?? chosen.kernel, padding: chosen.padding, stride: chosen.stride, dilation: chosen.dilation };
  let answer = null;
  let refusal = "";
  try {
    answer = await get("play", options);
  } catch (error) {
    refusal = error.message;
  }
  if (mine !== asked) return;
  $("play-message").textContent = refusal;
  $("play-message").hidden = !refusal;
  for (const part of document.querySelectorAll("#play-stage .played")) part.hidden = Boolean(refusal);
  if (refusal) {
    stop();
    return;
  }
  found = answer;
  at = [Math.min(at[0], found.output.length - 1), Math.min(at[1], found.output[0].length - 1)];
  draw();
  place();
}

function draw() {
  const high = found.input.length;
  const wide = found.input[0].length;
  const [[top, bottom], [left, right]] = found.pads;
  const [oh, ow] = [found.output.length, found.output[0].length];
  const view = `${-left} ${-top} ${wide + left + right} ${high + top + bottom}`;
  const input = h("svg", { viewBox: view, class: "board", "aria-hidden": "true" },
    h("rect", { x: -left, y: -top, width: wide + left + right, height: high + top + bottom, class: "padding" }),
    h("image", { href: gray(found.input), x: 0, y: 0, width: wide, height: high, preserveAspectRatio: "none", class: "pixels" }),
    h("g", { class: "play-taps" }));
  $("play-input").replaceChildren(input, h("figcaption", {},
    `input ${high}×${wide}` + (top + bottom + left + right ? `, with ${top}+${bottom} rows and ${left}+${right} columns of zeros around it` : ", no padding")));
  showKernel();
  const limit = Math.max(...found.output.flat().map(Math.abs), Number.MIN_VALUE);
  const cells = found.output.flatMap((line, r) => line.map((value, c) => {
    const cell = h("rect", { x: c, y: r, width: 1, height: 1, class: value < 0 ? "negative" : "positive", "data-at": `${r},${c}` });
    cell.style.setProperty("opacity", Math.min(1, Math.abs(value) / limit) ** 0.6);
    return cell;
  }));
  const output = $("play-output");
  output.setAttribute("viewBox", `0 0 ${ow} ${oh}`);
  output.setAttribute("aria-label", `The output, ${oh} by ${ow}. Arrow keys move the kernel.`);
  output.replaceChildren(h("rect", { width: ow, height: oh, class: "ground" }), ...cells,
    h("rect", { class: "pixel under", width: 1, height: 1 }), h("rect", { class: "pixel", width: 1, height: 1 }));
  // A stride of 2 makes a picture half as large: shown at that size, so that it is seen.
  output.style.setProperty("--share", ow / (wide + left + right));
  const size = (n, pads, o) => `⌊(${n} + ${pads} − ${found.span}) / ${found.stride}⌋ + 1 = ${o}`;
  $("play-size").textContent = `output ${oh}×${ow}: ${size(high, top + bottom, oh)}` + (oh === ow ? "" : ` rows, ${size(wide, left + right, ow)} columns`);
}

function board() {
  const go = (event) => {
    const to = event.target.dataset?.at;
    if (to) move(to.split(",").map(Number));
  };
  const step = (event) => {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!by) return;
    event.preventDefault();
    const [oh, ow] = [found.output.length, found.output[0].length];
    move([Math.max(0, Math.min(oh - 1, at[0] + by[0])), Math.max(0, Math.min(ow - 1, at[1] + by[1]))]);
  };
  return h("svg", { class: "board output", id: "play-output", tabindex: "0", role: "application", "aria-describedby": "play-readout",
    onpointermove: go, onpointerdown: go, onkeydown: step });
}

function kernelTable() {
  const cells = Array.from({ length: 9 }, (_, i) => {
    const input = h("input", { type: "number", step: "any", "aria-label": `Kernel row ${Math.floor(i / 3) + 1}, column ${(i % 3) + 1}`, disabled: isRecorded,
      oninput: () => { typed = input; }, onblur: () => { typed = null; }, onchange: change });
    return input;
  });
  const grid = h("div", { class: "kernel", id: "play-kernel" }, cells);
  function change() {
    typed = null;
    chosen.numbers = cells.map((input) => Number(input.value)).join(",");
    for (const preset of document.querySelectorAll("#play input[name=kernel]")) preset.checked = false; // or it could not be chosen again
    update();
  }
  return h("figure", { class: "kernel-figure" }, grid, h("figcaption", {}, isRecorded ? "kernel" : "kernel: change its numbers"));
}

function showKernel() {
  const values = found.kernel.flat();
  const largest = Math.max(...values.map(Math.abs));
  [...$("play-kernel").children].forEach((input, i) => {
    const value = String(Math.round(values[i] * 1e4) / 1e4);
    if (input !== typed && input.value !== value) input.value = value;
    input.style.removeProperty("background-color");
    tint(input, values[i], largest);
  });
}

function move(to) {
  at = to;
  place();
}

function place() {
  const [r, c] = at;
  const [top, left] = [found.taps.rows[r], found.taps.columns[c]];
  const largest = Math.max(...found.kernel.flat().map(Math.abs), Number.MIN_VALUE);
  const words = [];
  const taps = found.kernel.flatMap((line, kh) => line.map((weight, kw) => {
    const [y, x] = [top + kh * found.dilation, left + kw * found.dilation];
    const value = found.input[y]?.[x] ?? 0;
    if (weight) words.push(weight < 0 ? `${value}·(−${short(-weight)})` : `${value}·${short(weight)}`);
    const rect = h("rect", { x, y, width: 1, height: 1, class: `tap ${weight < 0 ? "negative" : "positive"}` });
    rect.style.setProperty("fill-opacity", 0.15 + 0.55 * (Math.abs(weight) / largest));
    return rect;
  }));
  document.querySelector(".play-taps").replaceChildren(...taps);
  for (const pixel of document.querySelectorAll("#play-output .pixel")) {
    pixel.setAttribute("x", c);
    pixel.setAttribute("y", r);
  }
  $("play-readout").replaceChildren(h("code", {}, `y[${r}, ${c}]`), ` = ${words.join(" + ") || "0"} = `, h("b", {}, number(found.output[r][c], 4)));
}

/** A weight without the zeros at its end. */
function short(weight) {
  return Number(weight.toPrecision(4));
}

/** Grey levels 0..1 as a picture the size of the numbers. */
function gray(rows) {
  const canvas = h("canvas", { width: rows[0].length, height: rows.length });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(rows[0].length, rows.length);
  rows.flat().forEach((value, i) => pixels.data.set([255 * value, 255 * value, 255 * value, 255], 4 * i));
  context.putImageData(pixels, 0, 0);
  return canvas.toDataURL();
}

function toggle() {
  if (sliding) {
    stop();
    return;
  }
  const step = () => {
    const [oh, ow] = [found.output.length, found.output[0].length];
    const next = (at[0] * ow + at[1] + 1) % (oh * ow);
    move([Math.floor(next / ow), next % ow]);
  };
  if (still.matches) { // no motion that nobody asked for: one step for one press
    step();
    return;
  }
  sliding = setInterval(step, 180);
  $("slide").textContent = "Stop";
}

function stop() {
  clearInterval(sliding);
  sliding = null;
  if ($("slide")) $("slide").textContent = "Let it slide";
}
