/* Focus: one draft large. Text and inspector above, heatmap and timeline below on the slider's axis. */

const LONG_TEXT = 130;

class Focus {
  constructor(deps) {
    const { act, ruler, canAsk } = deps;
    this.act = act;
    this.picker = el("div", "f-pick");
    this.picker.setAttribute("role", "group");
    this.picker.setAttribute("aria-label", "Draft");
    const back = button("Back to the wall", { icon: "back", text: "Wall", act: () => act.close() });
    this.keep = button("Keep this draft", { icon: "star", text: "Keep", act: () => act.keep(this.draft) });
    this.keep.classList.add("dg-star");
    this.copy = button("Copy the text", { icon: "copy", text: "Copy", act: (event) => act.copy(this.draft, event.currentTarget) });
    this.stop = button("Stop this draft", { icon: "stop", text: "Stop this one", act: () => act.stopDraft(this.draft) });
    this.figures = [
      button("Open the heatmap as a figure", { icon: "figure", text: "Heatmap", act: () => act.figure("heatmap") }),
      button("Open the timeline of all drafts as a figure", { icon: "figure", text: "Timeline", act: () => act.figure("timeline") }),
    ];
    this.canAsk = canAsk;
    this.facts = el("span", "f-facts");
    this.body = el("div");
    this.text = el("div", "f-text", this.body);
    this.text.tabIndex = 0;
    this.text.setAttribute("role", "region");
    this.text.setAttribute("aria-label", "Text of the draft");
    this.sheet = new Sheet(this.body, ruler, true);
    this.inspector = new Inspector();
    this.heatmap = new Heatmap(deps);
    this.timeline = new Timeline(deps);
    this.element = el(
      "section",
      "focus",
      el("div", "f-top", back, this.picker, this.facts, this.keep, this.copy, this.stop, ...this.figures),
      el("div", "f-main", this.text, this.inspector.element),
      this.charts(),
    );
    this.element.setAttribute("aria-label", "Focus");
    this.element.hidden = true;
    this.listen();
  }

  charts() {
    const key = (word, token) => {
      const entry = el("span", "key", word);
      entry.style.setProperty("--k", `var(${token})`);
      return entry;
    };
    return el(
      "div",
      "f-charts",
      el("div", "ylab", el("b", "", "Confidence"), "every position at every step"),
      this.heatmap.element,
      el("div", "rlab ends", el("span", "", "first word"), el("span", "", "last")),
      this.timeline.label,
      this.timeline.canvas,
      el("div", "rlab", key("accepted", "--i14"), key("entropy", "--i5"), key("revision", "--accent")),
    );
  }

  listen() {
    const { act } = this;
    const at = (event) => Number(event.target.closest?.(".t")?.dataset.p ?? -1);
    this.body.addEventListener("pointerover", (event) => act.hoverAt(at(event)));
    this.body.addEventListener("pointerleave", () => act.hoverAt(-1));
    this.body.addEventListener("click", (event) => {
      if (at(event) >= 0) act.hold(at(event));
    });
  }

  draw(state, ramps) {
    const { run } = state;
    const track = run.tracks[state.draft];
    if (!track) return;
    this.draft = state.draft;
    const index = axisOf(run).frames[state.draft][state.slot];
    this.drawTop(state, run, track, index);
    this.text.classList.toggle("long", run.canvasLength * (1 + (track.frames[track.frames.length - 1]?.block ?? 0)) > LONG_TEXT);
    this.sheet.bind(run, track);
    this.sheet.paint(index, lookOf(state));
    this.sheet.light([state.hover?.position ?? -1, state.position]);
    this.inspector.draw(state);
    this.heatmap.draw(state, ramps);
    this.timeline.draw(state, ramps);
  }

  drawTop(state, run, track, index) {
    this.drawPicker(state, run);
    const kept = state.kept.has(keptKey(run, track));
    setAttribute(this.keep, "aria-pressed", kept);
    setText(this.keep.lastChild, kept ? "Kept" : "Keep");
    const done = isDone(run, track, track.frames.length - 1);
    this.stop.hidden = !this.canAsk || !run.live || done;
    for (const figure of this.figures) figure.hidden = !this.canAsk || !run.file;
    const seed = track.seed === null ? "" : `seed ${track.seed}`;
    const end = isDone(run, track, index) ? `${many(track.stepsUsed, "step")} · ${whyEnded(run, track)}` : "";
    setText(this.facts, [seed, end].filter(Boolean).join(" · "));
  }

  drawPicker(state, run) {
    while (this.picker.children.length > run.tracks.length) this.picker.lastChild.remove();
    while (this.picker.children.length < run.tracks.length) {
      const draft = this.picker.children.length;
      const choice = el("button", "", String(draft + 1));
      choice.type = "button";
      choice.setAttribute("aria-label", `Draft ${draft + 1}`);
      choice.addEventListener("click", () => this.act.open(draft));
      this.picker.append(choice);
    }
    [...this.picker.children].forEach((choice, d) => {
      setAttribute(choice, "aria-current", d === state.draft);
      choice.classList.toggle("k", state.kept.has(keptKey(run, run.tracks[d])));
    });
  }

  relayout() {
    this.sheet.relayout();
    this.inspector.key = null;
  }
}
