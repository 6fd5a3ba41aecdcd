/* The player's one state, and what follows from it. Nothing else in the player remembers what is shown; only
   `change` in player.js writes to it. */

/** @returns {Object} */
function createState() {
  return {
    /** The run on screen, see decode.js; null before the first. @type {Object | null} */
    run: null,
    /** A run that has begun and has no frame yet: the one before stays on screen. */
    coming: null,
    /** empty | loading | queued | running | finished | stopped | failed */
    phase: "empty",
    /** A sentence beside what is on screen, and whether it says that something is wrong. */
    sentence: "",
    alarm: false,
    /** Place in line and expected wait: {place, seconds}. */
    queue: null,
    /** The slot of the time axis that is shown, and whether it follows a live run. */
    slot: 0,
    follow: true,
    playing: false,
    speed: 1,
    /** wall | focus */
    view: "wall",
    /** The selected draft and, in focus, the held position; -1 for none. */
    draft: -1,
    position: -1,
    /** What the pointer is on: {draft, position}. */
    hover: null,
    /** In focus, the position that the pointer has rested on. */
    peek: -1,
    /** confidence | entropy | settled | revisions | rank | none */
    colour: "confidence",
    /** grain | tokens | guess: from afar (wall) and close up (focus). */
    far: "grain",
    near: "tokens",
    whole: false,
    dark: false,
    /** The system asks for no motion. */
    still: false,
    /** Whether the empty state's words are shown. */
    hello: false,
    /** Kept drafts by `keptKey`, newest last. @type {Map<string, Object>} */
    kept: new Map(),
    /** The last runs in this browser: {id, name, at, drafts, size}. */
    shelf: [],
    model: null,
    /** A change that should not be animated: scrubbing, theme, colour. */
    quick: true,
  };
}

/** Stands for a word that was told in a message which did not arrive. */
const MISSED = " …";

/** A run that begins: the same shape as a decoded trace, to which frames are added. */
function createLiveRun(status) {
  const seeds = status.seeds ?? [];
  return {
    id: status.run,
    name: "",
    source: "live",
    live: true,
    prompt: [{ role: "user", content: String(status.prompt ?? "") }],
    model: status.model ?? {},
    canvasLength: status.canvas_length,
    blocks: status.blocks ?? 1,
    steps: status.steps ?? 1,
    eosIds: new Set(status.eos_ids ?? []),
    ids: [],
    words: [],
    nextMessage: 0,
    startedAt: performance.now(),
    tracks: Array.from({ length: status.drafts ?? seeds.length }, (_, draft) => ({
      draft,
      seed: seeds[draft] ?? null,
      settings: status.settings ?? {},
      ended: "",
      text: null,
      stepsUsed: 0,
      parent: null,
      frames: [],
    })),
  };
}

/**
 * Adds a message's frames. A tab in the background may miss a message: its words are `MISSED` until the trace file
 * comes.
 * @returns {boolean} whether anything was added
 */
function addMessage(run, message) {
  if (message.seq < run.nextMessage || message.canvasLength !== run.canvasLength) return false;
  run.nextMessage = message.seq + 1;
  while (run.words.length < message.known) {
    run.ids.push(-1);
    run.words.push(MISSED);
  }
  for (const id of message.ids) run.ids.push(id);
  for (const word of message.words) run.words.push(String(word));
  for (const frame of message.read(run.words.length)) {
    const track = run.tracks[frame.draft];
    if (!track) continue;
    const before = track.frames[track.frames.length - 1];
    // A draft whose whole canvas was missed waits for the file: a text with a hole in it would be none.
    if (frame.block > (before?.block ?? 0) + (before ? 1 : 0)) continue;
    frame.seconds = (performance.now() - run.startedAt) / 1000;
    // Where frames piled up some were left out: steps count the passes all the same.
    track.stepsUsed += before?.block === frame.block ? frame.step - before.step : frame.step;
    track.frames.push(frame);
    track.ended = "";
  }
  run.version = (run.version ?? 0) + 1;
  return true;
}

