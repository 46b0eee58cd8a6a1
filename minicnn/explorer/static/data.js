// Where answers come from: the explorer's server, or, in an exported page, what was written into it.
// Addresses are those of minicnn/explorer/answers.py.

import { waitFor } from "./waiting.js";

const embedded = document.getElementById("recorded");
const recorded = embedded ? JSON.parse(embedded.textContent) : null;

export const isRecorded = recorded !== null;

let photo = 0; // the photograph's number: pictures of another one have another address

export function setPhoto(number) {
  photo = number;
}

function address(path, options) {
  const given = Object.entries(options).filter(([, value]) => value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  return query ? `${path}?${query}` : path;
}

export function path(...parts) {
  return parts.map((part) => encodeURIComponent(part)).join("/");
}

/** JSON from an address. Throws an Error with the server's own words. */
export async function get(where, options = {}) {
  const key = address(where, options);
  if (isRecorded) {
    if (key in recorded) return recorded[key];
    throw new Error("This page was exported without this part: it holds the numbers under the dots. `minicnn explore` shows all.");
  }
  let response;
  try {
    response = await waitFor(fetch(key));
  } catch {
    throw new Error("The explorer does not answer any more. Start it again: minicnn explore");
  }
  return checked(response);
}

/** The address of a picture: a file of the server, or the picture itself. "" where an exported page has none. */
export function picture(where, options = {}) {
  const key = address(where, options);
  return isRecorded ? (recorded[key] ?? "") : address(where, { ...options, v: photo });
}

export function has(where, options = {}) {
  return !isRecorded || address(where, options) in recorded;
}

export async function send(file) {
  const headers = { "Content-Type": "application/octet-stream", "X-Name": encodeURIComponent(file.name) };
  return checked(await waitFor(fetch("photo", { method: "POST", body: file, headers })));
}

async function checked(response) {
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = { error: text };
  }
  if (!response.ok) throw new Error(answer.error);
  return answer;
}
