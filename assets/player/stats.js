/* What a run tells: typed arrays in, numbers out. Pure. The same definitions as `dgemma_play/analysis.py`:
   steps count up, tokens are compared by index, a revision needs two accepted words (the commit counts as accepted). */

/** @param {Frame} frame @returns {{accepted: number, entropy: number}} share 0–1 and mean nats; null before a guess */
function frameStats(frame) {
  if (frame.stats) return frame.stats;
  if (!frame.accepted) return (frame.stats = { accepted: 0, entropy: null });
  let kept = 0;
  let doubt = 0;
  for (let p = 0; p < frame.accepted.length; p++) {
    kept += frame.accepted[p];
    doubt += frame.entropy[p];
  }
  const size = frame.accepted.length;
  return (frame.stats = { accepted: kept / size, entropy: doubt / size });
}

/** The frames of each block as [first, after last). @returns {[number, number][]} */
function blocksOf(frames) {
  const starts = [];
  frames.forEach((frame, k) => {
    if (!k || frame.block !== frames[k - 1].block) starts.push(k);
  });
  return starts.map((start, b) => [start, starts[b + 1] ?? frames.length]);
}

/** @returns {Frame} the last pass over a block */
const lastFrameOf = (track, block) => track.frames.findLast((frame) => frame.block === block);

/**
 * The settled step of each position: the pass from which its best token never changes again.
 * @param {Frame[]} passes of one block, without its noise @returns {Int32Array} steps; all 0 without a pass
 */
function settledSteps(passes) {
  const length = passes.length ? passes[0].best.length : 0;
  const settled = new Int32Array(length).fill(passes[0]?.step ?? 0);
  for (let k = 1; k < passes.length; k++) {
    for (let p = 0; p < length; p++) if (passes[k].best[p] !== passes[k - 1].best[p]) settled[p] = passes[k].step;
  }
  return settled;
}

/**
 * Where an accepted word was changed for another.
 * @param {Frame[]} passes of one block @param {boolean} committed whether the last pass's best guess is the canvas
 * @returns {{pass: number, position: number, was: number, now: number}[]} in order of passes
 */
function revisionsOf(passes, committed) {
  const found = [];
  if (!passes.length) return found;
  const held = new Int32Array(passes[0].best.length).fill(-1);
  const take = (pass, position, now) => {
    if (held[position] >= 0 && held[position] !== now) found.push({ pass, position, was: held[position], now });
    held[position] = now;
  };
  passes.forEach((frame, pass) => {
    for (let p = 0; p < held.length; p++) if (frame.accepted[p]) take(pass, p, frame.canvas[p]);
  });
  const last = passes.length - 1;
  if (committed) for (let p = 0; p < held.length; p++) take(last, p, passes[last].best[p]);
  return found;
}

/** Positions accepted at one pass and given back to noise at the next. @returns {{pass, position}[]} */
function lostOf(passes) {
  const found = [];
  for (let pass = 1; pass < passes.length; pass++) {
    const [before, now] = [passes[pass - 1].accepted, passes[pass].accepted];
    for (let p = 0; p < now.length; p++) if (before[p] && !now[p]) found.push({ pass, position: p });
  }
  return found;
}

/** A canvas that has ended is its best guess. A track that gets no more frames has ended wherever it is. */
function isCommitted(run, track, frameIndex) {
  const frame = track.frames[frameIndex];
  const next = track.frames[frameIndex + 1];
  if (!frame?.best || (next && next.block === frame.block)) return false;
  return frame.ended !== "" || Boolean(next) || !run.live;
}

/**
 * Everything about a track that needs all its frames; positions count through all blocks.
 * @returns {{final: Int32Array, settled: Int32Array, revisions: Object[], byPosition: Map, lost: Object[], end: number}}
 *   `final` is -1 where nothing is committed yet; `end` is the position of the end of text, or the canvas's end.
 */
