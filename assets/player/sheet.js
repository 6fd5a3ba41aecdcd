/* One draft's canvas as text. A token is a span as wide as its own text (its slot); noise is paint over it, never
   selectable, never read aloud.

   In replay the lines are those of the final text from the first step on; a slot that first held another word keeps
   that word's width until its correction. A live canvas is set by the compositor; best guesses flow as they like. */

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

class Sheet {
  /** @param {HTMLElement} host @param {{width: function(string): number}} ruler @param {boolean} big in focus */
  constructor(host, ruler, big) {
    Object.assign(this, { host, ruler, big, run: null, track: null, hot: new Set() });
    host.classList.add("canvas");
    host.classList.toggle("big", big);
    this.clear();
  }

  clear() {
    this.blocks = [];
    this.places = [];
    this.foldedAt = Infinity;
    this.host.replaceChildren();
    this.relayout();
  }

  /** Fonts, size or texts changed: whatever was measured is forgotten. */
  relayout() {
    this.compositor = null;
    this.size = null;
    this.final = this.between = null;
    this.unfold();
  }

  /** Show another draft (or a draft that grew by a block). */
  bind(run, track) {
    if (this.run !== run || this.track !== track) this.clear();
    [this.run, this.track] = [run, track];
    const blocks = 1 + (track.frames[track.frames.length - 1]?.block ?? 0);
    while (this.blocks.length < blocks) this.addBlock();
  }

  addBlock() {
    const block = el("span", "block");
    const length = this.run.canvasLength;
    for (let k = 0; k < length; k++) {
      const place = makePlace(this.places.length);
      block.append(place.gap, place.span);
      this.places.push(place);
    }
    this.blocks.push({ element: block, next: "" });
    this.host.append(block);
  }

  /**
   * Draws the draft as it was after a frame (an index into its track; -1: not begun).
   * @param {number} index @param {Object} look {show, colour, dark, still, lastSteps, fold}
   */
  paint(index, look) {
    const frame = this.track?.frames[index];
    if (!frame) return this.blank();
    const stats = trackStats(this.run, this.track);
    const committed = isCommitted(this.run, this.track, index);
    const composed = this.run.live && !committed && !(look.show === "guess" && frame.best);
    const fold = look.fold ? this.fold : Infinity;
    this.foldAt(fold);
    const lines = this.run.live || (look.show === "guess" && frame.best) ? null : this.linesAt(index, stats);
    const view = { ...look, lines, fold, index, frame, stats, committed, composed, guess: look.show === "guess" && frame.best !== null };
    this.host.classList.toggle("grainy", look.show === "grain" || (look.show === "guess" && !view.guess));
    const length = this.run.canvasLength;
    for (let b = 0; b < this.blocks.length; b++) {
      // The canvases before it stand by now: where the last of them ends, this one begins.
      if (composed && b === frame.block) this.compose(view);
      const element = this.blocks[b].element;
      element.classList.toggle("composed", (lines !== null && !lines.wide) || (composed && b === frame.block));
      element.hidden = this.run.live && b > frame.block;
      this.paintBlock(b, b * length, length, view);
    }
  }

  blank() {
    for (const place of this.places) place.write(CLASS.off, DOT, "", "", 0, "");
  }

