/* The wall: a card per draft, all at the same slot of the time axis. */

class Wall {
  constructor(deps) {
    this.deps = deps;
    this.cards = [];
    this.element = el("section", "wall");
    this.element.setAttribute("aria-label", "Drafts");
    this.tip = el("div", "tip");
    this.tip.setAttribute("aria-hidden", "true");
    this.tip.hidden = true;
  }

  draw(state, ramps) {
    const { run } = state;
    this.element.classList.toggle("whole", state.whole);
    setAttribute(this.element, "aria-busy", state.phase === "running");
    const count = run ? run.tracks.length : 0;
    while (this.cards.length > count) this.cards.pop().element.remove();
    while (this.cards.length < count) {
      const card = new Card(this.cards.length, this.deps);
      this.cards.push(card);
      this.element.append(card.element);
    }
    if (!run) return;
    const axis = axisOf(run);
    const look = lookOf(state);
    this.cards.forEach((card, d) => card.draw(state, axis.frames[d][state.slot], look, ramps));
    for (const card of this.cards) card.sheet.light(this.litIn(state, card.draft));
    this.drawTip(state);
  }

  litIn(state, draft) {
    const event = state.hello ? helloAt(state) : null;
    return event && event.draft === draft && state.slot < event.slot + BREATH ? event.positions : [];
  }

  /** What the pointer is on, at full contrast. */
  drawTip(state) {
    const { hover, run } = state;
    const card = hover && this.cards[hover.draft];
    const track = card && run.tracks[hover.draft];
    const index = track ? axisOf(run).frames[hover.draft][state.slot] : -1;
    const sentence = track ? describe(run, track, index, hover.position) : null;
    this.tip.hidden = !sentence;
    if (!sentence) return;
    this.tip.replaceChildren(el("q", "", sentence.word), ` ${sentence.short}`);
    const box = card.sheet.places[hover.position].span.getBoundingClientRect();
    const home = this.element.parentElement.getBoundingClientRect();
    this.tip.style.left = `${clamp(box.left - home.left, 4, Math.max(4, home.width - 264))}px`;
    this.tip.style.top = `${box.top - home.top - 5}px`;
  }

  /** Whether a card's text has got another layout since the last question. */
  takeGrown() {
    return this.cards.map((card) => card.takeGrown()).includes(true);
  }

  relayout() {
    for (const card of this.cards) card.sheet.relayout();
  }

  /** The cards are drawn unfolded by now: sizes are read, then folds are set. */
  checkOverflow() {
    for (const card of this.cards) card.checkOverflow();
  }

  unfold() {
    for (const card of this.cards) card.sheet.unfold();
  }
}

/** How sheets are painted now. */
function lookOf(state) {
  return {
    show: undecidedAs(state),
    colour: state.colour,
    dark: state.dark,
    still: state.still,
    lastStep: Math.max(...axisOf(state.run).lengths) - 1,
  };
}

/**
 * A position at a frame, in words.
 * @returns {{word: string, short: string} | null}
 */
function describe(run, track, index, position) {
  const frame = track.frames[index];
  const length = run.canvasLength;
  const block = Math.floor(position / length);
  if (!frame || position < 0 || block > frame.block) return null;
  const stats = trackStats(run, track);
  const k = position % length;
  if (block < frame.block || isCommitted(run, track, index)) {
    const last = block < frame.block ? null : frame.confidence[k];
    const sure = last === null ? "" : `${percent(last)} sure, `;
    return { word: spoken(run, stats.final[position]), short: `${sure}settled at step ${stats.settled[position]}` };
  }
  if (!frame.best) return { word: spoken(run, frame.canvas[k]), short: "random token, no guess yet" };
  const sure = percent(frame.confidence[k]);
  if (frame.accepted[k]) return { word: spoken(run, frame.canvas[k]), short: `${sure} sure, kept` };
  const best = spoken(run, frame.best[k]);
  return { word: spoken(run, frame.canvas[k]), short: `random token. Best guess “${best}”, ${sure} sure` };
}
