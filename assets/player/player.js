/* The player: one state, one function that changes it, views that draw it. `DGemmaPlayer.mount` is its door. */

const STEP_MILLISECONDS = 115;
/** The recorded run rests at its end before it begins again. */
const REST_MILLISECONDS = 2600;
/** A token under the pointer is inspected after this. */
const PEEK_MILLISECONDS = 300;
/** Where motion is unwelcome the recorded run rests at a step that shows noise and words. */
const RESTING_SHARE = 0.45;

/**
 * @param {HTMLElement} root
 * @param {{onAction?: function(string, Object): void, remember?: boolean}} options
 *   `onAction` hears "stop" {}, "stop_draft" {draft} and "figure" {kind, draft}; without it their buttons are not shown.
 *   `remember: false` keeps nothing in the browser.
 */
function mount(root, options = {}) {
  return new Player(root, options);
}

class Player {
  constructor(root, options) {
    this.root = root;
    this.onAction = options.onAction ?? null;
    this.store = options.remember === false ? createMemoryStore() : createStore();
    this.state = createState();
    this.sizes = new Map();
    this.ruler = createRuler();
    this.incoming = Promise.resolve();
    this.listening = new AbortController();
    const act = (this.act = createActions(this));
    const deps = { act, ruler: this.ruler, sizes: this.sizes, canAsk: this.onAction !== null };
    this.bar = new Bar(deps);
    this.hello = new Hello(deps);
    this.wall = new Wall(deps);
    this.focus = new Focus(deps);
    this.transport = new Transport(deps);
    this.shelf = new Shelf(deps);
    this.helpSheet = createHelp();
    root.classList.add("dg");
    root.replaceChildren(
      this.hello.element,
      this.bar.element,
      this.wall.element,
      this.focus.element,
      this.transport.element,
      this.shelf.element,
      this.helpSheet,
      this.wall.tip,
    );
    this.listen();
    this.readTheme();
    this.restored = this.restore();
    this.render();
  }

  // --- what the page calls -----------------------------------------------------------------------

  /** Records of the sink, in their order: "m" + a live message, "s" + the run's state. @param {string} text */
  sink(text) {
    for (const record of String(text ?? "").split("\n")) {
      if (!record) continue;
      this.incoming = this.incoming.then(() => this.receive(record)).catch((error) => this.fail(error));
    }
    return this.incoming;
  }

  /** A trace file. @param {ArrayBuffer} buffer @param {{name: string, source: "run" | "file" | "example"}} facts */
  async openTrace(buffer, { name = "", source = "file", id = null } = {}) {
    const run = await decodeTrace(buffer);
    Object.assign(run, { id: id ?? `${source}:${name}:${buffer.byteLength}`, name, source, live: false, version: 1 });
    const example = source === "example";
    const slot = example ? this.restingSlot(run) : lastSlot(run);
    this.show(run, { phase: example ? "empty" : "finished", hello: example, slot, sentence: "" });
    if (source !== "example") this.remember(run, buffer);
    return run;
  }

  setModel(model) {
    this.change({ model });
  }

  /** The recorded run of the empty state: shown only where there is nothing else to show. */
  async examples(buffer) {
    await this.restored;
    if (this.state.run || this.state.phase !== "empty") return;
    await this.openTrace(buffer, { name: "A recorded run", source: "example" });
    if (!this.state.still) this.act.play(true);
  }

  destroy() {
    this.listening.abort();
    cancelAnimationFrame(this.scheduled);
    this.state.playing = false;
    this.store.close();
    this.root.replaceChildren();
  }

  // --- state -------------------------------------------------------------------------------------

  /** The one way to change what is shown. Drawn in the next frame, newest wins; `now` draws at once. */
  change(patch, now = false) {
    Object.assign(this.state, patch);
    if (now) this.render();
    else if (!this.scheduled) this.scheduled = requestAnimationFrame(() => this.render());
  }

  show(run, patch) {
    const { view, draft } = this.state;
    const kept = view === "focus" && draft < run.tracks.length ? {} : { view: "wall", draft: -1, position: -1 };
    this.wall.relayout();
    this.change({ run, hover: null, follow: true, playing: false, quick: true, queue: null, ...kept, ...patch }, true);
    this.afterLayout();
  }

  restingSlot(run) {
    return this.state.still ? Math.round(RESTING_SHARE * lastSlot(run)) : 0;
  }

