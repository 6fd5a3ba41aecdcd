/* Bytes into typed arrays: the trace file and the live message. The bytes come from strangers: every length, range
   and index is checked before it is believed, and whatever is wrong becomes a `TraceError` with a sentence.

   A run, here:
   {id, name, source, prompt: [{role, content}], model, canvasLength, blocks, steps, eosIds: Set of token ids,
    ids: number[], words: string[], tracks: Track[]}
   A track:
   {draft, seed, settings, ended, text, stepsUsed, parent, frames: Frame[]}
   A frame (words as indices into `run.words`; null where step 0 has no guess yet):
   {block, step, temperature, seconds, ended, canvas, best, confidence, entropy, accepted, rivals} */

const LIMITS = { unpacked: 256 * 2 ** 20, tracks: 256, frames: 8192, canvas: 4096, word: 1000, cells: 4_000_000, positions: 2 ** 18 };

class TraceError extends Error {}

/** float16 bits -> number. @type {Float32Array} */
const HALVES = (() => {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) table[bits] = fraction ? NaN : sign * Infinity;
    else if (exponent) table[bits] = sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
    else table[bits] = sign * 2 ** -24 * fraction;
  }
  return table;
})();

const TOO_OLD = "This browser is too old to unpack a run: Chrome 97, Firefox 113 and Safari 16.4 can.";

/** @param {Uint8Array} bytes gzip @returns {Promise<Uint8Array>} */
async function gunzip(bytes) {
  if (!globalThis.DecompressionStream) throw new TraceError(TOO_OLD);
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new TraceError("This is not a DGemma Play trace, or it was damaged on the way.");
    });
    if (done) break;
    size += value.length;
    if (size > LIMITS.unpacked) throw new TraceError("The trace unpacks to more than 256 MiB and was not read.");
    parts.push(value);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Splits the header line from the planes. @param {Uint8Array} bytes @returns {[Object, PlaneReader]} */
function openPlanes(bytes) {
  const end = bytes.indexOf(10);
  let header = null;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end)));
  } catch {
    throw new TraceError("This is not a DGemma Play trace: it does not begin with a header.");
  }
  if (header === null || typeof header !== "object") throw new TraceError("This is not a DGemma Play trace.");
  return [header, new PlaneReader(bytes.subarray(end < 0 ? bytes.length : end + 1))];
}

/** Takes arrays off the front of the planes. */
class PlaneReader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  /** A copy, so that wider numbers are aligned. @param {number} size in bytes */
  take(size) {
    if (size > this.bytes.length - this.at) damaged("its planes are shorter than its header says");
    this.at += size;
    return this.bytes.slice(this.at - size, this.at);
  }

  /** @returns {Uint8Array | Uint16Array | Uint32Array} indices below `words` */
  indices(count, width, words) {
    const kinds = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };
    const plane = new kinds[width](this.take(count * width).buffer);
    for (let k = 0; k < count; k++) if (plane[k] >= words) damaged("a token has no word");
    return plane;
  }

  /** @returns {Float32Array} numbers from 0 to `high` */
  halves(count, high, name) {
    const bits = new Uint16Array(this.take(count * 2).buffer);
    const plane = new Float32Array(count);
    for (let k = 0; k < count; k++) {
      plane[k] = HALVES[bits[k]];
      if (!(plane[k] >= 0 && plane[k] <= high)) damaged(`${name} is out of range`);
    }
    return plane;
  }

  /** @returns {Uint8Array} zeros and ones */
  flags(count) {
    const plane = this.take(count);
    for (let k = 0; k < count; k++) if (plane[k] > 1) damaged("accepted is out of range");
    return plane;
  }

  end() {
    if (this.at !== this.bytes.length) damaged("its planes are longer than its header says");
  }
}

/** @returns {never} */
function damaged(what) {
  throw new TraceError(`The trace is damaged: ${what}.`);
}

function whole(value, low, high, name) {
  if (!Number.isInteger(value) || value < low || value > high) damaged(`${name} is out of range`);
  return value;
}

