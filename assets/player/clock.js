/* The replay's clock: a step after another, until the text stands there. */

const STEP_MILLISECONDS = 115;
/** The recorded run is read while it plays. */
const HELLO_STEP_MILLISECONDS = 230;
/** It rests at its end before it begins again. */
const REST_MILLISECONDS = 2600;

/** @param {Object} state @param {function(Object): void} change */
function createClock(state, change) {
  let timer = 0;
  const later = (rests = false) => {
    const wait = state.hello ? (rests ? REST_MILLISECONDS : HELLO_STEP_MILLISECONDS) : STEP_MILLISECONDS;
    timer = setTimeout(tick, wait / state.speed);
  };
  const tick = () => {
    if (!state.playing || !state.run) return;
    const last = lastSlot(state.run);
    if (state.slot >= last && !state.hello) {
      change({ playing: false });
      return;
    }
    const over = state.slot >= last;
    change({ slot: over ? 0 : state.slot + 1, quick: over });
    later(state.slot >= last);
  };
  return {
    start() {
      const over = state.slot >= lastSlot(state.run);
      change({ playing: true, slot: over ? 0 : state.slot, quick: over });
      clearTimeout(timer);
      later();
    },
    stop: () => clearTimeout(timer),
  };
}