  render() {
    cancelAnimationFrame(this.scheduled);
    this.scheduled = 0;
    const { state } = this;
    this.root.classList.toggle("scrub", state.quick);
    this.root.classList.toggle("slim", state.view === "focus");
    this.root.classList.toggle("has-hello", state.hello && state.view === "wall");
    this.wall.element.hidden = state.view !== "wall";
    this.focus.element.hidden = state.view !== "focus";
    this.hello.draw(state);
    if (state.view === "wall") this.wall.draw(state, this.ramps);
    else this.wall.tip.hidden = true;
    if (state.view === "focus") this.focus.draw(state, this.ramps);
    this.transport.draw(state, this.ramps);
    this.bar.draw(state, this.ramps);
    // Reading sizes waits until this frame's writes are laid out.
    if (this.wall.takeGrown()) requestAnimationFrame(() => this.refold());
  }

  // --- what comes in -----------------------------------------------------------------------------

  async receive(record) {
    if (record[0] === "m") return this.receiveFrames(record.slice(1));
    if (record[0] === "s") return this.receiveStatus(JSON.parse(record.slice(1)));
    return undefined;
  }

  async receiveFrames(text) {
    const message = await decodeMessage(text);
    const run = this.state.coming?.id === message.run ? this.state.coming : this.state.run;
    if (run?.id !== message.run || !run.live || !addMessage(run, message)) return;
    this.store.addLive(run.id, message.seq, text);
    if (run === this.state.coming) {
      // The run before stays on screen until now.
      this.state.coming = null;
      this.show(run, { phase: "running", hello: false, slot: lastSlot(run), sentence: "" });
      return;
    }
    const { follow, slot } = this.state;
    this.change({ slot: follow ? lastSlot(run) : slot, quick: false });
  }

  async receiveStatus(status) {
    if (status.state === "queued") {
      this.bar.say(`Waiting: ${many(status.place, "run")} before yours.`);
      this.change({ phase: "queued", queue: { place: status.place, seconds: status.seconds } });
    } else if (status.state === "running") {
      this.state.coming = createLiveRun(status);
      this.store.beginLive(status);
      this.bar.say(`Denoising ${many(status.drafts, "draft")}.`);
      this.change({ phase: "running", queue: null, sentence: "" });
    } else if (status.state === "finished" || status.state === "stopped") await this.finish(status);
    else if (status.state === "failed") this.failRun(status);
    else if (status.state === "note") this.change({ sentence: status.sentence });
  }

  /** The trace file is the truth: it takes the place of what was received. */
  async finish(status) {
    const { run } = this.state;
    const current = run?.id === status.run ? run : null;
    const words = status.state === "stopped" ? "Stopped. Every finished step stays." : "Finished.";
    this.state.coming = null;
    try {
      const response = await fetch(status.url);
      if (!response.ok) throw new TraceError("The run's file could not be fetched; what was received is shown.");
      const buffer = await response.arrayBuffer();
      const whole = await decodeTrace(buffer);
      Object.assign(whole, { id: status.run, name: status.name ?? "", source: "run", live: false, version: 1 });
      const { follow, slot } = this.state;
      const at = current && !follow ? Math.min(slot, lastSlot(whole)) : lastSlot(whole);
      this.show(whole, { phase: status.state, slot: at, sentence: "" });
      await this.remember(whole, buffer);
    } catch (error) {
      if (current) this.keepReceived(current, status.state, sentenceOf(error));
      else this.change({ phase: "failed", sentence: sentenceOf(error) });
    }
    this.bar.say(words);
  }

  keepReceived(run, phase, sentence) {
    closeRun(run);
    this.show(run, { phase, slot: Math.min(this.state.slot, lastSlot(run)), sentence });
  }

  /** A run that failed leaves on screen what it had written, or the run before it. */
  failRun(status) {
    const { run } = this.state;
    this.state.coming = null;
    if (run?.live && run.id === status.run) this.keepReceived(run, "failed", status.sentence);
    else this.change({ phase: "failed", queue: null, sentence: status.sentence });
    this.bar.say(`Failed. ${status.sentence}`);
  }

  fail(error) {
    // What cannot be read is said, and the next record may still be whole.
    console.warn("DGemma Play:", error);
    this.change({ sentence: sentenceOf(error) });
  }

  // --- memory ------------------------------------------------------------------------------------

