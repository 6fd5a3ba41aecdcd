/* The heatmap: positions × steps, each cell in the ink of its confidence. A cell of step 0 has no guess and no colour. */

class Heatmap {
  constructor({ act, sizes }) {
    this.sizes = sizes;
    this.canvas = el("canvas", "heat");
    this.canvas.setAttribute("aria-hidden", "true");
    this.cells = document.createElement("canvas");
    this.layer = new Layer();
    this.element = el("div", "heatbox", this.canvas);
    this.canvas.addEventListener("click", (event) => act.goTo(...this.cellAt(event)));
    this.canvas.addEventListener("pointermove", (event) => act.hoverAt(this.cellAt(event)[1]));
    this.canvas.addEventListener("pointerleave", () => act.hoverAt(-1));
  }

  /** @returns {[number, number]} slot and position under the pointer */
  cellAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const { slots, positions } = this.shape ?? { slots: 1, positions: 1 };
    const slot = Math.round(((event.clientX - box.left) / box.width) * (slots - 1));
    const position = Math.floor(((event.clientY - box.top) / box.height) * positions);
    return [clamp(slot, 0, slots - 1), clamp(position, 0, positions - 1)];
  }

  draw(state, ramps) {
    const { run, draft } = state;
    const axis = axisOf(run);
    const track = run.tracks[draft];
    const [g, width, height] = fitCanvas(this.canvas, this.sizes);
    if (!width || axis.slots < 2) return;
    const last = track.frames[track.frames.length - 1];
    const blocks = last ? last.block + 1 : 1;
    const positions = blocks * run.canvasLength;
    this.shape = { slots: axis.slots, positions };
    this.drawCells(run, track, axis, positions, ramps);
    const cell = width / (axis.slots - 1);
    const end = last ? slotOfFrame(axis, last) : 0;
    const key = [run.id, run.version, draft, run.live, ramps.ink[0]].join("|");
    const layer = this.layer.drawn(key, [width, height], (context) => {
      const view = { g: context, width, height, cell, row: height / positions, ramps };
      this.drawMap(view, axis, positions, state.dark);
      this.drawRevisions(view, run, track, axis);
      this.drawEnd(view, run, track, end, axis);
    });
    g.drawImage(layer, 0, 0, width, height);
    this.drawMarks({ g, width, height, cell, row: height / positions, ramps }, state, end);
  }

  drawMap({ g, height, cell }, axis, positions, dark) {
    g.imageSmoothingEnabled = false;
    // In the dark a finished draft must not glare.
    g.globalAlpha = dark ? 0.82 : 1;
    g.drawImage(this.cells, 0, 0, axis.slots, positions, -cell / 2, 0, axis.slots * cell, height);
    g.globalAlpha = 1;
  }

  /** One pixel per cell, kept between steps: only a run that grew or a change of theme redraws it. */
  drawCells(run, track, axis, positions, ramps) {
    const key = `${run.id}|${run.version}|${track.draft}|${axis.slots}|${positions}|${ramps.ink[0]}`;
    if (this.cellsKey === key) return;
    this.cellsKey = key;
    this.cells.width = axis.slots;
    this.cells.height = positions;
    const context = this.cells.getContext("2d");
    const image = context.createImageData(axis.slots, positions);
    const pixels = new Uint32Array(image.data.buffer);
    for (const frame of track.frames) {
      if (!frame.confidence) continue;
      const slot = slotOfFrame(axis, frame);
      const from = frame.block * run.canvasLength;
      for (let k = 0; k < frame.confidence.length; k++) pixels[(from + k) * axis.slots + slot] = ramps.pixels[level(frame.confidence[k])];
    }
    context.putImageData(image, 0, 0);
  }

  drawRevisions({ g, cell, row, ramps }, run, track, axis) {
    g.fillStyle = ramps.red;
    for (const event of trackStats(run, track).revisions) {
      g.beginPath();
      g.arc(slotOfFrame(axis, track.frames[event.frame]) * cell, (event.position + 0.5) * row, 2.4, 0, 7);
      g.fill();
    }
  }

  drawEnd({ g, width, cell, ramps }, run, track, slot, axis) {
    const x = (slot + 0.5) * cell + 8;
    if (run.live || slot >= axis.slots - 1 || x > width - 50) return;
    g.fillStyle = ramps.ink3;
    g.font = `11px ${ramps.sans}`;
    g.fillText(["stopped", "failed"].includes(track.ended) ? track.ended : "finished", x, 14);
  }

  /** The rows of what is hovered and held, and the playhead. */
  drawMarks({ g, width, height, cell, row, ramps }, state, lastSlotOfTrack) {
    const right = Math.min(width, (lastSlotOfTrack + 0.5) * cell);
    g.fillStyle = ramps.red;
    for (const p of new Set([state.hover?.position ?? -1, state.position])) {
      if (p < 0) continue;
      const y = p * row;
      g.fillRect(0, y - 1, right, 1);
      g.fillRect(0, y + row, right, 1);
      g.beginPath();
      g.moveTo(right + 2, y + row / 2);
      g.lineTo(right + 9, y + row / 2 - 5);
      g.lineTo(right + 9, y + row / 2 + 5);
      g.fill();
    }
    drawPlayhead(g, state.slot * cell, height, ramps);
  }
}

/** The one red line through heatmap, timeline and slider. */
function drawPlayhead(g, x, height, ramps) {
  g.fillStyle = ramps.red;
  g.fillRect(x - 1, 0, 2, height);
}
