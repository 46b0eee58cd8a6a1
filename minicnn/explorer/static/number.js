// One number taken apart: its products, channel by channel, the steps after their sum, and Keras's number beside it.

import { get, isRecorded, path } from "./data.js";
import { look, watch } from "./look.js";
import { options } from "./overview.js";
import { $, count, fill, h, matrix, number, roving, tint } from "./page.js";

const MOST_BARS = 128;
const MOST_LINES = 12;

let filling = null;

export function watchNumber() {
  const show = () => (filling = look.at && showNumber());
  watch(["at", "map", "layer", "direction", "target", "epoch"], show);
  return show();
}

/** When the number that was just chosen has been taken apart, and stands on the page. */
export async function numberShown() {
  await null; // first whoever watches the choice gets his turn
  await filling;
}

async function showNumber() {
  const where = path("numbers", look.direction, look.layer, String(look.map), ...look.at.map(String));
  const given = options();
  const ask = () => get(where, given);
  let found;
  const isThere = await fill($("number"), async () => {
    found = await ask();
    return explained(found, ask);
  });
  if (isThere) $("number-title").textContent = `One number: ${found.name}[${found.index.slice(1).join(", ")}]`;
}

function explained(found, ask) {
  return [
    h("div", { class: "result" }, ours(found), keras(found, ask)),
    h("p", { class: "formula" }, h("code", {}, found.formula)),
    ...found.groups.map((group) => terms(group, found)),
    ledger(found),
  ];
}

function ours(found) {
  return h("div", { class: "value" }, h("span", { class: "who" }, "minicnn"), h("output", {}, number(found.value, 7)));
}

/** Keras's number. While Keras is computing, `ask` asks again, and the rest of the page stays as it is. */
function keras(found, ask) {
  const box = h("div", { class: "value" }, h("span", { class: "who" }, "Keras"));
  const answer = found.keras;
  if (answer.status === "ready") {
    box.append(h("output", {}, number(answer.value, 7)), h("span", { class: "apart" }, apart(found.value, answer.value)));
  } else box.append(h("span", { class: "apart" }, answer.message));
  if (answer.status === "working" && !isRecorded) {
    setTimeout(async () => {
      const later = box.isConnected && (await ask().catch(() => null));
      if (later && box.isConnected) box.replaceWith(keras(later, ask));
    }, 1500);
  }
  return box;
}

function apart(a, b) {
  if (a === b) return "the same number, bit for bit";
  return `apart by ${number(Math.abs(a - b), 2)}`;
}

// -- terms ------------------------------------------------------------------------------------------------------------

function terms(group, found) {
  const spread = layout(group);
  if (spread && spread.channels.length * spread.cells > 1) return channels(group, spread, found);
  return lines(group);
}

/** Terms that were read from a window: for each channel, where in a small table each term stands. */
function layout(group) {
  const places = group.factors[0].positions;
  if (!places || !places.length || places[0].length !== 4 || group.factors.length < 2) return null;
  const unique = (axis) => [...new Set(places.map((place) => place[axis]))].sort((a, b) => a - b);
  const [rows, columns, channels] = [unique(1), unique(2), unique(3)];
  if (rows.length > 16 || columns.length > 16) return null;
  if (new Set(places.map(String)).size < places.length) return null; // a cell has room for one term
  return { rows, columns, channels, cells: rows.length * columns.length };
}

function channels(group, { rows, columns, channels: all }, found) {
  const sums = new Map(all.map((channel) => [channel, 0]));
  group.products.forEach((product, i) => {
    const channel = group.factors[0].positions[i][3];
    sums.set(channel, sums.get(channel) + product);
  });
  const ranked = [...all].sort((a, b) => Math.abs(sums.get(b)) - Math.abs(sums.get(a)));
  const shown = new Set(ranked.slice(0, MOST_BARS));
  const bars = all.filter((channel) => shown.has(channel));
  const largest = Math.abs(sums.get(ranked[0])) || 1;
  const detail = h("div", { class: "products" });
  const from = group.factors[0].of;
  const choose = (channel) => {
    for (const bar of list.children) {
      const chosen = Number(bar.dataset.item) === channel;
      bar.setAttribute("aria-selected", String(chosen));
      bar.tabIndex = chosen ? 0 : -1;
    }
    detail.replaceChildren(...products(group, rows, columns, channel, sums.get(channel)));
  };
  const list = h("div", { class: "bars", role: "listbox", "aria-label": `Sums of the channels of ${from}` }, bars.map((channel) => {
    const sum = sums.get(channel);
    const bar = h("button", { type: "button", class: "channel", role: "option", "data-item": channel, title: `channel ${channel}: ${number(sum)}`,
      "aria-label": `Channel ${channel}: ${number(sum)}`, onclick: () => choose(channel) }, h("i", { class: sum < 0 ? "negative" : "positive" }));
    bar.style.setProperty("--size", Math.abs(sum) / largest);
    return bar;
  }));
  roving(list, () => [...list.children], { choose: (item) => choose(Number(item.dataset.item)) });
  choose(ranked[0]);
  const rest = group.left_out ? `, of which the ${count(group.products.length)} largest are here; the others come to ${number(group.left_out.sum)}` : "";
  const total = group.products.length + (group.left_out?.count ?? 0);
  return h("div", { class: "group" },
    h("p", {}, `${count(total)} products from ${count(all.length)} ${all.length === 1 ? "channel" : "channels"} of ${from}${rest}. `,
      all.length > 1 ? "A bar is a channel’s sum; choose one to see its products." : null),
    all.length > 1 ? list : null, detail);
}