  async restore() {
    const kept = await this.store.kept();
    this.change({ kept: new Map(kept.map((entry) => [entry.key, entry])), shelf: await this.store.runs() });
    const last = await this.store.lastRun();
    if (!last || this.state.run || this.state.coming) return;
    if (last.buffer) {
      const run = await decodeTrace(last.buffer);
      Object.assign(run, { id: last.id, name: last.name, source: "run", live: false, version: 1 });
      if (!this.state.coming) this.show(run, { phase: "finished", slot: lastSlot(run) });
      return;
    }
    const run = createLiveRun(last.status);
    for (const text of last.messages) addMessage(run, await decodeMessage(text));
    if (this.state.run || this.state.coming || !run.tracks.some((track) => track.frames.length)) return;
    closeRun(run);
    this.show(run, { phase: "stopped", slot: lastSlot(run), sentence: "The page was reloaded in mid-run: this is what had arrived." });
  }

  async remember(run, buffer) {
    const prompt = run.prompt[run.prompt.length - 1]?.content ?? "";
    const note = await this.store.saveRun({ id: run.id, name: run.name, prompt, drafts: run.tracks.length, buffer });
    this.change({ shelf: await this.store.runs(), ...(note ? { sentence: note } : {}) });
  }

  // --- surroundings ------------------------------------------------------------------------------

  listen() {
    const { signal } = this.listening;
    const on = (target, name, listener) => target.addEventListener(name, listener, { signal });
    on(document, "keydown", (event) => {
      if (!event.defaultPrevented && handleKey(event, this.state, this.act)) event.preventDefault();
    });
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    this.state.still = still.matches;
    on(still, "change", () => this.change({ still: still.matches, playing: false, quick: true }));
    const theme = new MutationObserver(() => this.readTheme());
    theme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    const size = new ResizeObserver(() => this.relayout());
    size.observe(this.root);
    signal.addEventListener("abort", () => [theme, size].forEach((observer) => observer.disconnect()));
    const fonts = ["15px 'DG Serif'", "15px 'DG Sans'", "15px 'DG Mono'"].map((font) => document.fonts.load(font));
    Promise.all([...fonts, document.fonts.load("15px 'DG Grain'", "\ue000")]).then(() => this.relayout());
  }

  readTheme() {
    const dark = document.body.classList.contains("dark");
    const style = getComputedStyle(this.root);
    const token = (name) => style.getPropertyValue(name).trim();
    const { ink, band } = readRamps(this.root);
    this.ramps = {
      ink,
      band,
      pixels: ink.map((hex) => pixel(hex)),
      pale: ink.map((hex) => pixel(hex, 102)),
      faint: pixel(ink[10], 60),
      accent: pixel(token("--accent")),
      red: token("--accent"),
      rule: token("--rule"),
      ink2: token("--ink-2"),
      ink3: token("--ink-3"),
      sans: token("--sans"),
    };
    this.change({ dark, quick: true });
  }

  /** Fonts came or the box changed: sizes are read again, once. */
  relayout() {
    const width = this.root.clientWidth;
    if (!width) return;
    this.sizes.clear();
    this.ruler.forget();
    this.wall.relayout();
    this.focus.relayout();
    this.transport.relayout();
    this.change({ quick: true }, true);
    this.afterLayout();
  }

  /** Where a card's edge cuts its text: read once per layout. */
  refold() {
    if (this.state.view !== "wall" || !this.state.run) return;
    this.wall.unfold();
    this.wall.draw(this.state, this.ramps);
    this.wall.takeGrown();
    this.wall.checkOverflow();
    this.wall.draw(this.state, this.ramps);
  }

  afterLayout() {
    this.refold();
    this.sizes.clear();
    this.transport.draw(this.state, this.ramps);
    if (this.state.view === "focus") this.focus.draw(this.state, this.ramps);
  }
}

const sentenceOf = (error) => (error instanceof TraceError ? error.message : "Something went wrong in this page; the drafts on screen are untouched.");

