// The page begins here: what is there, the photograph, then each part in the order of reading.

import { get, isRecorded, send, setPhoto } from "./data.js";
import { showCosts } from "./costs.js";
import { watchLayer } from "./layer.js";
import { change, look, recall, watch } from "./look.js";
import { watchNumber } from "./number.js";
import { showPhoto, showStrip } from "./overview.js";
import { $, say } from "./page.js";
import { showPlay } from "./play.js";
import { showTraining } from "./training.js";
import { watchWays } from "./ways.js";

async function begin() {
  const state = await get("state");
  setPhoto(state.number);
  const names = state.layers.map((layer) => layer.name);
  const found = recall(names);
  change({ layer: firstLayer(state), target: state.target, best: state.target, ...found });
  $("network-title").textContent = `The network: ${state.model.name}`;
  document.title = `${state.model.name} · minicnn explorer`;
  showPhoto(state);
  directions();
  showStrip(state);
  await watchLayer(state);
  await Promise.allSettled([watchNumber(), watchWays(state), showPlay(state)]);
  showCosts();
  showTraining(state);
  document.body.dataset.ready = "true";
  if (!isRecorded) get("beside").catch(() => null); // what goes wrong there is said where its numbers would stand
}

/** A convolution is the best place to begin. */
function firstLayer(state) {
  return (state.layers.find((layer) => layer.kernels) ?? state.layers[0]).name;
}

function directions() {
  for (const input of document.querySelectorAll("#direction input")) {
    input.checked = input.value === look.direction;
    input.addEventListener("change", () => change({ direction: input.value }));
  }
  watch(["direction"], () => {
    for (const input of document.querySelectorAll("#direction input")) input.checked = input.value === look.direction;
  });
}

async function open(file) {
  if (!file) return;
  say("");
  document.body.setAttribute("aria-busy", "true");
  try {
    await send(file);
    location.reload(); // everything on the page is of the old photograph; the address keeps the place
  } catch (error) {
    say(error.message);
    document.body.removeAttribute("aria-busy");
  }
}

function uploads() {
  if (isRecorded) {
    $("open-photo").remove();
    return;
  }
  $("photo-file").addEventListener("change", (event) => {
    open(event.target.files[0]);
    event.target.value = ""; // the same file may be chosen again
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    open(event.dataTransfer.files[0]);
  });
}

uploads();
begin().catch((error) => say(error.message));