function measured(value, name) {
  return Number.isFinite(value) && value >= 0 ? value : damaged(`${name} is out of range`);
}

function listOf(value, most, name) {
  if (!Array.isArray(value) || value.length > most) damaged(`${name} is not a list of at most ${most} entries`);
  return value;
}

function textOf(value, most, name) {
  if (typeof value !== "string" || value.length > most) damaged(`${name} is not a text of at most ${most} characters`);
  return value;
}

function oneOf(value, choices, name) {
  return choices.includes(value) ? value : damaged(`${name} is none of ${choices.filter(Boolean).join(", ")}`);
}

function recordOf(value, name) {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value : damaged(`${name} is not an object`);
}

/** How a canvas and how an answer may end, the largest seed: see `dgemma_play/trace.py` and `settings.py`. */
const CANVAS_ENDS = ["", "stable", "steps", "stopped"];
const ANSWER_ENDS = ["eos", "length", "stopped", "failed"];
const MOST_SEED = 2 ** 32 + 31;

/** Rivals are kept where the model was unsure; see `dgemma_play/codec.py`. */
const SURE = 0.999;

/**
 * A trace file.
 * @param {ArrayBuffer} buffer
 * @returns {Promise<Object>} a run
 */
async function decodeTrace(buffer) {
  const [header, planes] = openPlanes(await gunzip(new Uint8Array(buffer)));
  if (header.format !== "dgemma-trace") throw new TraceError("This is not a DGemma Play trace.");
  if (header.version !== 1) {
    throw new TraceError(`The trace is of version ${String(header.version).slice(0, 20)}, this player reads version 1.`);
  }
  const length = whole(header.canvas_length, 1, LIMITS.canvas, "canvas_length");
  const width = header.index_bytes;
  if (![1, 2, 4].includes(width)) damaged("index_bytes is out of range");
  const ids = listOf(header.ids, 2 ** 22, "ids");
  const words = listOf(header.words, 2 ** 22, "words");
  if (ids.length !== words.length) damaged("its words do not match its token ids");
  for (const word of words) textOf(word, LIMITS.word, "a word");
  const heads = listOf(header.tracks, LIMITS.tracks, "tracks");
  if (!heads.length) damaged("it holds no draft");
  const cells = heads.reduce((sum, head) => sum + listOf(head?.step, LIMITS.frames, "step").length * length, 0);
  if (cells > LIMITS.cells) damaged(`it holds more than ${LIMITS.cells} positions`);
  const tracks = heads.map((head, draft) => decodeTrack(head, draft, planes, { length, width, words: words.length }));
  planes.end();
  // Each is an element of the page: a file must not be able to bring the browser down.
  const positions = tracks.reduce((sum, track) => sum + length * (1 + track.frames[track.frames.length - 1].block), 0);
  if (positions > LIMITS.positions) damaged(`its drafts are longer than ${LIMITS.positions} positions in all`);
  const frames = tracks.flatMap((track) => track.frames);
  return {
    prompt: decodePrompt(header.prompt),
    model: decodeModel(header.model),
    canvasLength: length,
    blocks: 1 + frames.reduce((most, frame) => Math.max(most, frame.block), 0),
    steps: frames.reduce((most, frame) => Math.max(most, frame.step), 0),
    eosIds: new Set(listOf(header.eos_ids, 1000, "eos_ids")),
    ids,
    words,
    tracks,
  };
}

function decodePrompt(prompt) {
  return listOf(prompt, 1000, "prompt").map((message) => ({
    role: textOf(message?.role, 100, "a role"),
    content: textOf(message?.content, 2 ** 24, "a message"),
  }));
}

function decodeModel(model) {
  const names = ["name", "revision", "precision", "device"];
  return Object.fromEntries([["rows", model?.rows], ...names.map((key) => [key, textOf(model?.[key], 1000, key)])]);
}