  /** What lies under the card's edge is neither drawn nor laid out: the fold is the first such position. */
  findFold() {
    const limit = this.host.clientHeight + 2 * parseFloat(getComputedStyle(this.host).lineHeight);
    let [low, high] = [0, this.places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.places[middle].span.offsetTop > limit) high = middle;
      else low = middle + 1;
    }
    this.fold = low;
  }

  unfold() {
    this.fold = Infinity;
    this.foldAt(Infinity);
  }

  foldAt(fold) {
    if (this.foldedAt === fold) return;
    this.foldedAt = fold;
    this.places.forEach((place, p) => place.hide(p >= fold));
  }

  paintBlock(b, first, length, view) {
    const { frame, stats, composed } = view;
    const compositor = composed && b === frame.block ? this.compositor : null;
    let tail = b ? this.blocks[b - 1].next : "";
    for (let k = 0; k < length; k++) {
      const p = first + k;
      if (p >= view.fold) break;
      const cell = this.cell(b, k, p, view);
      let lead = p ? tail + cell.lead : "";
      if (view.lines?.starts[p] && !tail.includes("\n")) lead = "\n";
      if (compositor && p) lead = compositor.starts[k] ? "\n".repeat(compositor.breaks[k] || 1) : k ? cell.lead : lead;
      const pad = compositor?.fixed[k] ? compositor.holes[k] : cell.pad;
      this.places[p].write(cell.name, cell.text, lead, cell.noise, pad, cell.was);
      tail = cell.tail;
    }
    // What follows the last word stands before the next block's first.
    this.blocks[b].next = tail;
  }

  /** What stands at a position; the one object is used again for each. */
  cell(b, k, p, view) {
    const { frame, stats, committed, guess } = view;
    CELL.text = DOT;
    CELL.name = CELL.lead = CELL.tail = CELL.noise = CELL.was = "";
    CELL.pad = 0;
    CELL.width = END_NOISE_WIDTH;
    CELL.end = false;
    if (b > frame.block) {
      CELL.name = CLASS.off;
      return this.slotOf(p, view.index, stats, CELL);
    }
    const past = b < frame.block || committed;
    if (past) return this.word(stats.final[p], p, KEPT_INK, b, view, k);
    if (frame.accepted?.[k]) return this.word(guess ? frame.best[k] : frame.canvas[k], p, KEPT_INK, b, view, k);
    if (guess) return this.word(frame.best[k], p, GUESS_INK, b, view, k);
    return this.noise(k, p, view);
  }

  word(index, p, floor, b, view, k) {
    const { frame, stats } = view;
    const facts = wordFacts(this.run, index);
    CELL.tail = facts.tail;
    CELL.lead = facts.lead;
    if (facts.end || p > stats.end) {
      CELL.lead = p === stats.end ? " " : "";
      CELL.tail = "";
      CELL.text = DOT;
      CELL.name = CLASS.end;
    } else if (!facts.core) {
      CELL.text = DOT;
      CELL.name = CLASS.off;
    } else {
      CELL.text = facts.core;
      CELL.name = this.colour(index, p, floor, b, view, k) + (facts.bidi ? " bidi" : "");
    }
    return CELL;
  }

  colour(index, p, floor, b, view, k) {
    const { stats, index: now } = view;
    const kept = floor === KEPT_INK;
    const frame = b === view.frame.block ? view.frame : this.lastOf(b);
    const plain = () => CLASS.ink[inkOf(frame.confidence[k], floor)];
    if (view.colour === "confidence" || !kept) return plain();
    if (view.colour === "entropy") return CLASS.ink[inkOfEntropy(frame.entropy[k], floor)];
    if (view.colour === "settled") return CLASS.band[bandOfStep(stats.settled[p], view.lastSteps[b])];
    if (view.colour === "rank") {
      const band = bandOfRank(rankOf(frame, k, index));
      return band < 0 ? CLASS.ink[LEVELS - 1] : CLASS.band[band];
    }
    if (view.colour === "revisions") {
      const past = (stats.byPosition.get(p) ?? []).filter((event) => event.frame <= now);
      if (past.length && this.big) CELL.was = spoken(this.run, past[past.length - 1].was);
      return CLASS.revised[Math.min(2, past.length)];
    }
    return CLASS.ink[LEVELS - 1];
  }

  lastOf(block) {
    const frames = this.track.frames;
    let k = frames.length - 1;
    while (frames[k].block > block) k--;
    return frames[k];
  }

  /** A slot's width and surroundings are those of the word that comes into it. */
  slotOf(p, index, stats, cell) {
    const coming = stats.byPosition.get(p)?.find((event) => event.frame > index);
    const word = coming ? coming.was : stats.final[p];
    if (word < 0) {
      // Stopped before its first pass: nothing will ever come here.
      [cell.lead, cell.width, cell.pad] = [" ", SLOT, SLOT - this.ruler.width(DOT)];
      return cell;
    }
    const facts = wordFacts(this.run, word);
    const end = facts.end || p > stats.end;
    cell.lead = end ? (p === stats.end ? " " : "") : facts.lead;
    cell.tail = end ? "" : facts.tail;
    cell.text = end ? DOT : facts.core || DOT;
    cell.width = end ? END_NOISE_WIDTH : this.ruler.width(cell.text);
    cell.end = end;
    return cell;
  }

  /** The final text's lines, and where words stand for a while that are not final, what becomes of them. */
  linesAt(index, stats) {
    this.size ??= this.measure();
    this.final ??= this.finalLines(this.slots(Infinity, stats));
    if (!stats.revisions.some((event) => event.frame > index)) return this.final;
    if (this.between?.index === index) return this.between;
    const slots = this.slots(index, stats);
    const starts = breakLines(slots, this.size.measure, this.final.starts);
    this.between = { ...this.final, index, starts, slots };
    return this.between;
  }

  /** `wide`: a word longer than a line is left to the browser to break. */
  finalLines(slots) {
    const { measure } = this.size;
    return { starts: breakLines(slots, measure, null), slots: null, wide: slots.some((slot) => slot.width > measure) };
  }

  /** What each position takes up at a frame. */
  slots(index, stats) {
    const gap = this.ruler.width(" ");
    const frame = this.track.frames[Math.min(index, this.track.frames.length - 1)];
    const from = frame.block * this.run.canvasLength;
    const open = (p) => p >= from && !frame.accepted?.[p - from];
    let tail = "";
    return this.places.map((_, p) => {
      const slot = this.slotOf(p, index, stats, { text: DOT, lead: "", tail: "", pad: 0, width: END_NOISE_WIDTH, end: false });
      const breaks = tail.split("\n").length - 1;
      const lead = (tail + slot.lead).length * gap;
      tail = slot.tail;
      return { width: slot.width, full: slot.width, lead, breaks, can: slot.lead !== "" || slot.end, glue: open(p) };
    });
  }

  /** A slot that gave some of its width to its line. */
  narrowed(p, view, cell) {
    const slot = view.lines?.slots?.[p];
    if (!slot || slot.width === slot.full) return;
    [cell.text, cell.width, cell.pad] = [DOT, slot.width, slot.width - this.ruler.width(DOT)];
  }

  noise(k, p, view) {
    const { frame, index, stats, composed } = view;
    const sure = frame.confidence ? frame.confidence[k] : 0;
    if (composed) {
      CELL.lead = " ";
      CELL.width = Math.max(0.3, this.compositor.widths[k] - this.compositor.gap);
      CELL.pad = CELL.width - this.ruler.width(DOT);
    } else this.narrowed(p, view, this.slotOf(p, index, stats, CELL));
    const jitter = (p * 7 + this.track.draft * 3) % 3;
    const names = CELL.end ? CLASS.endNoise : CLASS.noise;
    // A third of the grain changes per step; none where motion is unwelcome.
    const seed = p * 131 + (view.still ? 0 : Math.floor((frame.step + (p % 3)) / 3));
    if (view.show !== "tokens") {
      CELL.noise = grain(seed, CELL.width, sure < 0.16 ? 0 : sure < 0.4 ? 1 : 2);
      CELL.name = names[Math.min(10, (this.big ? 7 : 5) + jitter + Math.round(sure * 6))];
    } else {
      CELL.noise = fitted(wordFacts(this.run, frame.canvas[k]).core, p * 131, CELL.width);
      const ink = this.big ? (view.dark ? 6 : 8) + Math.round(sure * 2) : 2 + jitter + Math.round(sure * 4);
      CELL.name = names[this.big ? ink : Math.min(7, ink)];
    }
    return CELL;
  }

  /** Brings the compositor to a frame: it goes through a block's frames in their order, once. */
  compose(view) {
    const { frame, index } = view;
    this.size ??= this.measure();
    const stale = !this.compositor || this.composedBlock !== frame.block || this.composedTo > index;
    if (stale) {
      const gap = this.ruler.width(" ");
      const left = frame.block ? this.size.measure - this.lineEnd(frame.block) : 0;
      this.compositor = new Compositor(this.run.canvasLength, this.size.measure, gap, left);
      [this.composedBlock, this.composedTo] = [frame.block, index - frame.step - 1];
      while (this.composedTo >= 0 && this.track.frames[this.composedTo].block === frame.block) this.composedTo--;
    }
    for (let k = Math.max(0, this.composedTo + 1); k <= index; k++) this.land(this.track.frames[k], frame.block);
    this.composedTo = index;
  }

  land(frame, block) {
    if (frame.block !== block) return;
    for (let k = 0; k < frame.canvas.length; k++) {
      if (!frame.accepted?.[k]) {
        if (this.compositor.fixed[k]) this.compositor.release(k);
        continue;
      }
      const facts = wordFacts(this.run, frame.canvas[k]);
      const { breaks, joins, end } = facts;
      const width = end || !facts.core ? 0 : this.ruler.width(facts.core);
      this.compositor.accept(k, { width, lead: facts.lead !== "", breaks, joins, end });
    }
  }

  measure() {
    const style = getComputedStyle(this.host);
    const inner = this.host.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    return { em: parseFloat(style.fontSize), measure: inner / parseFloat(style.fontSize) - 0.1 };
  }

  /** Where the last line of the block before ends, in em. */
  lineEnd(block) {
    const before = this.places[block * this.run.canvasLength - 1]?.span;
    if (!before) return 0;
    const padding = parseFloat(getComputedStyle(this.host).paddingLeft);
    return (before.offsetLeft + before.offsetWidth - padding) / this.size.em;
  }

  /** Outlines positions. @param {number[]} positions */
  light(positions) {
    const next = new Set(positions.filter((p) => p >= 0 && p < this.places.length));
    for (const p of this.hot) if (!next.has(p)) this.places[p]?.span.removeAttribute("data-hot");
    for (const p of next) if (!this.hot.has(p)) this.places[p].span.setAttribute("data-hot", "");
    this.hot = next;
  }
}

