/* Keys. None acts while a text box has the focus, but Esc, which then stops a run. None uses Alt. */

const KEYS = [
  ["Space", "play, pause"],
  ["← →", "one step back, on"],
  ["Home End", "to noise, to text"],
  ["1 … 9", "select a draft"],
  ["Enter", "open it"],
  [", .", "open: one word back, on"],
  ["K", "keep ★"],
  ["G", "grain, tokens, best guess"],
  ["Esc", "stop; then close"],
  ["?", "this sheet"],
];

const isWriting = (target) =>
  target.matches?.('textarea, select, [contenteditable="true"], input:not([type="range"], [type="button"], [type="checkbox"], [type="radio"])');

/** The card that has the focus, or else the selected draft. */
const draftAt = (target, state) => Number(target.closest?.(".card")?.dataset.draft ?? state.draft);

/** @param {KeyboardEvent} event @param {Object} state @param {Object} act @returns {boolean} whether the key was ours */
function handleKey(event, state, act) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return false;
  const { key, target } = event;
  if (key === "Escape") return act.escape(isWriting(target));
  if (isWriting(target) || !state.run || document.querySelector("dialog[open]")) return false;
  const foreign = !target.closest?.(".dg");
  // Another slider keeps its arrows, a button its space.
  const range = target.matches?.('input[type="range"]') && (foreign || target.getAttribute("aria-label") !== "Step");
  const pressed = target.matches?.("button, summary, a[href], [role='button'], input");
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (key === " ") return !(pressed && target.type !== "range") && act.play();
  if (step) return !range && !target.matches?.("[role='radio'], [role='tab']") && act.go(state.slot + step, false);
  if (key === "Home") return !range && act.go(0, true);
  if (key === "End") return !range && act.go(lastSlot(state.run), true);
  if (foreign && pressed) return false;
  if (key >= "1" && key <= "9" && key.length === 1) return act.pick(Number(key) - 1);
  const draft = draftAt(target, state);
  if (key === "Enter") return !pressed && draft >= 0 && act.open(draft);
  if (key === "," || key === ".") return act.hop(key === "." ? 1 : -1);
  const letter = { k: () => act.keep(draft), g: () => act.nextShow(), "?": () => act.help() }[key.toLowerCase()];
  return letter ? letter() : false;
}

/** The sheet of keys. */
function createHelp() {
  const list = el("dl", "", ...KEYS.flatMap(([keys, words]) => [el("dt", "", ...keys.split(" ").map((key) => el("kbd", "", key))), el("dd", "", words)]));
  return createDialog("Keys", list);
}

/** A modal dialog with a title and a way out. @returns {HTMLDialogElement} */
function createDialog(title, ...children) {
  const close = el("button", "plain", "Close");
  close.type = "button";
  const dialog = el("dialog", "", el("h2", "", title), ...children, el("div", "row", close));
  dialog.setAttribute("aria-label", title);
  close.addEventListener("click", () => dialog.close());
  return dialog;
}