function decodeTrack(head, draft, planes, { length, width, words }) {
  const steps = head.step.map((step) => whole(step, 0, 2 ** 31, "step"));
  const columns = ["block", "temperature", "seconds", "canvas_ended"].map((name) => {
    const column = listOf(head[name], LIMITS.frames, name);
    return column.length === steps.length ? column : damaged(`${name} does not have an entry per frame`);
  });
  const frames = steps.map((step, k) => ({
    block: whole(columns[0][k], 0, LIMITS.frames, "block"),
    step,
    temperature: measured(columns[1][k], "temperature"),
    seconds: measured(columns[2][k], "seconds"),
    ended: oneOf(columns[3][k], CANVAS_ENDS, "canvas_ended"),
    ...NO_GUESS,
  }));
  if (!frames.length || frames[0].step !== 0 || frames[0].block !== 0) damaged("a track does not begin with its noise");
  for (let k = 1; k < frames.length; k++) {
    const [a, b] = [frames[k - 1], frames[k]];
    const follows = b.block === a.block ? b.step > a.step : b.block === a.block + 1 && b.step === 0;
    if (!follows) damaged("a track's frames are out of order");
  }
  const guessed = frames.filter((frame) => frame.step > 0);
  const each = (list, read) => list.forEach((frame) => read(frame));
  each(frames, (frame) => (frame.canvas = planes.indices(length, width, words)));
  each(guessed, (frame) => (frame.best = planes.indices(length, width, words)));
  each(guessed, (frame) => (frame.confidence = planes.halves(length, 1, "confidence")));
  each(guessed, (frame) => (frame.entropy = planes.halves(length, 1000, "entropy")));
  each(guessed, (frame) => (frame.accepted = planes.flags(length)));
  decodeRivals(guessed, planes, length, width, words);
  return {
    draft,
    seed: whole(head.seed, 0, MOST_SEED, "seed"),
    settings: recordOf(head.settings, "settings"),
    ended: oneOf(head.ended, ANSWER_ENDS, "ended"),
    text: textOf(head.text, 2 ** 20, "text"),
    stepsUsed: whole(head.steps_used, 0, 2 ** 31, "steps_used"),
    parent: head.parent ?? null,
    frames,
  };
}

/** Gives each frame `rivals`: {at: Int32Array (place of a position's five, or -1), words, probs}. */
function decodeRivals(guessed, planes, length, width, words) {
  let unsure = 0;
  const places = guessed.map((frame) => {
    const at = new Int32Array(length).fill(-1);
    for (let p = 0; p < length; p++) if (frame.confidence[p] < SURE) at[p] = 5 * unsure++;
    return at;
  });
  const rivals = { words: planes.indices(5 * unsure, width, words), probs: planes.halves(5 * unsure, 1, "rivals") };
  guessed.forEach((frame, k) => (frame.rivals = { at: places[k], ...rivals }));
}

const NO_GUESS = { canvas: null, best: null, confidence: null, entropy: null, accepted: null, rivals: null };

/**
 * A live message: base64 of gzip of a header line and planes.
 * @param {string} text
 * @returns {Promise<{run: string, seq: number, known: number, ids: number[], words: string[], read: function(number): Object[]}>}
 *   `read(known)` gives the frames, once the run's table of words has `known` entries.
 */
async function decodeMessage(text) {
  const [header, planes] = openPlanes(await gunzip(Uint8Array.from(atob(text), (c) => c.charCodeAt(0))));
  const length = whole(header.canvas_length, 1, LIMITS.canvas, "canvas_length");
  const read = (known) =>
    listOf(header.frames, LIMITS.frames, "frames").map(([draft, block, step, temperature, ended]) => {
      const frame = { draft, block, step, temperature, ended, seconds: null, ...NO_GUESS };
      frame.canvas = planes.indices(length, header.index_bytes, known);
      if (step > 0) {
        frame.best = planes.indices(length, header.index_bytes, known);
        frame.confidence = planes.halves(length, 1, "confidence");
        frame.entropy = planes.halves(length, 1000, "entropy");
        frame.accepted = planes.flags(length);
      }
      return frame;
    });
  const { run, seq, ids, words } = header;
  return { run, seq, known: whole(header.known, 0, 2 ** 22, "known"), ids, words, canvasLength: length, read };
}
