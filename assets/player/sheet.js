/* One draft's canvas as text. A token is a span as wide as its own text (its slot); noise is paint over it, never
   selectable, never read aloud.

   In replay the lines are those of the final text from the first step on; a slot that first held another word keeps
   that word's width until its correction. A live canvas is set by the compositor; best guesses flow as they like. */

class Sheet {
  /** @param {HTMLElement} host @param {{width: function(string): number}} ruler @param {boolean} big in focus */
  constructor(host, ruler, big) {
    Object.assign(this, { host, ruler, big, run: null, track: null });
    this.layout = new Layout(host, ruler);
    host.classList.add("canvas");
    host.classList.toggle("big", big);
    this.clear();
  }

  clear() {
    this.blocks = [];
    this.places = [];
    this.foldedAt = Infinity;
    this.hot = new Set();
    this.host.replaceChildren();
    this.relayout();
  }

  /** Fonts, size or texts changed. */
  relayout() {
    this.layout.forget();
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
    for (let k = 0; k < this.run.canvasLength; k++) {
      const place = makePlace(this.places.length);
      block.append(place.gap, place.span);
      this.places.push(place);
    }
    this.blocks.push({ element: block, next: "" });
    this.host.append(block);
  }

  /**
   * Draws the draft as it was after a frame (an index into its track; -1: not begun).
   * @param {number} index @param {Object} look {show, colour, dark, still, lastStep, fold}
   */
  paint(index, look) {
    const frame = this.track?.frames[index];
    if (!frame) {
      for (const place of this.places) place.write(CLASS.off, DOT, "", "", 0, "");
      return;
    }
    this.foldAt(look.fold ? this.fold : Infinity);
    this.turn();
    const view = this.viewOf(frame, index, look);
    this.host.classList.toggle("grainy", look.show === "grain" || (look.show === "guess" && !view.guess));
    this.blocks.forEach(({ element }, b) => {
      // The canvases before it stand by now: where the last of them ends, this one begins.
      const composed = view.composed && b === frame.block;
      if (composed) view.compositor = this.layout.composed(view, () => this.lineEnd(b));
      element.classList.toggle("composed", composed || (view.lines !== null && !view.lines.wide));
      element.hidden = this.run.live && b > frame.block;
      this.paintBlock(b, view);
    });
  }

  /** Lines begin where the text is read from. */
  turn() {
    const { run, track } = this;
    const stats = trackStats(run, track);
    // Live, nothing is final: the best guess is soon of the right script.
    const words = run.live ? (track.frames[track.frames.length - 1].best ?? []) : stats.final;
    stats.fromRight ??= readsFromRight(run, words);
    if ((this.host.dir === "rtl") !== stats.fromRight) this.host.dir = stats.fromRight ? "rtl" : "ltr";
  }

  /** All that a position's look depends on: what is looked at, and how. */
  viewOf(frame, index, look) {
    const { run, track, ruler, big } = this;
    const stats = trackStats(run, track);
    const committed = isCommitted(run, track, index);
    // Best guesses flow as they like.
    const guess = look.show === "guess" && frame.best !== null;
    const composed = run.live && !committed && !guess;
    const view = { ...look, run, track, ruler, big, frame, index, stats, committed, guess, composed, compositor: null, lines: null };
    if (!run.live && !guess) view.lines = this.layout.linesAt(view, this.places.length);
    return view;
  }

  paintBlock(b, view) {
    const length = this.run.canvasLength;
    const compositor = b === view.frame.block ? view.compositor : null;
    const end = Math.min(length, this.foldedAt - b * length);
    let tail = b ? this.blocks[b - 1].next : "";
    for (let k = 0, p = b * length; k < end; k++, p++) {
      const cell = cellAt(view, b, k, p);
      // A word's own blank says nothing behind a line break, and would indent its line.
      let lead = p ? (tail.endsWith("\n") && cell.lead === " " ? tail : tail + cell.lead) : "";
      if (view.lines?.starts[p] && !tail.includes("\n")) lead = "\n";
      if (compositor && p) lead = compositor.starts[k] ? "\n".repeat(compositor.breaks[k] || 1) : k ? cell.lead : lead;
      const pad = compositor?.fixed[k] ? compositor.holes[k] : cell.pad;
      this.places[p].write(cell.name, cell.text, lead, cell.noise, pad, cell.was);
      tail = cell.tail;
    }
    // What follows the last word stands before the next block's first.
    this.blocks[b].next = tail;
  }

  /** Where the last line of the block before ends, in em. */
  lineEnd(block) {
    const { em, padding } = this.layout.measured();
    const { span } = this.places[block * this.run.canvasLength - 1];
    const end = this.host.dir === "rtl" ? this.host.clientWidth - span.offsetLeft : span.offsetLeft + span.offsetWidth;
    return (end - padding) / em;
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

  /** Outlines positions. @param {number[]} positions */
  light(positions) {
    const next = new Set(positions.filter((p) => p >= 0 && p < this.places.length));
    for (const p of this.hot) if (!next.has(p)) this.places[p]?.span.removeAttribute("data-hot");
    for (const p of next) if (!this.hot.has(p)) this.places[p].span.setAttribute("data-hot", "");
    this.hot = next;
  }
}
