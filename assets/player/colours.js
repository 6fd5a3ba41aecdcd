/* Values into levels of a ramp. Pure. The 16 colours of each ramp stand in the stylesheet, light and dark, as --i0…15
   (how sure: the ink of the text) and --w0…15 (when: a band under the words); see there for what they are. */

const LEVELS = 16;
/** Kept words are never paler than this level (4.5:1), best guesses never than that (3:1). */
const KEPT_INK = 8;
const GUESS_INK = 5;
/** At this mean entropy, in nats, the curve and the heatmap's ramp are at their end. */
const NATS = 5;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const level = (share) => clamp(Math.round(share * (LEVELS - 1)), 0, LEVELS - 1);

/** @param {number} confidence 0–1 */
const inkOf = (confidence, floor) => Math.max(floor, level(confidence));
/** @param {number} entropy nats; 0 is full ink */
const inkOfEntropy = (entropy, floor) => Math.max(floor, LEVELS - 1 - Math.round(clamp(entropy / NATS, 0, 1) * (LEVELS - 1)));
/** @param {number} step @param {number} last the last step of the longest block */
const bandOfStep = (step, last) => level(last > 1 ? (step - 1) / (last - 1) : 0);
/** @param {number | null} rank 1–5, 0 = beyond the five: 1 and unknown are no band, 5 and beyond the strongest */
const bandOfRank = (rank) => (rank === 1 || rank === null ? -1 : rank === 0 ? LEVELS - 1 : Math.round(((rank - 1) / 5) * (LEVELS - 1)));
