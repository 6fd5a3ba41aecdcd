/* How somebody likes to look at drafts: colour, undecided, speed. This browser keeps it, where it may. */

const HABITS_KEY = "dgemma-habits";
/** What may be remembered, with its allowed values: what a browser has kept may be from another version. */
const HABITS = {
  colour: COLOURS.map(([value]) => value),
  far: SHOWS.map(([value]) => value),
  near: SHOWS.map(([value]) => value),
  speed: SPEEDS.map(([value]) => Number(value)),
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

/** Only what was changed: another tab may have changed the rest. @param {Object} patch a change of the player's state */
function keepHabits(patch) {
  const changed = Object.entries(patch).filter(([name]) => name in HABITS);
  if (!changed.length) return;
  try {
    localStorage.setItem(HABITS_KEY, JSON.stringify({ ...readHabits(), ...Object.fromEntries(changed) }));
  } catch {
    // The page works without.
  }
}