function products(group, rows, columns, channel, sum) {
  const tables = [...group.factors.map(() => grid(rows, columns)), grid(rows, columns)];
  group.products.forEach((product, i) => {
    const [, r, c, of] = group.factors[0].positions[i];
    if (of !== channel) return;
    const [line, place] = [rows.indexOf(r), columns.indexOf(c)];
    group.factors.forEach((factor, f) => (tables[f][line][place] = factor.values[i]));
    tables[group.factors.length][line][place] = product;
  });
  const parts = group.factors.flatMap((factor, f) => [
    ...(f ? [h("span", { class: "sign" }, "×")] : []),
    matrix(tables[f], { caption: f ? factorName(factor) : `${factorName(factor)}, channel ${channel}`, small: columns.length > 5 }),
  ]);
  return [...parts, h("span", { class: "sign" }, "="), matrix(tables.at(-1), { caption: "products", small: columns.length > 5 }),
    h("span", { class: "sign" }, "→"),
    h("p", { class: "channel-sum" }, h("output", {}, number(sum, 5)), h("span", {}, `channel ${channel}’s sum`))];
}

function grid(rows, columns) {
  return rows.map(() => columns.map(() => null));
}

function factorName(factor) {
  return factor.of ? `${factor.name}, from ${factor.of}` : factor.name;
}

function lines(group) {
  const order = group.products.map((product, i) => i).sort((a, b) => Math.abs(group.products[b]) - Math.abs(group.products[a]));
  const shown = order.slice(0, MOST_LINES).sort((a, b) => a - b);
  const total = group.products.length + (group.left_out?.count ?? 0);
  const others = order.slice(MOST_LINES).reduce((sum, i) => sum + group.products[i], group.left_out?.sum ?? 0);
  const largest = Math.abs(group.products[order[0]] ?? 0) || 1;
  const rows = shown.map((i) => {
    const cell = h("td", { class: "product" }, number(group.products[i], 5));
    tint(cell, group.products[i], largest);
    return h("tr", {}, group.factors.flatMap((factor, f) => [
      f ? h("td", { class: "sign" }, "×") : null,
      h("td", { class: "from" }, place(factor, i)),
      h("td", {}, number(factor.values[i], 5)),
    ]), h("td", { class: "sign" }, "→"), cell);
  });
  if (total > shown.length) {
    rows.push(h("tr", { class: "rest" }, h("td", { colspan: 3 * group.factors.length }, `${count(total - shown.length)} smaller ones, together`), h("td", { class: "product" }, number(others, 5))));
  }
  return h("div", { class: "group" }, h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "The largest terms" },
    h("table", { class: "terms" }, h("tbody", {}, rows))));
}

function place(factor, i) {
  if (!factor.positions) return factor.name;
  const where = factor.positions[i];
  const isWeight = factor.of.includes("/");
  return `${factor.of}[${(isWeight ? where : where.slice(1)).join(", ")}]`;
}

// -- the sum, and what follows ------------------------------------------------------------------------------------------

function ledger(found) {
  const total = found.groups.reduce((sum, group) => sum + group.products.length + (group.left_out?.count ?? 0), 0);
  const rows = [];
  if (total > 1) rows.push([`the sum of ${count(total)} products`, found.sum]);
  for (const step of found.steps) rows.push([step.text, step.value]);
  rows.push(["what the network computed", found.value]);
  return h("table", { class: "ledger" }, h("tbody", {}, rows.map(([text, value], i) =>
    h("tr", { class: i === rows.length - 1 ? "final" : null }, h("th", { scope: "row" }, text), h("td", {}, number(value, 7))))));
}
