/* A draft on the wall: head, canvas, foot. Its box never changes its size. */

class Card {
  /** @param {number} draft @param {Object} deps {act, ruler} */
  constructor(draft, { act, ruler }) {
    this.draft = draft;
    this.seed = el("span", "seed");
    this.share = el("span", "share");
    this.star = button(`Keep draft ${draft + 1}`, { icon: "star", act: () => act.keep(draft) });
    this.star.classList.add("dg-star");
    this.nums = el("span", "nums");
    this.strip = el("canvas", "strip");
    this.strip.setAttribute("aria-hidden", "true");
    this.stop = button(`Stop draft ${draft + 1}`, { icon: "stop", act: () => act.stopDraft(draft) });
    const acts = el(
      "div",
      "acts",
      button(`Copy draft ${draft + 1}`, { icon: "copy", act: (event) => act.copy(draft, event.currentTarget) }),
      button(`Open draft ${draft + 1}`, { icon: "open", act: () => act.open(draft) }),
      this.stop,
    );
    const body = el("div");
    this.sheet = new Sheet(body, ruler, false);
    this.element = el(
      "div",
      "card",
      el("div", "card-head", el("span", "n", String(draft + 1)), this.seed, this.share, this.star),
      body,
      el("div", "card-foot", el("div", "stats", this.nums, this.strip), acts),
    );
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "group");
    this.element.dataset.draft = draft;
    this.element.addEventListener("click", () => act.open(draft));
    this.element.addEventListener("focus", () => act.select(draft));
    body.addEventListener("pointerover", (event) => act.hover(draft, event));
    body.addEventListener("pointerleave", () => act.hover(-1));
  }

  /** @param {Object} state @param {number} index the frame of this draft @param {Object} look see `Sheet.paint` */
  draw(state, index, look, ramps) {
    const { run } = state;
    const track = run.tracks[this.draft];
    this.sheet.bind(run, track);
    // The selected card scrolls, so its text goes on under the edge.
    this.sheet.paint(index, { ...look, fold: look.show !== "guess" && state.draft !== this.draft && !state.whole });
    const layout = [run.id, run.live && track.frames[index]?.block, run.live && isCommitted(run, track, index), look.show === "guess"].join("|");
    if (this.layout !== layout) [this.layout, this.grown] = [layout, true];
    this.drawWords(state, run, track, index);
    this.drawStrip(run, track, index, ramps, state);
  }

  drawWords(state, run, track, index) {
    const frame = track.frames[index];
    const done = isDone(run, track, index);
    const accepted = frame ? frameStats(frame).accepted : 0;
    const open = frame ? Math.round((1 - accepted) * run.canvasLength) : run.canvasLength;
    setText(this.seed, track.seed === null ? "" : `seed ${track.seed}`);
    setText(this.share, done || !frame ? "" : percent(isCommitted(run, track, index) ? 1 : accepted));
    let words = done ? `${many(track.stepsUsed, "step")} · ${whyEnded(run, track)}` : `${open} undecided`;
    if (!frame) words = "waits for its turn";
    else if (!done && isCommitted(run, track, index)) words = `block ${frame.block + 1} settled`;
    setText(this.nums, words);
    const share = done ? "finished" : frame ? `${percent(accepted)} settled` : "waiting";
    setAttribute(this.element, "aria-label", `Draft ${this.draft + 1}, ${share}`);
    const kept = state.kept.has(keptKey(run, track));
    this.element.classList.toggle("kept", kept);
    this.element.classList.toggle("sel", state.draft === this.draft);
    setAttribute(this.star, "aria-pressed", kept);
    this.stop.hidden = !run.live || isDone(run, track, track.frames.length - 1);
  }

  /** One column per position: a hair while undecided, full and in its ink when kept, faint behind the end. */
  drawStrip(run, track, index, ramps, state) {
    const frame = track.frames[index];
    const length = run.canvasLength;
    const width = this.sheet.places.length || length;
    const height = 14;
    if (this.strip.width !== width) this.strip.width = width;
    if (this.strip.height !== height) this.strip.height = height;
    const context = this.strip.getContext("2d");
    const image = context.createImageData(width, height);
    if (frame) {
      const pixels = new Uint32Array(image.data.buffer);
      const { end } = trackStats(run, track);
      const committed = isCommitted(run, track, index);
      for (let p = 0; p < width; p++) {
        const block = Math.floor(p / length);
        if (block > frame.block) break;
        const kept = block < frame.block || committed || frame.accepted?.[p % length];
        const sure = block < frame.block ? 1 : (frame.confidence?.[p % length] ?? 0);
        const tall = kept ? 3 : 1;
        let colour = kept ? ramps.pixels[Math.max(7, level(sure))] : ramps.pale[Math.min(6, Math.round(sure * 8))];
        if (kept && p > end) colour = ramps.faint;
        for (let y = height / 2 - tall; y < height / 2 + tall; y++) pixels[y * width + p] = colour;
      }
      const lit = state.hover?.draft === this.draft ? state.hover.position : -1;
      if (lit >= 0) for (let y = 0; y < height; y++) pixels[y * width + lit] = ramps.accent;
    }
    context.putImageData(image, 0, 0);
  }

  takeGrown() {
    const { grown } = this;
    this.grown = false;
    return grown;
  }

  /** After a change of layout: whether there is more text than the card shows. */
  checkOverflow() {
    const { host } = this.sheet;
    // The fade brings a padding of its own.
    this.element.classList.remove("more");
    const more = host.scrollHeight > host.clientHeight + 4;
    this.element.classList.toggle("more", more);
    if (more) this.sheet.findFold();
  }
}
