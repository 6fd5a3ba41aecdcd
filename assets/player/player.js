/* The player: one state, one function that changes it, views that draw it. `DGemmaPlayer.mount` is its door. */

/** Where motion is unwelcome the recorded run rests at a step that shows noise and words. */
const RESTING_SHARE = 0.45;

/**
 * @param {HTMLElement} root
 * @param {{onAction?: function(string, Object): void, onFail?: function(string): void, remember?: boolean}} options
 *   `onAction` hears "stop" {}, "stop_draft" {draft} and "figure" {kind, draft}; without it their buttons are not shown.
 *   `onFail` shows why a run failed; without it the progress line does. `remember: false` keeps nothing in the browser.
 */
function mount(root, options = {}) {
  return new Player(root, options);
}

class Player {
  constructor(root, options) {
    this.root = root;
    this.onAction = options.onAction ?? null;
    this.remembers = options.remember !== false;
    this.store = this.remembers ? createStore() : createMemoryStore();
    this.state = { ...createState(), ...(this.remembers ? readHabits() : {}) };
    this.sizes = new Map();
    this.ruler = createRuler();
    this.incoming = new Incoming(this, this.store, options.onFail);
    this.act = createActions(this);
    this.build({ act: this.act, ruler: this.ruler, sizes: this.sizes, canAsk: this.onAction !== null });
    this.listen();
    this.readTheme();
    this.restored = this.incoming.restore().catch((error) => this.incoming.complain(error));
    this.render();
  }

  build(deps) {
    this.bar = new Bar(deps);
    this.hello = new Hello(deps);
    this.wall = new Wall(deps);
    this.focus = new Focus(deps);
    this.transport = new Transport(deps);
    this.shelf = new Shelf(deps);
    this.helpSheet = createHelp();
    const parts = [this.hello, this.bar, this.wall, this.focus, this.transport, this.shelf];
    this.root.classList.add("dg");
    this.root.replaceChildren(...parts.map((part) => part.element), this.helpSheet, this.wall.tip);
  }

  // --- what the page calls -----------------------------------------------------------------------

  /** Records of the sink, in their order. @param {string} text */
  sink(text) {
    return this.incoming.take(text);
  }

  /** A trace file. @param {ArrayBuffer} buffer @param {{name: string, source: "run" | "file" | "example"}} facts */
  openTrace(buffer, facts) {
    return this.incoming.openTrace(buffer, facts);
  }

  /** No more records come: a run that is still on its way has failed. @param {string} sentence */
  cutOff(sentence) {
    return this.incoming.cutOff(sentence);
  }

  setModel(model) {
    this.change({ model });
  }

  /** The recorded run of the empty state: shown only where there is nothing else to show. */
  async examples(buffer) {
    await this.restored;
    if (this.state.run || this.state.phase !== "empty") return;
    const run = await this.openTrace(buffer, { name: "A recorded run", source: "example" });
    if (this.state.run === run && !this.state.still) this.act.play(true);
  }

  // --- state -------------------------------------------------------------------------------------

  /** The one way to change what is shown. Drawn in the next frame, newest wins; `now` draws at once. */
  change(patch, now = false) {
    Object.assign(this.state, patch);
    if (this.remembers) keepHabits(patch);
    if (now) this.render();
    else if (!this.scheduled) this.scheduled = requestAnimationFrame(() => this.render());
  }

  /** Another run on screen. Focus stays where it is, if that draft is there; a selection and a position are of one run. */
  show(run, patch) {
    const { view } = this.state;
    const same = this.state.run?.id === run.id;
    const draft = draftIn(run, this.state);
    const held = same ? {} : { position: -1, peek: -1 };
    const stays = view === "focus" && run.tracks[draft];
    const kept = stays ? { draft, ...held } : { view: "wall", draft: same ? draft : -1, position: -1 };
    const fresh = { coming: null, queue: null, sentence: "", hello: false, hover: null, playing: false, follow: true, quick: true };
    this.wall.relayout();
    this.change({ run, ...fresh, ...kept, ...patch }, true);
    this.afterLayout();
    this.shelf.refresh(this);
  }

  /** A sentence beside what is on screen. @param {boolean} alarm whether something is wrong */
  tell(sentence, alarm = false) {
    this.bar.say(sentence);
    this.change({ sentence, alarm });
  }

  restingSlot(run) {
    return this.state.still ? Math.round(RESTING_SHARE * lastSlot(run)) : 0;
  }

  render() {
    cancelAnimationFrame(this.scheduled);
    this.scheduled = 0;
    const { state, ramps } = this;
    const onWall = state.view === "wall";
    this.root.classList.toggle("scrub", state.quick);
    this.root.classList.toggle("slim", !onWall);
    this.root.classList.toggle("has-hello", state.hello && onWall);
    this.wall.element.hidden = !onWall;
    this.focus.element.hidden = onWall;
    this.hello.draw(state);
    if (onWall) this.wall.draw(state, ramps);
    else this.focus.draw(state, ramps);
    this.wall.tip.hidden ||= !onWall;
    this.transport.draw(state, ramps);
    this.bar.draw(state, ramps);
    // Reading sizes waits until this frame's writes are laid out.
    if (this.wall.takeGrown()) requestAnimationFrame(() => this.refold());
  }

  // --- surroundings ------------------------------------------------------------------------------

  listen() {
    document.addEventListener("keydown", (event) => {
      if (!event.defaultPrevented && handleKey(event, this.state, this.act)) event.preventDefault();
    });
    listenForDrops(this.root, (file) => this.incoming.openFile(file));
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    this.state.still = still.matches;
    still.addEventListener("change", () => this.change({ still: still.matches, playing: false, quick: true }));
    new MutationObserver(() => this.readTheme()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    new ResizeObserver(() => this.relayout()).observe(this.root);
    const fonts = ["15px 'DG Serif'", "15px 'DG Sans'", "15px 'DG Mono'"].map((font) => document.fonts.load(font));
    Promise.all([...fonts, document.fonts.load("15px 'DG Grain'", "\ue000")]).then(() => this.relayout());
  }

  readTheme() {
    this.ramps = readTheme(this.root);
    this.change({ dark: document.body.classList.contains("dark"), quick: true });
  }

  /** Fonts came or the box changed: sizes are read again, once. */
  relayout() {
    if (!this.root.clientWidth) return;
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
