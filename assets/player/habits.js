/* How somebody likes to look at drafts: colour, undecided, speed. This browser keeps it, where it may. */

const HABITS_KEY = "dgemma-habits";
/** What may be remembered, with its allowed values: what a browser has kept may be from another version. */
const HABITS = {
  colour: COLOURS.map(([value]) => value),
  far: SHOWS.map(([value]) => value),
  near: SHOWS.map(([value]) => value),
  speed: [0.5, 1, 2],
};

/** @returns {Object} a part of the player's state */
function readHabits() {
  try {
    const kept = JSON.parse(localStorage.getItem(HABITS_KEY)) ?? {};
    return Object.fromEntries(Object.keys(HABITS).filter((name) => HABITS[name].includes(kept[name])).map((name) => [name, kept[name]]));
  } catch {
    return {};
  }
}

/** @param {Object} patch a change of the state @param {Object} state after it */
function keepHabits(patch, state) {
  const names = Object.keys(HABITS);
  if (!names.some((name) => name in patch)) return;
  try {
    localStorage.setItem(HABITS_KEY, JSON.stringify(Object.fromEntries(names.map((name) => [name, state[name]]))));
  } catch {
    // The page works without.
  }
}
