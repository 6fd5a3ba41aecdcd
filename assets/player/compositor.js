/* Where lines break, so that words hold still. Pure; all widths in em.

   Replay knows the final text: `breakLines` keeps the final text's lines, whatever words stand in them for a while.

   Live, nobody knows the final words, hence the `Compositor`.

   There, lines are kept too. An undecided slot is glue: when a word lands, the nearest undecided slots of its line give or take
   the difference, so that words already there stay put. Only a line without glue hands its last word down. */

const SLOT = 2.35;
const THINNEST = 1;
const WIDEST = 5.5;
/** A word narrower than its slot, in a line without glue, may leave this much of a hole rather than move the rest. */
const HOLE = 1.2;
/** What words that stand for a while may hang over a line's end: less than the card's padding. */
const HANG = 0.5;

/**
 * Fills lines with words. A line that a final text has is kept, whatever words stand in it for a while: undecided
 * slots give what they can, a little may hang over; only then does the last word go down, until the words come back.
 * @param {{width: number, lead: number, breaks: number, can: boolean, glue: boolean}[]} words in order; `lead` is the
 *   blank before a word, `breaks` the line breaks before it, `can` whether a line may begin with it. Widths of slots
 *   that give are changed in place.
 * @param {number} measure @param {Uint8Array | null} final where the final text's lines begin
 * @returns {Uint8Array} 1 where a line begins that no line break in the text opens
 */
function breakLines(words, measure, final) {
  const starts = new Uint8Array(words.length);
  const edge = final ? measure + HANG : measure;
  let [x, begin, carried] = [0, 0, false];
  for (let p = 0, next = 0; p < words.length; p = next) {
    let width = words[p].width;
    for (next = p + 1; next < words.length && !words[next].can && !words[next].breaks; next++) width += words[next].width;
    if (words[p].breaks || !p) {
      [x, begin, carried] = [width, p, false];
      continue;
    }
    const own = final !== null && final[p] === 1;
    const need = x + words[p].lead + width - edge;
    const opens = own && !carried;
    const given = !opens && final && need > 0 ? takeGlue(words, begin, next, need) : 0;
    const over = need - given > 0.001;
    if (over || opens) {
      starts[p] = 1;
      [x, begin, carried] = [width, p, over && !own && final !== null];
    } else {
      x += words[p].lead + width - given;
      if (own) carried = false;
    }
  }
  return starts;
}

/** Narrows the undecided slots of a line, all or nothing. @returns {number} what was given */
function takeGlue(words, from, to, need) {
  const room = (word) => (word.glue ? Math.max(0, word.width - THINNEST) : 0);
  let left = 0;
  for (let q = from; q < to; q++) left += room(words[q]);
  if (left < need) return 0;
  left = need;
  for (let q = to - 1; q >= from && left > 0; q--) {
    const taken = Math.min(left, room(words[q]));
    words[q].width -= taken;
    left -= taken;
  }
  return need;
}

/** What an accepted end of text and a line break take up. */
const END_WIDTH = 0.36;
const BREAK_WIDTH = 0.2;

class Compositor {
  /**
   * @param {number} length positions
   * @param {number} measure a line's width
   * @param {number} gap a space's width
   * @param {number} left what is left of the line on which the canvas begins; 0 begins a line
   */
  constructor(length, measure, gap, left = 0) {
    const continues = left > SLOT + gap;
    Object.assign(this, { length, measure, gap, first: continues ? left : measure });
    /** Each position's width, its leading space included. */
    this.widths = new Float32Array(length).fill(SLOT + gap);
    /** 1 where a line begins. */
    this.starts = new Uint8Array(length);
    /** How many line breaks stand before a position because an accepted word ends in them. */
    this.breaks = new Uint8Array(length);
    this.fixed = new Uint8Array(length);
    /** The hole behind a word, part of its width. */
    this.holes = new Float32Array(length);
    let x = 0;
    let room = this.first;
    for (let p = 0; p < length; p++) {
      if (p && x + this.widths[p] > room) {
        this.starts[p] = 1;
        x = 0;
        room = measure;
      }
      x += this.widths[p];
    }
    if (length && !continues) this.starts[0] = 1;
  }

