/* What stands at a position of a draft after a frame: which word or noise, how wide, in which ink. It reads the run
   and measures words; it touches no node of the page. */

const CLASS = {
  ink: Array.from({ length: LEVELS }, (_, k) => `t i${k}`),
  noise: Array.from({ length: LEVELS }, (_, k) => `t z i${k}`),
  endNoise: Array.from({ length: LEVELS }, (_, k) => `t z e i${k}`),
  band: Array.from({ length: LEVELS }, (_, k) => `t w w${k}`),
  revised: ["t", "t rev", "t rev2"],
  end: "t e done",
  off: "t off",
};
const DOT = "·";
const END_NOISE_WIDTH = 0.4;
/** Confidences from which a slot's grain is thicker: before a word appears its grain thickens. */
const THICKER = [0.16, 0.4];

const newCell = () => ({ name: "", text: DOT, lead: "", tail: "", noise: "", pad: 0, was: "", width: END_NOISE_WIDTH, end: false });
/** The one cell that is filled again for each position: hundreds of thousands a minute would be litter. */
const CELL = newCell();

/**
 * @param {Object} view how a sheet is painted now, see `Sheet.viewOf`
 * @param {number} b block @param {number} k place in the block @param {number} p position in the draft
 * @returns {Object} CELL
 */
function cellAt(view, b, k, p) {
  const { frame, stats, committed, guess } = view;
  CELL.text = DOT;
  CELL.name = CELL.lead = CELL.tail = CELL.noise = CELL.was = "";
  CELL.pad = 0;
  CELL.width = END_NOISE_WIDTH;
  CELL.end = false;
  if (b > frame.block) {
    CELL.name = CLASS.off;
    return slotInto(CELL, view, p);
  }
  if (b < frame.block || committed) return wordCell(view, stats.final[p], b, k, p, KEPT_INK);
  if (frame.accepted?.[k]) return wordCell(view, guess ? frame.best[k] : frame.canvas[k], b, k, p, KEPT_INK);
  if (guess) return wordCell(view, frame.best[k], b, k, p, GUESS_INK);
  return noiseCell(view, k, p);
}

function wordCell(view, index, b, k, p, floor) {
  const { run, stats } = view;
  const facts = wordFacts(run, index);
  CELL.tail = facts.tail;
  CELL.lead = facts.lead;
  if (facts.end || p > stats.end) {
    CELL.lead = p === stats.end ? " " : "";
    CELL.tail = "";
    CELL.name = CLASS.end;
  } else if (!facts.core) CELL.name = CLASS.off;
  else {
    CELL.text = facts.core;
    CELL.name = inkClass(view, index, b, k, p, floor) + (facts.bidi ? " bidi" : "");
  }
  return CELL;
}

/** The class that gives a word its colour: three channels, of which one is shown. */
function inkClass(view, index, b, k, p, floor) {
  const { run, track, stats, colour } = view;
  const frame = b === view.frame.block ? view.frame : lastFrameOf(track, b);
  if (colour === "confidence" || floor !== KEPT_INK) return CLASS.ink[inkOf(frame.confidence[k], floor)];
  if (colour === "entropy") return CLASS.ink[inkOfEntropy(frame.entropy[k], floor)];
  if (colour === "settled") return CLASS.band[bandOfStep(stats.settled[p], view.lastStep)];
  if (colour === "rank") {
    const band = bandOfRank(rankOf(frame, k, index));
    return band < 0 ? CLASS.ink[LEVELS - 1] : CLASS.band[band];
  }
  if (colour === "revisions") {
    const past = (stats.byPosition.get(p) ?? []).filter((event) => event.frame <= view.index);
    if (past.length && view.big) CELL.was = spoken(run, past[past.length - 1].was);
    return CLASS.revised[Math.min(2, past.length)];
  }
  return CLASS.ink[LEVELS - 1];
}

/** A slot's width and surroundings are those of the word that comes into it. @returns {Object} the cell */
function slotInto(cell, { run, ruler, stats, index }, p) {
  const coming = stats.byPosition.get(p)?.find((event) => event.frame > index);
  const word = coming ? coming.was : stats.final[p];
  if (word < 0) {
    // Stopped before its first pass: nothing will ever come here.
    [cell.lead, cell.width, cell.pad] = [" ", SLOT, SLOT - ruler.width(DOT)];
    return cell;
  }
  const facts = wordFacts(run, word);
  const end = facts.end || p > stats.end;
  cell.lead = end ? (p === stats.end ? " " : "") : facts.lead;
  cell.tail = end ? "" : facts.tail;
  cell.text = end ? DOT : facts.core || DOT;
  cell.width = end ? END_NOISE_WIDTH : ruler.width(cell.text);
  cell.end = end;
  return cell;
}

function noiseCell(view, k, p) {
  const { frame, track, ruler, compositor } = view;
  const sure = frame.confidence ? frame.confidence[k] : 0;
  if (compositor) {
    CELL.lead = " ";
    CELL.width = Math.max(0.3, compositor.widths[k] - compositor.gap);
    CELL.pad = CELL.width - ruler.width(DOT);
  } else narrowed(slotInto(CELL, view, p), view, p);
  const jitter = (p * 7 + track.draft * 3) % 3;
  const names = CELL.end ? CLASS.endNoise : CLASS.noise;
  if (view.show === "tokens") {
    CELL.noise = fitted(wordFacts(view.run, frame.canvas[k]).core, p * 131, CELL.width);
    const ink = view.big ? (view.dark ? 6 : 8) + Math.round(sure * 2) : Math.min(7, 2 + jitter + Math.round(sure * 4));
    CELL.name = names[ink];
  } else {
    // A third of the grain changes per step; none where motion is unwelcome.
    const seed = p * 131 + (view.still ? 0 : Math.floor((frame.step + (p % 3)) / 3));
    CELL.noise = grain(seed, CELL.width, sure < THICKER[0] ? 0 : sure < THICKER[1] ? 1 : 2);
    CELL.name = names[Math.min(10, (view.big ? 7 : 5) + jitter + Math.round(sure * 6))];
  }
  return CELL;
}

/** A slot that gave some of its width to its line. */
function narrowed(cell, { lines, ruler }, p) {
  const slot = lines?.slots?.[p];
  if (!slot || slot.width === slot.full) return;
  [cell.text, cell.width, cell.pad] = [DOT, slot.width, slot.width - ruler.width(DOT)];
}
