/* The bar under the wall: play, speed, and the step slider over the curves of the run. */

class Transport {
  constructor({ act, sizes }) {
    this.sizes = sizes;
    this.play = button("Play", { act: () => act.play(), quiet: false });
    this.play.className = "play";
    this.playIcon = icon("play");
    this.play.append(this.playIcon);
    this.speed = segments("Speed", [["0.5", "½×"], ["1", "1×"], ["2", "2×"]], (value) => act.speed(Number(value)));
    this.speed.element.classList.add("mini");
    this.curves = el("canvas");
    this.curves.setAttribute("aria-hidden", "true");
    this.head = el("div", "t-head", el("span"));
    this.head.setAttribute("aria-hidden", "true");
    this.slider = el("input");
    Object.assign(this.slider, { type: "range", min: "0", step: "1", value: "0" });
    this.slider.setAttribute("aria-label", "Step");
    this.slider.addEventListener("input", () => act.go(Number(this.slider.value), true));
    this.marks = el("div", "t-ends");
    this.marks.setAttribute("aria-hidden", "true");
    this.figure = el("b");
    this.under = el("span");
    this.element = el(
      "div",
      "transport",
      el("div", "t-left", this.play, this.speed.element),
      el("div", "t-track", this.curves, this.head, this.slider, this.marks),
      el("div", "t-right", this.figure, this.under),
    );
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "Replay");
  }

  draw(state, ramps) {
    const { run } = state;
    this.element.hidden = !run;
    if (!run) return;
    const axis = axisOf(run);
    const last = axis.slots - 1;
    if (this.slider.max !== String(last)) this.slider.max = last;
    if (this.slider.value !== String(state.slot)) this.slider.value = state.slot;
    this.head.style.left = `${last ? (100 * state.slot) / last : 0}%`;
    this.drawPlay(state.playing);
    this.speed.mark(state.speed);
    this.drawFigures(state, run, axis);
    this.drawMarks(state, run, axis);
    this.drawCurves(state, run, axis, ramps);
  }

  drawPlay(playing) {
    if (this.wasPlaying === playing) return;
    this.wasPlaying = playing;
    drawIcon(this.playIcon, playing ? "pause" : "play");
    setAttribute(this.play, "aria-label", playing ? "Pause" : "Play");
    this.play.title = playing ? "Pause" : "Play";
  }

  drawFigures(state, run, axis) {
    const { block, step } = whereIs(axis, state.slot);
    const most = axis.lengths[block] - 1;
    const mean = shownMean(state);
    this.figure.replaceChildren(String(step), el("small", "", ` / ${most}`));
    const following = run.live && state.follow;
    setText(this.under, following ? "live" : `step, block ${block + 1}`);
    this.under.className = following ? "live-tag" : "";
    setAttribute(this.slider, "aria-valuetext", `block ${block + 1}, step ${step}, ${percent(mean.accepted)} settled`);
  }

  /** Words under the track: noise, where blocks begin, text. */
  drawMarks(state, run, axis) {
    const end = run.live ? `step ${axis.lengths[axis.lengths.length - 1] - 1} at most` : "text";
    const key = `${axis.starts}|${axis.slots}|${end}`;
    if (this.marksKey === key) return;
    this.marksKey = key;
    const blocks = axis.starts.slice(1).map((start, k) => {
      const mark = el("span", "t-mid", `block ${k + 2}`);
      mark.style.left = `${(100 * start) / (axis.slots - 1)}%`;
      return mark;
    });
    this.marks.replaceChildren(el("span", "", "noise"), ...(blocks.length < 4 ? blocks : []), el("span", "t-last", end));
  }

  drawCurves(state, run, axis, ramps) {
    const [g, width, height] = fitCanvas(this.curves, this.sizes);
    if (!width) return;
    const last = axis.slots - 1;
    const x = (slot) => (last ? (slot / last) * width : 0);
    const slim = state.view === "focus";
    const base = height - 8;
    const view = { g, width, height, x, base, top: 6, upto: lastSlot(run), now: state.slot, slim, ramps };
    drawTicks(view, axis);
    if (slim) drawRail(view);
    else drawAreas(view, run);
    drawBlockRules(view, axis, ramps);
  }

  relayout() {
    this.marksKey = null;
  }
}

