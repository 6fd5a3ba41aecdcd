/* The bar over the wall: what is going on, how it is coloured, how what is undecided is drawn. */

const COLOURS = [
  ["confidence", "confidence"],
  ["entropy", "entropy"],
  ["settled", "settled step"],
  ["revisions", "revisions"],
  ["rank", "rank"],
  ["none", "none"],
];
const SHOWS = [
  ["grain", "grain"],
  ["tokens", "tokens"],
  ["guess", "best guess"],
];

class Bar {
  constructor({ act }) {
    this.progress = el("p", "progress");
    this.asked = el("p", "asked");
    this.download = button("Download this run as a file", { icon: "download", text: "Download", act: () => act.download() });
    this.runs = button("Runs in this browser, and files", { icon: "runs", text: "Runs", act: () => act.openShelf("runs") });
    this.keptCount = el("span", "count");
    this.kept = button("Kept drafts", { icon: "star", text: "Kept", act: () => act.openShelf("kept") });
    this.kept.classList.add("dg-kept");
    this.kept.append(this.keptCount);
    this.help = button("Keys", { text: "?", act: () => act.help() });
    this.colour = segments("Colour by", COLOURS, (value) => act.colour(value));
    this.show = segments("Undecided as", SHOWS, (value) => act.show(value));
    this.legend = el("div", "legend");
    this.whole = button("Show whole texts", { icon: "whole", act: () => act.whole() });
    this.status = el("p", "dg-unseen");
    this.status.setAttribute("role", "status");
    this.element = el(
      "div",
      "bar",
      el("div", "bar-top", this.progress, this.asked, el("div", "bar-nav", this.download, this.runs, this.kept, this.help)),
      el(
        "div",
        "tools",
        el("span", "lab", "Colour by"),
        this.colour.element,
        this.legend,
        el("span", "lab push", "Undecided as"),
        this.show.element,
        this.whole,
      ),
      this.status,
    );
  }

  draw(state, ramps) {
    this.drawProgress(state);
    // An opened or restored run may be of another prompt than the one in the box.
    setText(this.asked, state.run && !state.hello && !state.run.live ? `“${promptOf(state.run)}”` : "");
    this.colour.mark(state.colour);
    this.show.mark(undecidedAs(state));
    setAttribute(this.whole, "aria-pressed", state.whole);
    this.whole.hidden = state.view === "focus";
    setText(this.keptCount, state.kept.size ? String(state.kept.size) : "");
    this.download.hidden = !state.run?.file || state.run.source === "example";
    const axis = state.run ? axisOf(state.run) : null;
    const key = `${state.colour}|${state.dark}|${axis ? Math.max(...axis.lengths) : 0}`;
    if (key !== this.legendKey) this.drawLegend(state.colour, axis, ramps);
    this.legendKey = key;
  }

  drawProgress(state) {
    const parts = progressOf(state, performance.now());
    const key = parts.flat().join("|");
    if (key !== this.progressKey) {
      this.progress.replaceChildren(...parts.map(([figure, words]) => el("span", "", el("b", "", figure), words ? ` ${words}` : "")));
    }
    this.progressKey = key;
    this.progress.classList.toggle("alarm", state.alarm && state.sentence !== "");
  }

  drawLegend(colour, axis, ramps) {
    const ramp = (colours) => {
      const bar = el("span", "ramp");
      for (const value of colours) {
        const step = el("i");
        step.style.background = value;
        bar.append(step);
      }
      return bar;
    };
    const chip = (word, name) => el("span", "chip", el("span", name, word));
    const last = axis ? Math.max(...axis.lengths) - 1 : 0;
    const legends = {
      confidence: ["unsure", ramp(ramps.ink), "sure"],
      entropy: [`${NATS} nats`, ramp(ramps.ink), "0"],
      settled: ["step 1", ramp(ramps.band), `step ${last}`],
      revisions: [chip("as written", "t"), chip("changed once", "t rev"), chip("more often", "t rev2")],
      rank: ["likeliest", ramp(["transparent", ...ramps.band.slice(2)]), "unlikely"],
      none: [],
    };
    this.legend.replaceChildren(...legends[colour]);
  }

