/** The door of the player: `DGemmaPlayer.mount(root, options)`. */
function mount(root, options = {}) {
  root.classList.add("dg");
  return {
    sink(text) {},
    openTrace(buffer, facts) { return Promise.resolve(); },
    setModel(model) {},
    examples(buffer) {},
    destroy() { root.replaceChildren(); },
  };
}

globalThis.DGemmaPlayer = { mount };
