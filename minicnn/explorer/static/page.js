// Small helpers for the page: elements, numbers, messages, tables of numbers, arrow keys.

/** An element. Texts are texts: nothing is ever read as HTML. */
export function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "rect", "g", "line", "path", "text", "circle", "image", "polyline", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, setting] of Object.entries(value)) element.style.setProperty(key, setting);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function $(id) {
  return document.getElementById(id);
}

/** A number as people read it: about `digits` significant ones, a true minus sign. */
export function number(value, digits = 4) {
  if (typeof value === "string") return value; // "nan", "inf": JSON has no word for them
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(digits - 1) : value.toPrecision(digits);
  return text.replace("-", "−").replace("e-", "e−").replace("e+", "e");
}

export function count(value) {
  return value.toLocaleString("en").replaceAll(",", " ");
}

export function shape(sizes) {
  return sizes.join("×");
}

export function seconds(value) {
  if (value >= 1) return `${value.toFixed(1)} s`;
  return value >= 1e-3 ? `${(1000 * value).toPrecision(3)} ms` : `${(1e6 * value).toPrecision(3)} µs`;
}

export function bytes(value) {
  for (const [size, unit] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (value >= size) return `${(value / size).toPrecision(3)} ${unit}`;
  }
  return `${value} bytes`;
}

export function say(text) {
  const message = $("message");
  message.textContent = text;
  message.hidden = !text;
}

/** Fill `place` with what `make` promises; while it is being made, say so; what goes wrong is said there. Promises whether what
 * was made stands there now: not if it failed, or if a later call has taken the place. Only then may anything else follow it:
 * a late answer must not overwrite a newer one. */
export async function fill(place, make, wait = "Computing …") {
  const ticket = (place.ticket = (place.ticket ?? 0) + 1); // a later call wins, whichever ends first
  const slow = setTimeout(() => place.ticket === ticket && place.setAttribute("aria-busy", "true"), 150);
  if (!place.childElementCount) place.replaceChildren(h("p", { class: "lead" }, wait));
  let content;
  let made = true;
  try {
    content = await make();
  } catch (error) {
    content = [h("p", { class: "message" }, error.message)];
    made = false;
  }
  clearTimeout(slow);
  if (place.ticket !== ticket) return false;
  place.removeAttribute("aria-busy");
  place.replaceChildren(...[content].flat());
  return made;
}

/** A table of numbers in which colour says sign and size; `marked` is a [row, column] with a frame. */
export function matrix(values, { caption, marked = null, limit = null, digits = 3, small = false } = {}) {
  const sizes = values.flat().filter(Number.isFinite).map(Math.abs);
  const largest = limit ?? Math.max(...sizes, Number.MIN_VALUE);
  const rows = values.map((line, r) =>
    h("tr", {}, line.map((value, c) => {
      const isMarked = marked && marked[0] === r && marked[1] === c;
      const cell = h("td", { class: isMarked ? "marked" : null }, value === null ? "" : number(value, digits));
      tint(cell, value, largest);
      return cell;
    })),
  );
  return h("figure", { class: small ? "matrix small" : "matrix" },
    h("div", { class: "scroll", tabindex: values[0].length > 9 ? "0" : null, role: values[0].length > 9 ? "group" : null, "aria-label": caption },
      h("table", {}, h("tbody", {}, rows))),
    caption ? h("figcaption", {}, caption) : null);
}

/** Colour by sign, opacity by size: the pictures' own rule, with less ink so that digits stay legible. */
export function tint(element, value, limit) {
  if (!Number.isFinite(value) || value === 0) return;
  const strength = Math.min(1, Math.abs(value) / limit) ** 0.6;
  const hue = value > 0 ? "var(--positive)" : "var(--negative)";
  element.style.setProperty("background-color", `color-mix(in srgb, ${hue} ${Math.round(38 * strength)}%, transparent)`);
}

/** Arrow keys, Home and End among `items()`, of which one at a time can be reached with Tab. */
export function roving(container, items, { across = () => 1, choose }) {
  container.addEventListener("keydown", (event) => {
    const all = items();
    const here = all.indexOf(event.target.closest("[data-item]"));
    if (here < 0) return;
    const columns = across();
    const step = {
      ArrowRight: 1, ArrowLeft: -1, Home: -here, End: all.length - 1 - here,
      ArrowDown: columns, ArrowUp: -columns,
    }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = all[Math.max(0, Math.min(all.length - 1, here + step))];
    next.focus();
    choose(next);
  });
}

/** Scroll until `element` is in sight; its `edge`: "start" at the top of the window, "nearest" no further than needed. */
export function bring(element, edge) {
  element.scrollIntoView({ block: edge, behavior: still.matches ? "auto" : "smooth" });
}

export const still = matchMedia("(prefers-reduced-motion: reduce)");