  /** The one thing a screen reader is told: at start, stop and end, and what a key has done. */
  say(sentence) {
    setText(this.status, sentence);
  }
}

/** The progress line as figures and words. @returns {[string, string][]} */
function progressOf(state, now) {
  if (state.phase === "loading") return [["Loading", state.sentence]];
  const parts = figuresOf(state, now);
  return state.sentence ? [...parts, ["", state.sentence]] : parts;
}

function figuresOf(state, now) {
  const { run, phase, coming } = state;
  if (phase === "queued") return queueWords(state.queue);
  if (coming) return [["Denoising", many(coming.tracks.length, "draft")], ["", "the first step is on its way"]];
  if (!run) return phase === "failed" ? [["Failed.", ""]] : [["No run yet.", "Write a prompt and press Generate."]];
  const axis = axisOf(run);
  const { block, step } = whereIs(axis, state.slot);
  const mean = shownMean(state);
  const undecided = [String(mean.undecided), `of ${mean.positions} positions undecided`];
  const place = [
    [`block ${block + 1}`, `of ${run.live ? run.blocks : axis.starts.length}`],
    [`step ${step}`, `of ${axis.lengths[block] - 1}${run.live ? " at most" : ""}`],
  ];
  if (run.live) return [["Denoising", ""], ...place, ...speedWords(run, (now - run.startedAt) / 1000), undecided];
  if (state.slot < axis.slots - 1) return [[state.hello ? "A recorded run" : "Replay", ""], ...place, undecided];
  return endWords(state, run, axis);
}

function queueWords(queue) {
  const wait = queue.seconds === null || queue.seconds === undefined ? "" : `about ${Math.ceil(queue.seconds)} s`;
  return [["Waiting", queue.place ? `${many(queue.place, "run")} before yours` : "yours is next"], ...(wait ? [[wait, "to go"]] : [])];
}

/** Tokens a second counts committed positions; the time of a pass is shared by all drafts in it. */
function speedWords(run, seconds) {
  const words = [[`${seconds.toFixed(1)} s`, ""]];
  const passes = run.tracks.reduce((sum, track) => sum + track.stepsUsed, 0);
  const tokens = run.tracks.reduce((sum, track) => sum + decidedTokens(run, track), 0);
  if (tokens && seconds > 0.2) words.push([String(Math.round(tokens / seconds)), "tok/s"]);
  if (passes && seconds > 0) words.push([`${smallNumber((1000 * seconds) / passes)} ms`, "per step and draft"]);
  return words;
}

const smallNumber = (value) => (value < 10 ? value.toFixed(1) : String(Math.round(value)));

/** Tokens of the text, without the end-of-text tokens that fill a canvas: they are sure at once and nobody reads them. */
function decidedTokens(run, track) {
  const last = track.frames[track.frames.length - 1];
  if (!last) return 0;
  if (isCommitted(run, track, track.frames.length - 1)) return trackStats(run, track).end;
  const accepted = [...(last.accepted ?? [])].filter((kept, k) => kept && !wordFacts(run, last.canvas[k]).end);
  return last.block * run.canvasLength + accepted.length;
}

function endWords(state, run, axis) {
  const seconds = run.tracks.reduce((most, track) => Math.max(most, track.frames[track.frames.length - 1].seconds ?? 0), 0);
  const blocks = axis.starts.length > 1 ? [[String(axis.starts.length), "blocks"]] : [];
  const speed = seconds > 0 ? speedWords(run, seconds) : [];
  return [headWords(state, run), [String(run.tracks.length), run.tracks.length === 1 ? "draft" : "drafts"], ...blocks, ...speed];
}

function headWords({ phase }, run) {
  if (run.failed || run.tracks.some((track) => track.ended === "failed")) return ["Failed.", "What had arrived stays"];
  if (phase === "failed") return ["Failed.", "The drafts before it stay"];
  const stopped = phase === "stopped" || run.tracks.some((track) => track.ended === "stopped");
  return stopped ? ["Stopped.", "Every finished step stays replayable"] : ["Finished", ""];
}
