/* The empty state: a recorded run that explains itself. Every sentence is found in the trace, none is written for it:
   a run without a lost word does not speak of one. */

const READABLE = /^\p{L}{2,}$/u;
/** Slots between two sentences, so that each can be read. */
const BREATH = 3;

/**
 * What happens when, in slots of the time axis.
 * @returns {{slot: number, draft: number, positions: number[], sentence: string}[]}
 */
function helloEvents(run) {
  if (run.hello) return run.hello;
  const axis = axisOf(run);
  const events = [
    { slot: 0, draft: -1, positions: [], sentence: "Pure noise: every position of every draft holds a random token." },
  ];
  const after = () => events[events.length - 1].slot + BREATH;
  const add = (event) => event && events.push(event);
  add(firstAccepted(run, axis));
  add(firstOf(run, axis, after(), "lost", lostSentence));
  add(firstOf(run, axis, after(), "revisions", revisedSentence));
  add(firstSettled(run, axis, after()));
  const stable = run.tracks.filter((track) => track.frames[track.frames.length - 1].ended === "stable").length;
  const settled = `${stable === run.tracks.length ? "All" : stable} of ${run.tracks.length} drafts stopped by themselves`;
  const end = stable ? `${settled}: their best guess no longer changed.` : "The end: every canvas is its best guess.";
  events.push({ slot: axis.slots - 1, draft: -1, positions: [], sentence: end });
  return (run.hello = events.sort((a, b) => a.slot - b.slot));
}

/** The sentence for the slot on screen. */
function helloAt(state) {
  const events = helloEvents(state.run).filter((event) => event.slot <= state.slot);
  return events[events.length - 1];
}

function slotOfFrame(axis, frame) {
  return axis.starts[frame.block] + frame.step;
}

function firstAccepted(run, axis) {
  let found = null;
  for (const track of run.tracks) {
    const frame = track.frames.find((one) => one.accepted?.includes(1));
    if (!frame) continue;
    const positions = [...frame.accepted.keys()].filter((p) => frame.accepted[p]);
    const words = positions.map((p) => spoken(run, frame.canvas[p])).filter((word) => READABLE.test(word));
    const slot = slotOfFrame(axis, frame);
    if (found && (slot > found.slot || (slot === found.slot && words.length <= found.words.length))) continue;
    found = { slot, draft: track.draft, positions: positions.map((p) => p + frame.block * run.canvasLength), words };
  }
  if (!found) return null;
  const few = [...new Set(found.words)].slice(0, 3).map((word) => `“${word}”`);
  const what = few.length ? few.join(", ") : many(found.positions.length, "position");
  return { ...found, sentence: `Step ${found.slot}: the model is sure of the first words and keeps them: ${what}, in draft ${found.draft + 1}.` };
}

/** The first lost or revised position whose words can be read. */
function firstOf(run, axis, from, kind, sentence) {
  let best = null;
  for (const track of run.tracks) {
    for (const event of trackStats(run, track)[kind]) {
      const slot = slotOfFrame(axis, track.frames[event.frame]);
      if (slot < from || (best && slot >= best.slot)) continue;
      const words = sentence(run, track, event);
      if (words) best = { slot, draft: track.draft, positions: [event.position], sentence: `Step ${slot}: ${words}` };
    }
  }
  return best;
}

function lostSentence(run, track, event) {
  const word = spoken(run, track.frames[event.frame - 1].canvas[event.position % run.canvasLength]);
  return READABLE.test(word) ? `“${word}” in draft ${track.draft + 1} is given back to noise.` : null;
}

function revisedSentence(run, track, event) {
  const [was, now] = [spoken(run, event.was), spoken(run, event.now)];
  if (!READABLE.test(was) || !READABLE.test(now)) return null;
  return `draft ${track.draft + 1} changes its mind: “${was}” becomes “${now}”.`;
}

function firstSettled(run, axis, from) {
  let best = null;
  for (const track of run.tracks) {
    const last = track.frames[track.frames.length - 1];
    const slot = slotOfFrame(axis, last);
    if (last.ended !== "stable" || slot < from || slot > axis.slots - 1 - BREATH || (best && slot >= best.slot)) continue;
    best = { slot, draft: track.draft, positions: [], sentence: `Step ${slot}: draft ${track.draft + 1} is the first to settle.` };
  }
  return best;
}

/** The panel over the recorded run: four stages of a word, and what happens now. */
class Hello {
  constructor({ act }) {
    this.sentence = el("p", "now");
    const stage = (name, text, word) => el("div", "", el("span", name, text), el("small", "", word));
    const key = el(
      "div",
      "hello-key",
      stage("k-grain", grain(3, 2.2, 0), "noise"),
      stage("k-noise", "sorrel", "seen close"),
      stage("k-maybe", "ferry", "perhaps"),
      stage("k-sure", "ferry", "sure"),
    );
    key.setAttribute("aria-hidden", "true");
    const close = button("Close", { icon: "close", act: () => act.closeHello() });
    close.classList.add("dg-close");
    this.element = el("section", "hello", key, el("div", "hello-words", el("h2", "", "Text that develops like a photograph"), this.sentence), close);
    this.element.setAttribute("aria-label", "What you see");
  }

  draw(state) {
    this.element.hidden = !(state.hello && state.run && state.view === "wall");
    if (!this.element.hidden) setText(this.sentence, helloAt(state).sentence);
  }
}
