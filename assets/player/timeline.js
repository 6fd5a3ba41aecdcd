/* The timeline of one draft: accepted share, mean entropy, revisions, on the same axis as the heatmap. */

class Timeline {
  constructor({ sizes }) {
    this.sizes = sizes;
    this.canvas = el("canvas", "time");
    this.canvas.setAttribute("aria-hidden", "true");
    this.layer = new Layer();
    this.accepted = el("span");
    this.entropy = el("span");
    this.label = el("div", "ylab", el("b", "", "Timeline"), this.accepted, this.entropy);
  }

  draw(state, ramps) {
    const { run, draft } = state;
    const axis = axisOf(run);
    const track = run.tracks[draft];
    const frame = track.frames[axis.frames[draft][state.slot]];
    const now = frame ? frameStats(frame) : { accepted: 0, entropy: null };
    setText(this.accepted, frame ? `${percent(now.accepted)} accepted` : "not begun");
    setText(this.entropy, now.entropy === null ? "no guess yet" : `${now.entropy.toFixed(2)} nats`);
    const [g, width, height] = fitCanvas(this.canvas, this.sizes);
    if (!width || axis.slots < 2) return;
    const x = (slot) => (slot / (axis.slots - 1)) * width;
    const base = height - 14;
    const key = [run.id, run.version, draft, ramps.ink[0]].join("|");
    const layer = this.layer.drawn(key, [width, height], (context) => this.paint({ g: context, width, base, x, ramps }, run, track, axis));
    g.drawImage(layer, 0, 0, width, height);
    drawPlayhead(g, x(state.slot), base, ramps);
  }

  paint(view, run, track, axis) {
    const { g, width, base, ramps } = view;
    g.fillStyle = ramps.rule;
    g.fillRect(0, base, width, 1);
    this.drawLine(view, track, axis, (stats) => (stats.entropy === null ? null : stats.entropy / NATS), ramps.ink[5], 1.5);
    this.drawLine(view, track, axis, (stats) => stats.accepted, ramps.ink[14], 2);
    this.drawRevisions(view, run, track, axis);
    this.drawScale(view, axis);
  }

  drawLine({ g, x, base }, track, axis, value, colour, thickness) {
    g.beginPath();
    let block = -1;
    for (const frame of track.frames) {
      const share = value(frameStats(frame));
      if (share === null) continue;
      const at = [x(slotOfFrame(axis, frame)), base - (base - 4) * clamp(share, 0, 1)];
      // A new block begins a new line.
      if (frame.block === block) g.lineTo(...at);
      else g.moveTo(...at);
      block = frame.block;
    }
    g.strokeStyle = colour;
    g.lineWidth = thickness;
    g.stroke();
  }

  drawRevisions({ g, x, base, ramps }, run, track, axis) {
    const perSlot = new Map();
    for (const event of trackStats(run, track).revisions) {
      const slot = slotOfFrame(axis, track.frames[event.frame]);
      perSlot.set(slot, (perSlot.get(slot) ?? 0) + 1);
    }
    g.fillStyle = ramps.red;
    for (const [slot, count] of perSlot) {
      const tall = Math.min(base - 6, 6 * count);
      g.fillRect(x(slot) - 1.5, base - tall, 3, tall);
    }
  }

  drawScale({ g, width, x, base, ramps }, axis) {
    g.fillStyle = ramps.ink3;
    g.font = `11px ${ramps.sans}`;
    axis.starts.forEach((start, b) => {
      const every = axis.lengths[b] > 24 ? 10 : 5;
      for (let step = 0; step < axis.lengths[b]; step += every) {
        const text = String(step);
        const at = x(start + step);
        g.textAlign = at < 8 ? "left" : at > width - 8 ? "right" : "center";
        g.fillText(text, at, base + 12);
      }
    });
    g.textAlign = "left";
  }
}
