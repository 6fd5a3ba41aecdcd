/* What buttons, keys and pointers do. What a key may ask for returns whether it was used. */

/** A token under the pointer is inspected after this. */
const PEEK_MILLISECONDS = 300;
/** What was copied is ticked off for so long. */
const DONE_MILLISECONDS = 2000;

/** @param {Player} player */
function createActions(player) {
  const { state } = player;
  const change = (patch, now) => {
    player.change(patch, now);
    return true;
  };
  const ask = (name, data = {}) => {
    player.onAction?.(name, data);
    return true;
  };
  return { ...replayActions(state, change), ...viewActions(player, change), ...pointActions(state, change), ...draftActions(player, ask) };
}

function replayActions(state, change) {
  const clock = createClock(state, change);
  const go = (slot, quick) => {
    clock.stop();
    if (!state.run) return true;
    const last = lastSlot(state.run);
    const at = clamp(slot, 0, last);
    return change({ slot: at, playing: false, follow: at >= last, quick }, true);
  };
  return {
    play(on = !state.playing) {
      clock.stop();
      if (!state.run) return true;
      // While a run is live, play and pause mean: follow it, stay here.
      if (state.run.live) return change({ follow: !state.follow, slot: lastSlot(state.run), quick: true });
      if (on) clock.start();
      else change({ playing: false });
      return true;
    },
    go,
    goTo(slot, position) {
      change({ position, peek: -1 });
      return go(slot, true);
    },
    speed: (speed) => change({ speed }),
  };
}

function viewActions(player, change) {
  const { state } = player;
  const show = (value) => change({ [state.view === "focus" ? "near" : "far"]: value, quick: true });
  const turn = (patch) => {
    change({ hover: null, peek: -1, quick: true, ...patch }, true);
    player.afterLayout();
    return true;
  };
  const open = (draft) => {
    const same = state.view === "focus" && state.draft === draft;
    // The card that has the focus is about to be hidden.
    const moves = player.wall.element.contains(document.activeElement);
    turn({ view: "focus", draft, position: same ? state.position : -1 });
    if (moves) player.focus.text.focus({ preventScroll: true });
    return true;
  };
  const close = () => {
    turn({ view: "wall" });
    player.wall.cards[state.draft]?.element.focus({ preventScroll: true });
    return true;
  };
  const select = (draft) => draft === state.draft || change({ draft });
  return {
    colour: (colour) => change({ colour, quick: true }),
    show,
    nextShow() {
      const order = SHOWS.map(([value]) => value);
      return show(order[(order.indexOf(undecidedAs(state)) + 1) % order.length]);
    },
    whole() {
      change({ whole: !state.whole }, true);
      player.refold();
      return true;
    },
    select,
    pick(draft) {
      if (draft >= state.run.tracks.length) return false;
      if (state.view === "focus") return open(draft);
      player.wall.cards[draft].element.focus();
      return select(draft);
    },
    open,
    close,
    /** In focus: another word is held, and said aloud. */
    hop(by) {
      if (state.view !== "focus") return false;
      const { run, draft, slot } = state;
      const track = run.tracks[draft];
      const index = axisOf(run).frames[draft][slot];
      const most = run.canvasLength * (1 + (track.frames[index]?.block ?? 0)) - 1;
      const position = clamp(state.position + by, 0, most);
      const found = describe(run, track, index, position);
      if (found) player.bar.say(`Position ${position}: “${found.word}”, ${found.short}.`);
      player.focus.sheet.places[position]?.span.scrollIntoView({ block: "nearest" });
      return change({ position, peek: -1 });
    },
    closeHello() {
      const byKey = player.hello.element.querySelector(":focus-visible") !== null;
      change({ hello: false, playing: false, quick: true }, true);
      if (byKey) player.wall.cards[0].element.focus({ preventScroll: true });
    },
    openShelf: (kind) => player.shelf.open(player, kind),
    help() {
      player.helpSheet.showModal();
      return true;
    },
    /** Esc stops a run; then it closes what is open, from the inside out. */
    escape(writing) {
      if (document.querySelector("dialog[open]")) return false;
      if (isBusy(state)) return player.act.stop();
      if (writing) return false;
      if (state.view === "focus" && state.position >= 0) return change({ position: -1 });
      if (state.view === "focus") return close();
      if (state.draft < 0) return false;
      document.activeElement?.blur?.();
      return change({ draft: -1 });
    },
  };
}

function pointActions(state, change) {
  let peeking = 0;
  return {
    hover(draft, event) {
      const span = event?.target.closest?.(".t");
      const hover = draft >= 0 && span ? { draft, position: Number(span.dataset.p) } : null;
      if (hover?.draft === state.hover?.draft && hover?.position === state.hover?.position) return true;
      return change({ hover });
    },
    /** In focus: outlined at once, in the inspector after a moment. */
    hoverAt(position) {
      const hovered = state.hover?.position ?? -1;
      if (hovered === position && position >= 0) return true;
      clearTimeout(peeking);
      peeking = setTimeout(() => change({ peek: position }), position < 0 ? 0 : PEEK_MILLISECONDS);
      return change({ hover: position < 0 ? null : { draft: state.draft, position } });
    },
    hold: (position) => change({ position: position === state.position ? -1 : position }),
  };
}

function draftActions(player, ask) {
  const { state } = player;
  return {
    stop: () => ask("stop"),
    stopDraft: (draft) => ask("stop_draft", { draft }),
    figure: (kind) => ask("figure", { kind, draft: state.draft }),
    async copy(draft, pressed) {
      const text = textOfTrack(state.run, state.run.tracks[draft]);
      if (text === null) return player.tell(`Draft ${draft + 1} has no text.`);
      if (!(await copyText(text))) return player.tell(NOT_COPIED, true);
      player.bar.say(`Draft ${draft + 1} copied.`);
      const icon = pressed.querySelector("svg");
      drawIcon(icon, "done");
      return setTimeout(() => drawIcon(icon, "copy"), DONE_MILLISECONDS);
    },
    keep(draft) {
      if (draft >= 0 && state.run) player.shelf.toggle(player, draft);
      return true;
    },
    download: () => downloadRun(state.run),
    pickFile: () => pickFile((file) => player.incoming.openFile(file)),
  };
}