function drawTicks({ g, x, base, ramps }, axis) {
  g.fillStyle = ramps.rule;
  axis.starts.forEach((start, b) => {
    for (let step = 0; step < axis.lengths[b]; step++) g.fillRect(x(start + step) - 0.5, base + 1, 1, step % 5 ? 2 : 4);
  });
}

function drawRail({ g, x, width, base, now, ramps }) {
  g.fillStyle = ramps.rule;
  g.fillRect(0, base - 1, width, 3);
  g.fillStyle = ramps.ink2;
  g.fillRect(0, base - 1, x(now), 3);
}

/** Entropy as area, accepted share as line; what lies ahead of the playhead is paler. */
function drawAreas({ g, width, height, x, base, top, upto, now, ramps }, run) {
  const y = (share) => base - (base - top) * clamp(share, 0, 1);
  // Before the first pass there is no entropy: the area begins where the first is known.
  const entropies = [];
  for (let slot = 0; slot <= upto; slot++) {
    const { entropy } = meanAt(run, slot);
    if (entropy !== null) entropies.push([slot, entropy / NATS]);
  }
  for (const past of [true, false]) {
    g.save();
    g.beginPath();
    if (past) g.rect(0, 0, x(now), height);
    else g.rect(x(now), 0, width, height);
    g.clip();
    if (entropies.length) {
      g.beginPath();
      g.moveTo(x(entropies[0][0]), base);
      for (const [slot, share] of entropies) g.lineTo(x(slot), y(share));
      g.lineTo(x(entropies[entropies.length - 1][0]), base);
      g.closePath();
      g.fillStyle = ramps.ink[past ? 2 : 0];
      g.globalAlpha = past ? 0.75 : 0.42;
      g.fill();
    }
    g.globalAlpha = 1;
    g.beginPath();
    for (let slot = 0; slot <= upto; slot++) g.lineTo(x(slot), y(meanAt(run, slot).accepted));
    g.strokeStyle = ramps.ink[past ? 14 : 7];
    g.lineWidth = past ? 2 : 1.25;
    g.stroke();
    g.restore();
  }
  if (width > 420 && upto > 7 && entropies.length) nameCurves({ g, x, y, upto, ramps }, run, entropies);
}

function nameCurves({ g, x, y, upto, ramps }, run, entropies) {
  g.font = `12px ${ramps.sans}`;
  g.fillStyle = ramps.ink2;
  const [slot, share] = entropies[0];
  g.fillText("entropy", x(slot) + 6, Math.max(14, y(share) + 14));
  const at = Math.round(upto * 0.62);
  g.textAlign = "right";
  g.fillText("accepted", x(at) + 4, y(meanAt(run, at).accepted) + 15);
  g.textAlign = "left";
}

/** A dashed rule where a block begins. */
function drawBlockRules({ g, x, base }, axis, ramps) {
  g.strokeStyle = ramps.ink3;
  g.lineWidth = 1;
  g.setLineDash([2, 3]);
  for (const start of axis.starts.slice(1)) {
    g.beginPath();
    g.moveTo(x(start - 0.5), 0);
    g.lineTo(x(start - 0.5), base + 5);
    g.stroke();
  }
  g.setLineDash([]);
}

/** Over all drafts on the wall, over one in focus. */
function shownMean(state) {
  const { run, draft } = state;
  if (state.view !== "focus" || draft < 0) return meanAt(run, state.slot);
  const only = axisOf(run).frames.map((shown, d) => (d === draft ? shown[state.slot] : -1));
  return meanStats(run, only);
}