  /** The line of a position: [first, after last). */
  line(p) {
    let from = p;
    let to = p + 1;
    while (from > 0 && !this.starts[from]) from--;
    while (to < this.length && !this.starts[to]) to++;
    return [from, to];
  }

  lineWidth(from, to) {
    let sum = 0;
    for (let p = from; p < to; p++) sum += this.widths[p];
    return sum;
  }

  room(from) {
    return from ? this.measure : this.first;
  }

  /** A position is undecided again: its slot keeps its width and becomes glue. */
  release(p) {
    this.fixed[p] = 0;
    this.holes[p] = 0;
    if (p + 1 < this.length) this.breaks[p + 1] = 0;
  }

  /** @param {{width: number, lead: boolean, breaks: number, joins: boolean, end: boolean}} word */
  accept(p, word) {
    const next = p + 1 < this.length ? p + 1 : -1;
    if (next >= 0) {
      this.breaks[next] = word.breaks;
      if (word.breaks) this.starts[next] = 1;
    }
    if (word.end || (word.breaks && !word.width)) {
      this.holes[p] = 0;
      this.widths[p] = word.end ? END_WIDTH : BREAK_WIDTH;
      this.fixed[p] = 1;
      return;
    }
    if (word.joins) this.keepTogether(p);
    const advance = word.width + (word.lead && !this.starts[p] ? this.gap : 0);
    if (Math.abs(advance + this.holes[p] - this.widths[p]) > 0.01) this.place(p, advance);
    else this.fixed[p] = 1;
  }

  /** No line begins with a comma, or with the second half of a word. */
  keepTogether(p) {
    const free = p > 1 && this.starts[p] && !this.breaks[p] && !this.starts[p - 1] && !this.fixed[p - 1];
    if (!free) return;
    this.starts[p] = 0;
    this.starts[p - 1] = 1;
    this.settle(p - 1);
  }

  place(p, advance) {
    const [from, to] = this.line(p);
    const nearest = [];
    for (let k = 1; k < to - from; k++) {
      if (p + k < to) nearest.push(p + k);
      if (p - k >= from) nearest.push(p - k);
    }
    const left = this.give(nearest, advance - this.widths[p]);
    this.holes[p] = clamp(-left, 0, HOLE);
    this.widths[p] = advance + this.holes[p];
    this.fixed[p] = 1;
    if (left > 0) this.settle(p);
  }

  /** Glue gives (need > 0) or takes, holes give; what they could not is returned. */
  give(order, need) {
    for (const q of order) {
      if (Math.abs(need) < 0.005) break;
      const width = this.widths[q] - this.gap;
      let room = Math.max(0, need > 0 ? width - THINNEST : WIDEST - width);
      if (this.fixed[q]) room = need > 0 ? this.holes[q] : 0;
      const taken = Math.min(Math.abs(need), room) * Math.sign(need);
      if (this.fixed[q]) this.holes[q] -= taken;
      this.widths[q] -= taken;
      need -= taken;
    }
    return need;
  }

  /** The line of p may be too long: its glue shrinks, then it hands its last words down. */
  settle(p) {
    for (let tries = 0; tries < 40; tries++) {
      const [from, to] = this.line(p);
      const over = this.lineWidth(from, to) - this.room(from);
      if (over <= 0.01) return;
      const glue = Array.from({ length: to - from }, (_, k) => to - 1 - k);
      if (this.give(glue, over) <= HANG) return;
      const last = to - 1;
      if (last <= from) return;
      if (to < this.length && !this.breaks[to]) this.starts[to] = 0;
      this.starts[last] = 1;
      if (p < last) this.settle(last);
    }
  }
}
