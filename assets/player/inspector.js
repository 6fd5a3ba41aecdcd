/* The inspector: one position's word, its rivals at this step and its story through the steps. */

const STORY_NOISE = 4;

class Inspector {
  constructor() {
    this.element = el("aside", "insp");
    this.element.setAttribute("aria-label", "Token");
    this.element.tabIndex = 0;
  }

  draw(state) {
    const { run, draft } = state;
    const track = run.tracks[draft];
    const index = axisOf(run).frames[draft][state.slot];
    const position = state.peek >= 0 ? state.peek : state.position;
    const key = [run.id, run.version, draft, index, position, state.position === position].join("|");
    if (key === this.key) return;
    this.key = key;
    const parts = position < 0 ? hintParts() : wordParts(run, track, index, position);
    this.element.replaceChildren(...parts);
  }
}

function hintParts() {
  return [el("h2", "", "Token"), el("p", "state", "Point at a word to see its rivals and its story through the steps; click to hold it. The keys , and . walk from word to word.")];
}

function wordParts(run, track, index, position) {
  const frame = track.frames[index];
  const length = run.canvasLength;
  const block = Math.floor(position / length);
  const k = position % length;
  const { final } = trackStats(run, track);
  const begun = frame && block <= frame.block;
  const settled = final[position] ?? -1;
  const shown = settled >= 0 ? settled : begun ? (frame.best ?? frame.canvas)[k] : -1;
  const title = el("h2", "", shown < 0 ? "…" : shownWord(run, shown), el("small", "", `position ${position}`));
  if (!begun) return [title, el("p", "state", "This block has not begun.")];
  const at = block < frame.block ? lastFrameOf(track, block) : frame;
  const state = el("p", "state", ...sentenceAbout(run, track, at, k, block < frame.block || isCommitted(run, track, index)));
  return [title, state, ...rivalParts(run, at, k), storyPart(run, track, position, frame)];
}

/** A word with everything in it visible. */
function shownWord(run, index) {
  const facts = wordFacts(run, index);
  if (facts.end) return el("span", "ws", "end of text");
  const word = el("bdi");
  for (const char of run.words[index]) {
    const seen = visible(char);
    word.append(seen === char ? char : el("span", "ws", seen));
  }
  const byte = visible(run.words[index]);
  if (byte.startsWith("0x")) word.replaceChildren(byte);
  return word;
}

function sentenceAbout(run, track, frame, k, committed) {
  const random = () => el("code", "", shownWord(run, frame.canvas[k]));
  if (!frame.best) return ["Before the first step the canvas holds the random token ", random(), ". There is no guess yet."];
  const sure = [el("b", "", percent(frame.confidence[k])), ` sure, ${frame.entropy[k].toFixed(2)} nats.`];
  if (committed) return ["This canvas has ended with ", el("b", "", shownWord(run, frame.best[k])), ", ", ...sure];
  if (frame.accepted[k]) return ["At this step it is kept as ", el("b", "", shownWord(run, frame.canvas[k])), ", ", ...sure];
  const best = el("b", "", shownWord(run, frame.best[k]));
  return ["At this step the canvas holds the random token ", random(), ". The best guess is ", best, ", ", ...sure];
}

function rivalParts(run, frame, k) {
  const title = el("h3", "", "Rivals at this step");
  const say = (words) => [title, el("p", "quiet-words", words)];
  if (!frame.best) return say("None before the first step.");
  if (!frame.rivals) return say(run.live ? "They come with the finished run." : "The run's file, which holds them, did not arrive.");
  const at = frame.rivals.at[k];
  if (at < 0) return say(`None worth keeping: the model is ${percent(frame.confidence[k])} sure.`);
  const rows = [0, 1, 2, 3, 4].map((n) => {
    const prob = frame.rivals.probs[at + n];
    const bar = el("i");
    bar.style.setProperty("--w", `${100 * prob}%`);
    return el("div", n ? "riv" : "riv first", el("q", "", shownWord(run, frame.rivals.words[at + n])), bar, el("span", "", prob < 0.01 ? "< 1 %" : percent(prob)));
  });
  return [title, ...rows];
}

/** Runs of steps with the same kept word, or with noise. */
function storyOf(run, track, position) {
  const runs = [];
  const block = Math.floor(position / run.canvasLength);
  const k = position % run.canvasLength;
  track.frames.forEach((frame, index) => {
    if (frame.block !== block) return;
    const committed = isCommitted(run, track, index);
    const kept = committed ? frame.best[k] : frame.accepted?.[k] ? frame.canvas[k] : -1;
    const last = runs[runs.length - 1];
    if (last && last.word === kept) {
      last.to = frame.step;
      if (kept < 0) last.noise.push(frame.canvas[k]);
    } else runs.push({ word: kept, from: frame.step, to: frame.step, noise: kept < 0 ? [frame.canvas[k]] : [] });
  });
  return runs;
}

function storyPart(run, track, position, now) {
  const runs = storyOf(run, track, position);
  const block = Math.floor(position / run.canvasLength);
  const list = el("ol");
  runs.forEach((part, n) => {
    const steps = n === runs.length - 1 ? `from ${part.from}` : part.from === part.to ? `step ${part.from}` : `${part.from}–${part.to}`;
    const said = el("q");
    if (part.word >= 0) said.append(shownWord(run, part.word));
    else {
      part.noise.slice(0, STORY_NOISE).forEach((word, k) => said.append(k ? " " : "", shownWord(run, word)));
      if (part.noise.length > STORY_NOISE) said.append(" …");
    }
    const here = block === now.block && now.step >= part.from && (now.step <= part.to || n === runs.length - 1);
    list.append(el("li", `${part.word < 0 ? "noise" : ""} ${here ? "now" : ""}`.trim(), el("span", "", steps), said));
  });
  return el("div", "story", el("h3", "", "Its story"), list);
}
