/* How a sheet's words are set in lines: by the final text's lines in replay, by the compositor while a run is live.
   Widths are in em; the host's size is read once per layout. */

class Layout {
  /** @param {HTMLElement} host the sheet's element @param {{width: function(string): number}} ruler */
  constructor(host, ruler) {
    Object.assign(this, { host, ruler });
    this.forget();
  }

  /** Fonts, size or texts changed: whatever was measured is forgotten. */
  forget() {
    this.size = this.final = this.between = this.compositor = null;
  }

  /**
   * The final text's lines, and where words stand for a while that are not final, what becomes of them.
   * @param {Object} view see `Sheet.viewOf` @param {number} count positions
   * @returns {{starts: Uint8Array, slots: Object[] | null, wide: boolean}} `wide`: the browser breaks a word longer
   *   than a line
   */
  linesAt(view, count) {
    const { index, stats } = view;
    const { measure } = this.measured();
    if (!this.final) {
      const slots = this.slots({ ...view, index: Infinity }, count);
      const wide = slots.some((slot) => slot.width > measure);
      this.final = { starts: breakLines(slots, measure, null), slots: null, wide };
    }
    if (!stats.revisions.some((event) => event.frame > index)) return this.final;
    if (this.between?.index === index) return this.between;
    const slots = this.slots(view, count);
    return (this.between = { ...this.final, index, starts: breakLines(slots, measure, this.final.starts), slots });
  }

  /** What each position takes up at a frame. */
  slots(view, count) {
    const { run, track, index } = view;
    const gap = this.ruler.width(" ");
    const frame = track.frames[Math.min(index, track.frames.length - 1)];
    const from = frame.block * run.canvasLength;
    const cell = newCell();
    let tail = "";
    return Array.from({ length: count }, (_, p) => {
      slotInto(Object.assign(cell, { text: DOT, lead: "", tail: "", pad: 0, width: END_NOISE_WIDTH, end: false }), view, p);
      const { width } = cell;
      const breaks = tail.split("\n").length - 1;
      const lead = (tail + cell.lead).length * gap;
      tail = cell.tail;
      return { width, full: width, lead, breaks, can: cell.lead !== "" || cell.end, glue: p >= from && !frame.accepted?.[p - from] };
    });
  }

  /**
   * The compositor, brought to a frame: it goes through a block's frames in their order, once.
   * @param {function(): number} lineEnd where the block before ends on its line, in em @returns {Compositor}
   */
  composed({ run, track, frame, index }, lineEnd) {
    const { measure } = this.measured();
    if (!this.compositor || this.block !== frame.block || this.to > index) {
      const left = frame.block ? measure - lineEnd() : 0;
      this.compositor = new Compositor(run.canvasLength, measure, this.ruler.width(" "), left);
      this.block = frame.block;
      this.to = track.frames.findIndex((one) => one.block === frame.block) - 1;
    }
    while (this.to < index) this.land(run, track.frames[++this.to]);
    return this.compositor;
  }

  /** A frame's accepted words take their places; what was given back to noise leaves its own. */
  land(run, frame) {
    for (let k = 0; k < frame.canvas.length; k++) {
      if (!frame.accepted?.[k]) {
        if (this.compositor.fixed[k]) this.compositor.release(k);
        continue;
      }
      const { core, lead, breaks, joins, end } = wordFacts(run, frame.canvas[k]);
      const width = end || !core ? 0 : this.ruler.width(core);
      this.compositor.accept(k, { width, lead: lead !== "", breaks, joins, end });
    }
  }

  /** @returns {{em: number, padding: number, measure: number}} px, px, and a line's width in em */
  measured() {
    if (this.size) return this.size;
    const style = getComputedStyle(this.host);
    const em = parseFloat(style.fontSize);
    const padding = parseFloat(style.paddingLeft);
    const inner = this.host.clientWidth - padding - parseFloat(style.paddingRight);
    return (this.size = { em, padding, measure: inner / em - 0.1 });
  }
}