function trackStats(run, track) {
  if (track.stats && track.stats.frames === track.frames.length && track.stats.live === run.live) return track.stats;
  const length = run.canvasLength;
  const blocks = blocksOf(track.frames);
  const final = new Int32Array(length * blocks.length).fill(-1);
  const settled = new Int32Array(final.length);
  const [revisions, lost] = [[], []];
  blocks.forEach(([from, to], block) => {
    const passes = track.frames.slice(from, to).filter((frame) => frame.best);
    const first = to - passes.length;
    const committed = isCommitted(run, track, to - 1);
    const place = (event) => ({ ...event, frame: first + event.pass, position: event.position + block * length });
    if (committed) final.set(passes[passes.length - 1].best, block * length);
    settled.set(settledSteps(passes), block * length);
    revisions.push(...revisionsOf(passes, committed).map(place));
    lost.push(...lostOf(passes).map(place));
  });
  const byPosition = new Map();
  for (const event of revisions) {
    if (!byPosition.has(event.position)) byPosition.set(event.position, []);
    byPosition.get(event.position).push(event);
  }
  let end = final.findIndex((word) => word >= 0 && run.eosIds.has(run.ids[word]));
  if (end < 0) end = final.length;
  track.stats = { frames: track.frames.length, live: run.live, final, settled, revisions, byPosition, lost, end };
  return track.stats;
}

/**
 * The time axis that slider, heatmap and timeline share: passes of a draft, block after block, each block beginning
 * with its noise. While a run is live its newest block has room for every pass it may take.
 * @returns {{starts: number[], lengths: number[], slots: number}}
 */
function timeAxis(run) {
  const lengths = [];
  for (const track of run.tracks) {
    for (const frame of track.frames) lengths[frame.block] = Math.max(lengths[frame.block] ?? 1, frame.step + 1);
  }
  if (!lengths.length) lengths.push(1);
  if (run.live) lengths[lengths.length - 1] = Math.max(lengths[lengths.length - 1], run.steps + 1);
  const starts = [];
  let slots = 0;
  for (const length of lengths) {
    starts.push(slots);
    slots += length;
  }
  return { starts, lengths, slots };
}

/** @returns {{block: number, step: number}} */
function whereIs(axis, slot) {
  let block = axis.starts.length - 1;
  while (block > 0 && axis.starts[block] > slot) block--;
  return { block, step: slot - axis.starts[block] };
}

/** The frame that a draft shows at each slot: its last one so far; -1 before its first. @returns {Int32Array} */
function framesBySlot(axis, frames) {
  const shown = new Int32Array(axis.slots).fill(-1);
  frames.forEach((frame, k) => (shown[axis.starts[frame.block] + frame.step] = k));
  for (let slot = 1; slot < axis.slots; slot++) if (shown[slot] < 0) shown[slot] = shown[slot - 1];
  return shown;
}

/** Accepted share, mean entropy and undecided positions over drafts at their frames. */
function meanStats(run, frameIndices) {
  const sum = { accepted: 0, entropy: 0, undecided: 0, positions: 0, guesses: 0, drafts: 0 };
  run.tracks.forEach((track, d) => {
    const frame = track.frames[frameIndices[d]];
    if (!frame) return;
    const committed = isCommitted(run, track, frameIndices[d]);
    const { accepted, entropy } = frameStats(frame);
    sum.drafts++;
    sum.positions += run.canvasLength;
    sum.accepted += committed ? 1 : accepted;
    sum.undecided += committed ? 0 : Math.round((1 - accepted) * run.canvasLength);
    if (entropy !== null) {
      sum.entropy += entropy;
      sum.guesses++;
    }
  });
  return {
    accepted: sum.drafts ? sum.accepted / sum.drafts : 0,
    entropy: sum.guesses ? sum.entropy / sum.guesses : null,
    undecided: sum.undecided,
    positions: sum.positions,
  };
}

/** Rank of a word among a position's five rivals, from 1; 0 if beyond the five; null where the rivals are not known. */
function rankOf(frame, position, word) {
  if (word === frame.best[position]) return 1;
  const at = frame.rivals ? frame.rivals.at[position] : -1;
  if (at < 0) return null;
  for (let k = 0; k < 5; k++) if (frame.rivals.words[at + k] === word) return k + 1;
  return 0;
}