/** No more frames come: what was received is all there is. @param {"stopped" | "failed" | "finished"} end why */
function closeRun(run, end) {
  run.live = false;
  run.failed = end === "failed";
  run.version = (run.version ?? 0) + 1;
  for (const track of run.tracks) {
    if (!track.frames.length) continue;
    const cut = end === "failed" ? "failed" : "stopped";
    track.ended ||= track.frames[track.frames.length - 1].ended === "" ? cut : endingOf(run, track);
    track.text ??= committedText(run, track);
  }
  run.tracks = run.tracks.filter((track) => track.frames.length);
}

function endingOf(run, track) {
  const last = track.frames[track.frames.length - 1];
  if (last.ended === "stopped") return "stopped";
  const { final, end } = trackStats(run, track);
  if (end < final.length) return "eos";
  return last.block === run.blocks - 1 ? "length" : "stopped";
}

/** The committed words up to the end of text. The file's own text is better where bytes make up a character. */
function committedText(run, track) {
  const { final, end } = trackStats(run, track);
  return Array.from(final.subarray(0, end), (word) => (word < 0 ? "" : run.words[word])).join("").trim();
}

/** The time axis and each draft's frame per slot, worked out once per change of the run. */
function axisOf(run) {
  if (run.axis && run.axisVersion === run.version) return run.axis;
  const axis = timeAxis(run);
  axis.frames = run.tracks.map((track) => framesBySlot(axis, track.frames));
  axis.newest = 0;
  axis.frames.forEach((shown, d) => {
    const last = run.tracks[d].frames[run.tracks[d].frames.length - 1];
    if (last) axis.newest = Math.max(axis.newest, axis.starts[last.block] + last.step);
  });
  axis.means = [];
  [run.axis, run.axisVersion] = [axis, run.version];
  return axis;
}

/** Means over all drafts at a slot. */
function meanAt(run, slot) {
  const axis = axisOf(run);
  return (axis.means[slot] ??= meanStats(run, axis.frames.map((shown) => shown[slot])));
}

/** The last slot that can be shown: while live, that of the newest frame. */
const lastSlot = (run) => (run.live ? axisOf(run).newest : axisOf(run).slots - 1);

/** Whether the visitor's run is on its way. */
const isBusy = ({ phase }) => phase === "running" || phase === "queued";

/** How undecided positions are drawn: far away as grain, close up as their tokens, unless told otherwise. */
const undecidedAs = (state) => (state.view === "focus" ? state.near : state.far);

/** Whether a draft has nothing more to come at a frame. */
function isDone(run, track, frameIndex) {
  const last = track.frames.length - 1;
  if (frameIndex < last || last < 0) return false;
  return run.live ? track.frames[last].ended !== "" && answerEnded(run, track) : true;
}

/** In a live run: whether a canvas that has ended was the answer's last. */
function answerEnded(run, track) {
  const last = track.frames[track.frames.length - 1];
  if (last.ended === "stopped") return true;
  const { final, end } = trackStats(run, track);
  return end < final.length || last.block >= run.blocks - 1;
}

const WHY = {
  stable: "stable",
  steps: "step cap",
  stopped: "stopped",
  eos: "end of text",
  length: "full length",
  failed: "failed",
};

/** Why a draft stopped, in words: how its last canvas ended, then how the answer did. @returns {string} */
function whyEnded(run, track) {
  const canvas = track.frames[track.frames.length - 1]?.ended ?? "";
  const answer = run.live ? endingOf(run, track) : track.ended;
  const words = [canvas === "stopped" ? "" : WHY[canvas], WHY[answer]];
  return words.filter(Boolean).join(", ") || "stopped";
}

/** The text of a draft as a person can use it, or null where none is written yet. @returns {string | null} */
const textOfTrack = (run, track) => (track.text ?? committedText(run, track)) || null;

/** Where the selected draft is in a run that takes the place of the one on screen. */
function draftIn(run, { run: before, draft }) {
  const seed = before?.id === run.id ? (before.tracks[draft]?.seed ?? null) : null;
  return seed === null ? draft : run.tracks.findIndex((track) => track.seed === seed);
}

/** By the seed: in a file a draft may stand elsewhere than in the run. */
const keptKey = (run, track) => `${run.id}/${track.seed ?? track.draft}`;

/** What was asked: the last message. */
const promptOf = (run) => run.prompt[run.prompt.length - 1]?.content ?? "";
