/* The bar under the wall: play, speed, and the step slider over the curves of the run. */

const SPEEDS = [["0.5", "½×"], ["1", "1×"], ["2", "2×"]];

class Transport {
  constructor({ act, sizes }) {
    this.sizes = sizes;
    this.play = button("Play", { act: () => act.play(), quiet: false });
    this.play.className = "play";
    this.playIcon = icon("play");
    this.play.append(this.playIcon);
    this.speed = segments("Speed", SPEEDS, (value) => act.speed(Number(value)));
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
    [this.ahead, this.past] = [new Layer(), new Layer()];
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
    this.drawPlay(state.playing || (run.live && state.follow));
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
    const slim = state.view === "focus";
    const key = [run.id, run.version, slim, ramps.ink[0], run.live].join("|");
    const layers = [this.ahead, this.past].map((layer, past) =>
      layer.drawn(key, [width, height], (context) => this.paintCurves(context, width, height, run, axis, ramps, slim, past === 1)),
    );
    const x = axis.slots > 1 ? (state.slot / (axis.slots - 1)) * width : 0;
    const scale = layers[0].width / width;
    const part = (layer, from, to) => {
      if (to > from) g.drawImage(layer, from * scale, 0, (to - from) * scale, layer.height, from, 0, to - from, height);
    };
    part(layers[1], 0, x);
    part(layers[0], x, width);
  }

  paintCurves(g, width, height, run, axis, ramps, slim, past) {
    const last = axis.slots - 1;
    const x = (slot) => (last ? (slot / last) * width : 0);
    const base = height - 8;
    const top = 6;
    const y = (share) => base - (base - top) * clamp(share, 0, 1);
    const view = { g, width, height, x, y, base, top, upto: lastSlot(run), ramps, past };
    drawTicks(view, axis);
    if (slim) {
      g.fillStyle = past ? ramps.ink2 : ramps.rule;
      g.fillRect(0, base - 1, width, 3);
    } else drawAreas(view, run);
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

/** Entropy as area, accepted share as line, block by block; what lies ahead of the playhead is paler. */
function drawAreas(view, run) {
  const { upto, width, ramps, past } = view;
  axisOf(run).starts.forEach((start, b, starts) => {
    drawBlockCurves(view, run, start, Math.min(upto, (starts[b + 1] ?? Infinity) - 1), ramps, past);
  });
  if (width > 420 && upto > 7) nameCurves(view, run);
}

function drawBlockCurves({ g, x, y, base }, run, from, to, ramps, past) {
  // Before the first pass there is no entropy: the area begins where the first is known.
  if (to > from) {
    g.beginPath();
    g.moveTo(x(from + 1), base);
    for (let slot = from + 1; slot <= to; slot++) g.lineTo(x(slot), y((meanAt(run, slot).entropy ?? 0) / NATS));
    g.lineTo(x(to), base);
    g.closePath();
    g.fillStyle = ramps.ink[past ? 2 : 0];
    g.globalAlpha = past ? 0.75 : 0.42;
    g.fill();
    g.globalAlpha = 1;
  }
  g.beginPath();
  for (let slot = from; slot <= to; slot++) g.lineTo(x(slot), y(meanAt(run, slot).accepted));
  g.strokeStyle = ramps.ink[past ? 14 : 7];
  g.lineWidth = past ? 2 : 1.25;
  g.stroke();
}

function nameCurves({ g, x, y, top, upto, ramps }, run) {
  g.font = `12px ${ramps.sans}`;
  // A halo, so that no line runs through a word.
  const name = (word, left, bottom) => {
    g.strokeText(word, left, bottom);
    g.fillText(word, left, bottom);
  };
  g.fillStyle = ramps.ink2;
  [g.strokeStyle, g.lineWidth, g.lineJoin] = [ramps.paper, 4, "round"];
  name("entropy", x(1) + 2, Math.max(top + 6, y((meanAt(run, 1).entropy ?? 0) / NATS) - 5));
  const at = Math.round(upto * 0.84);
  const share = meanAt(run, at).accepted;
  if (share < 0.6) return;
  g.textAlign = "right";
  name("accepted", x(at) + 4, y(share) + 15);
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