/** What buttons, keys and pointers do. Each returns true, so that a key knows it was used. */
function createActions(player) {
  const { state } = player;
  const change = (patch, now) => {
    player.change(patch, now);
    return true;
  };
  let timer = 0;
  let peeking = 0;
  const tick = () => {
    if (!state.playing || !state.run) return;
    const last = lastSlot(state.run);
    const rests = state.slot >= last;
    if (rests && !state.hello) {
      change({ playing: false });
      return;
    }
    change({ slot: rests ? 0 : state.slot + 1, quick: rests });
    const wait = state.slot >= last && state.hello ? REST_MILLISECONDS : STEP_MILLISECONDS * (state.hello ? 2 : 1) / state.speed;
    timer = setTimeout(tick, wait);
  };
  const act = {
    play(on = !state.playing) {
      clearTimeout(timer);
      if (!state.run) return true;
      // While a run is live, play and pause mean: follow it, stay here.
      if (state.run.live) return change({ follow: !state.follow, slot: lastSlot(state.run), quick: true });
      const over = on && state.slot >= lastSlot(state.run);
      change({ playing: on, slot: over ? 0 : state.slot, quick: over });
      if (on) timer = setTimeout(tick, STEP_MILLISECONDS / state.speed);
      return true;
    },
    go(slot, quick) {
      clearTimeout(timer);
      if (!state.run) return true;
      const last = lastSlot(state.run);
      const at = clamp(slot, 0, last);
      return change({ slot: at, playing: false, follow: at >= last, quick }, true);
    },
    speed: (speed) => change({ speed }),
    colour: (colour) => change({ colour, quick: true }),
    show: (show) => change(state.view === "focus" ? { near: show, quick: true } : { far: show, quick: true }),
    nextShow() {
      const order = SHOWS.map(([value]) => value);
      return act.show(order[(order.indexOf(undecidedAs(state)) + 1) % order.length]);
    },
    whole() {
      change({ whole: !state.whole }, true);
      player.refold();
      return true;
    },
    select: (draft) => (draft === state.draft ? true : change({ draft })),
    pick(draft) {
      if (draft >= state.run.tracks.length) return false;
      if (state.view === "focus") return act.open(draft);
      player.wall.cards[draft].element.focus();
      return act.select(draft);
    },
    open(draft) {
      const same = state.view === "focus" && state.draft === draft;
      change({ view: "focus", draft, position: same ? state.position : -1, hover: null, peek: -1, quick: true }, true);
      player.sizes.clear();
      player.afterLayout();
      return true;
    },
    close() {
      const { draft } = state;
      change({ view: "wall", hover: null, peek: -1, quick: true }, true);
      player.sizes.clear();
      player.afterLayout();
      player.wall.cards[draft]?.element.focus({ preventScroll: true });
      return true;
    },
    hover(draft, event) {
      const span = event?.target.closest?.(".t");
      const hover = draft >= 0 && span ? { draft, position: Number(span.dataset.p) } : null;
      if (hover?.draft === state.hover?.draft && hover?.position === state.hover?.position) return true;
      return change({ hover });
    },
    /** In focus: outlined at once, in the inspector after a moment. */
    hoverAt(position) {
      if ((state.hover?.position ?? -1) === position) return true;
      clearTimeout(peeking);
      peeking = setTimeout(() => change({ peek: position }), position < 0 ? 0 : PEEK_MILLISECONDS);
      return change({ hover: position < 0 ? null : { draft: state.draft, position } });
    },
    goTo(slot, position) {
      change({ position, peek: -1 });
      return act.go(slot, true);
    },
    hold: (position) => change({ position: position === state.position ? -1 : position }),
    escape(writing) {
      if (document.querySelector("dialog[open]")) return false;
      if (state.phase === "running" || state.phase === "queued") return act.stop();
      if (writing) return false;
      if (state.view === "focus" && state.position >= 0) return change({ position: -1 });
      if (state.view === "focus") return act.close();
      if (state.draft < 0) return false;
      document.activeElement?.blur?.();
      return change({ draft: -1 });
    },
    stop() {
      player.onAction?.("stop", {});
      return true;
    },
    stopDraft: (draft) => player.onAction?.("stop_draft", { draft }) ?? true,
    figure: (kind) => player.onAction?.("figure", { kind, draft: state.draft }) ?? true,
    async copy(draft) {
      const text = textOfTrack(state.run, state.run.tracks[draft]);
      player.bar.say(text !== null && (await copyText(text)) ? `Draft ${draft + 1} copied.` : "Nothing could be copied.");
    },
    keep(draft) {
      if (draft >= 0 && state.run) player.shelf.toggle(player, draft);
      return true;
    },
    closeHello: () => change({ hello: false, playing: false, quick: true }, true),
    openShelf: (kind) => player.shelf.open(player, kind),
    help() {
      player.helpSheet.showModal();
      return true;
    },
  };
  return act;
}

/** The pure parts, for whoever wants to read a trace without a page, and for tests. */
const parts = {
  decodeTrace,
  decodeMessage,
  settledSteps,
  revisionsOf,
  lostOf,
  trackStats,
  timeAxis,
  framesBySlot,
  rankOf,
  inkOf,
  inkOfEntropy,
  bandOfStep,
  bandOfRank,
  visible,
  makeFacts,
  Compositor,
  overflowing,
};

globalThis.DGemmaPlayer = { mount, parts };
