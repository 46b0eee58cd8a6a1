// What is being looked at: one small object, kept in the address (#...), so a reload comes back to the same number.

const looked = new EventTarget();

export const look = { direction: "forward", layer: null, map: 0, at: null, target: null, epoch: null };

/** Change some of it; whoever watches one of the changed names is called. */
export function change(changes) {
  const names = Object.keys(changes).filter((name) => !same(look[name], changes[name]));
  if (!names.length) return;
  Object.assign(look, changes);
  remember();
  for (const name of names) looked.dispatchEvent(new Event(name));
  looked.dispatchEvent(new Event("any"));
}

/** Call `react` after a change of any of `names`, once per change. */
export function watch(names, react) {
  let waiting = false;
  for (const name of names) {
    looked.addEventListener(name, () => {
      if (waiting) return;
      waiting = true;
      queueMicrotask(() => {
        waiting = false;
        react();
      });
    });
  }
}

function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

function remember() {
  const words = new URLSearchParams();
  if (look.direction !== "forward") words.set("direction", look.direction);
  if (look.layer) words.set("layer", look.layer);
  if (look.map) words.set("map", look.map);
  if (look.at) words.set("at", look.at.join(","));
  history.replaceState(null, "", `#${words}`);
}

/** What the address says; names of layers that are not there are left out. */
export function recall(layers) {
  const words = new URLSearchParams(location.hash.slice(1));
  const found = {};
  if (words.get("direction") === "backward") found.direction = "backward";
  if (layers.includes(words.get("layer"))) found.layer = words.get("layer");
  const map = Number.parseInt(words.get("map") ?? "", 10);
  if (found.layer && map > 0) found.map = map;
  const at = (words.get("at") ?? "").split(",").map(Number);
  if (found.layer && at.length === 2 && at.every((n) => Number.isInteger(n) && n >= 0)) found.at = at;
  return found;
}