const CELL = { name: "", text: DOT, lead: "", tail: "", noise: "", pad: 0, was: "", width: END_NOISE_WIDTH, end: false };

/** A position's nodes, and what was last written to them: a write that changes nothing is not made. */
function makePlace(p) {
  const gap = document.createTextNode("");
  const text = document.createTextNode(DOT);
  const paint = document.createTextNode("");
  const layer = el("i", "", paint);
  layer.setAttribute("aria-hidden", "true");
  const span = el("span", "t off", text, layer);
  span.dataset.p = p;
  const was = { name: "t off", text: DOT, lead: "", noise: "", pad: 0, was: "" };
  const write = (name, word, lead, noise, pad, earlier) => {
    if (was.name !== name) span.className = was.name = name;
    if (was.text !== word) text.data = was.text = word;
    if (was.lead !== lead) gap.data = was.lead = lead;
    // Noise that a word has covered stays as it is: it fades out under it.
    if (noise && was.noise !== noise) paint.data = was.noise = noise;
    if (Math.abs(was.pad - pad) > 0.004) {
      was.pad = pad;
      span.style.paddingRight = pad > 0.004 ? `${pad.toFixed(2)}em` : "";
    }
    if (was.was !== earlier) {
      was.was = earlier;
      if (earlier) span.dataset.was = earlier;
      else delete span.dataset.was;
    }
  };
  const hide = (hidden) => {
    if (span.hidden === hidden) return;
    span.hidden = hidden;
    if (hidden) gap.data = was.lead = "";
  };
  return { gap, span, write, hide };
}
