// What is said while an answer takes longer than a moment: that it is being computed, for how long now, and whether code
// is being compiled for it, which happens once.

import { $ } from "./page.js";

const PATIENCE = 800; // milliseconds before anything is said
const COMPUTING = "Computing …";
const COMPILING = "Compiling what this view needs. It takes half a minute or so, once: compiled code is kept. (minicnn warmup does it beforehand.)";

let missing = 0; // answers that have not come yet
let period = 0; // of waiting: a new number when one begins or ends

/** What `answer` promises; while it is waited for, the page says so. */
export async function waitFor(answer) {
  if (missing++ === 0) begin();
  try {
    return await answer;
  } finally {
    if (--missing === 0) end();
  }
}

function begin() {
  const mine = ++period;
  const since = performance.now();
  let before = null; // how many functions the server had compiled when this was first asked
  let compiled = null;
  const tick = async () => {
    compiled = (await functionsCompiled()) ?? compiled;
    if (mine !== period) return;
    before ??= compiled;
    tell(compiled > before ? COMPILING : COMPUTING, Math.round((performance.now() - since) / 1000));
    setTimeout(() => mine === period && tick(), 1000);
  };
  setTimeout(() => mine === period && tick(), PATIENCE);
}

function end() {
  period += 1;
  $("waiting").hidden = true;
}

function tell(what, seconds) {
  if ($("waiting-for").textContent !== what) $("waiting-for").textContent = what; // is read aloud, so only when it changes
  $("waiting-since").textContent = `${seconds} s`;
  $("waiting").hidden = false;
}

/** null where it is not known: a browser lets only so many requests wait at a time. */
async function functionsCompiled() {
  try {
    const answer = await fetch("compiled", { signal: AbortSignal.timeout(PATIENCE) });
    return (await answer.json()).functions;
  } catch {
    return null;
  }
}
