/* The page around the player: header, keys, prompt history, and what stands between Gradio and `DGemmaPlayer`.
   Texts of visitors and models enter the page by `textContent` and `value` only. */
globalThis.DGemmaPage = (() => {
  "use strict";

  const PROMPTS = "dgemma-prompts"; // earlier prompts, newest first
  const MOST_PROMPTS = 30;
  const CUT_OFF = "This run broke off on its way here; what had arrived is shown. Try again, or reload the page.";
  const THEME = "dgemma-theme";

  let player = null;
  let heard = ""; // the last sink value: Gradio sends the final one twice
  const early = []; // what was heard before the player was there
  let stopping = false; // a person asked for it
  let opener = null; // what had the focus before a figure took it
  let drawing = 0; // figures that are on their way; the one that was asked for last is shown

  const byId = (id) => document.getElementById(id);
  const promptBox = () => document.querySelector("#prompt textarea");

  const memory = {
    read(key) {
      try {
        return JSON.parse(localStorage.getItem(key));
      } catch {
        return null;
      }
    },
    write(key, value) {
      try {
        localStorage.setItem(key, JSON.stringify(value));
      } catch {
        // Private windows may have no storage: the page works without.
      }
    },
  };

  // --- running or not ---------------------------------------------------------------------------

  function busy() {
    document.body.classList.add("page-busy");
    stopping = false;
    complain("");
    byId("why").hidden = true;
    remember(promptBox().value);
    // On a phone the drafts lie under the settings.
    if (matchMedia("(max-width: 760px)").matches) byId("player-root").scrollIntoView();
  }

  /** Generate and Stop take each other's place: half of a double click on one is not meant for the other. */
  function single(event) {
    if (event.detail > 1) event.stopImmediatePropagation();
  }

  function idle() {
    document.body.classList.remove("page-busy");
  }

  /**
   * Gradio's event is over: where no end of the run was heard, none will come. (Where the server is gone it is not over:
   * Gradio says so, waits for it, and loads the page again.)
   */
  function over() {
    if (isBusy()) {
      complain(CUT_OFF);
      player?.cutOff(CUT_OFF);
    }
    idle();
  }

  const isBusy = () => document.body.classList.contains("page-busy");

  /** One sentence above Generate; an empty one takes it away. */
  function complain(sentence) {
    const notice = byId("notice");
    if (!notice) return;
    notice.textContent = sentence;
    notice.hidden = !sentence;
    // On a phone Generate has led to the drafts; on a low window the settings may be scrolled.
    if (sentence) notice.scrollIntoView({ block: "nearest" });
  }

  function hear(value) {
    if (!value || value === heard) return;
    heard = value;
    for (const record of value.split("\n")) {
      if (!record.startsWith("s")) continue;
      const facts = JSON.parse(record.slice(1));
      if (["finished", "stopped", "failed"].includes(facts.state)) idle();
      // A Stop that came before the server had taken the run stopped nothing: say it again.
      else if (stopping && ["queued", "running"].includes(facts.state)) byId("stop").click();
    }
    if (player) player.sink(value);
    else early.push(value);
  }

  document.addEventListener("dgemma-sink", (event) => hear(event.detail));

  // --- the prompt -------------------------------------------------------------------------------

  /** Put text into a field as if it had been typed, so that Gradio learns of it. */
  function type(field, text) {
    const proto = field instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
    Object.getOwnPropertyDescriptor(proto.prototype, "value").set.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function ask([prompt, why]) {
    type(promptBox(), prompt);
    const line = byId("why");
    line.textContent = why;
    line.hidden = false;
  }

  function remember(prompt) {
    if (!prompt.trim()) return;
    const earlier = (memory.read(PROMPTS) ?? []).filter((each) => typeof each === "string" && each !== prompt);
    memory.write(PROMPTS, [prompt, ...earlier].slice(0, MOST_PROMPTS));
    listPrompts();
  }

  function listPrompts() {
    const menu = byId("earlier");
    const prompts = (memory.read(PROMPTS) ?? []).filter((each) => typeof each === "string");
    menu.hidden = !prompts.length;
    const options = prompts.map((prompt) => new Option(prompt.length > 70 ? `${prompt.slice(0, 70)}…` : prompt, prompt));
    menu.replaceChildren(new Option("Earlier prompts", ""), ...options);
  }

  // --- the settings, folded on a phone ------------------------------------------------------------

  const KNOBS = ["drafts", "steps", "t-max", "t-min"];

  /** What stands in a knob's number box; "" until Gradio has put it there. */
  const read = (knob) => document.querySelector(`#knob-${knob} input[type=number]`)?.value ?? "";

  function fold() {
    const seed = document.querySelector("#lock input")?.checked ? document.querySelector("#seed :is(input, textarea)").value || "new" : "new";
    byId("fold-line").textContent =
      `${read("drafts")} drafts · ${read("steps")} steps · ${read("t-max")} → ${read("t-min")} · seed ${seed}`;
  }

  function foldOnceRead() {
    if (KNOBS.every(read)) fold();
    else requestAnimationFrame(foldOnceRead);
  }

  // --- pieces, each mounted by Gradio once ----------------------------------------------------------

  function header(element) {
    // The mark: grain that becomes a solid block, drawn from a fixed pattern.
    const mark = element.querySelector("#page-logo");
    for (let column = 0; column < 10; column += 1) {
      for (let row = 0; row < 6; row += 1) {
        const chance = ((column * 7 + row * 13 + column * row * 5) % 17) / 17;
        if (chance > (column + 2.5) / 10) continue;
        const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
        const size = 0.35 + (column / 9) * 1.15;
        for (const [name, value] of [["cx", 2 + column * 3.3], ["cy", 2 + row * 3.2], ["r", size]]) {
          dot.setAttribute(name, value);
        }
        mark.append(dot);
      }
    }
    const asked = new URLSearchParams(location.search).get("__theme");
    const stored = memory.read(THEME);
    if (!asked && stored) document.body.classList.toggle("dark", stored === "dark");
    element.querySelector("#page-theme").addEventListener("click", () => {
      const dark = document.body.classList.toggle("dark");
      memory.write(THEME, dark ? "dark" : "light");
    });
  }

  function badge(element, model) {
    element.querySelector("#badge-name").textContent = model.name;
    element.querySelector("#badge-how").textContent = [model.precision, model.device].join(" · ");
    const why = [...(model.reasons ?? []), `Canvas of ${model.canvas_length} tokens; up to ${model.rows} drafts in one pass.`];
    for (const reason of why) {
      const item = document.createElement("li");
      item.textContent = reason;
      element.querySelector("#badge-why").append(item);
    }
  }

  async function mount(root, model, server, trigger) {
    player = globalThis.DGemmaPlayer.mount(root, {
      onAction(name, data) {
        if (name === "stop") byId("stop").click();
        else if (name === "figure") openFigure(data, trigger);
        else trigger(name, data);
      },
      onFail: complain,
    });
    player.setModel(model);
    for (const value of early.splice(0)) player.sink(value);
    player.examples(fromBase64(await server.example()).buffer);
  }

  // --- figures --------------------------------------------------------------------------------------

  function figure(element) {
    element.querySelector("#figure-close").addEventListener("click", closeFigure);
    const facts = { role: "dialog", "aria-modal": "true", "aria-label": "Figure" };
    for (const [name, value] of Object.entries(facts)) byId("figure").setAttribute(name, value);
  }

  /** What lies under a figure can be reached by no key and no reader. */
  function cover(covered) {
    for (const id of ["header", "page"]) byId(id).inert = covered;
  }

  function closeFigure() {
    if (!document.body.classList.contains("page-figure")) return;
    document.body.classList.remove("page-figure", "page-drawing");
    cover(false);
    opener?.focus();
  }

  /** The plot before it is hidden until now. */
  function drawn() {
    drawing -= 1;
    if (!drawing) document.body.classList.remove("page-drawing");
  }

  /** What could not be drawn closes its own window, not that of a figure asked for since. */
  function undrawn() {
    drawing -= 1;
    if (!drawing) closeFigure();
  }

  /** The server draws it from the file that is shown, and keeps nothing. */
  function openFigure(data, trigger) {
    const { file } = player.state.run;
    if (!file) return;
    opener = document.activeElement;
    document.body.classList.add("page-figure", "page-drawing");
    cover(true);
    byId("figure-close").focus();
    drawing += 1;
    trigger("figure", {
      kind: data.kind,
      draft: data.draft ?? 0,
      dark: document.body.classList.contains("dark"),
      trace: toBase64(new Uint8Array(file)),
    });
  }

  function toBase64(bytes) {
    let text = "";
    for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
    return btoa(text);
  }

  function fromBase64(text) {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  }

  /** As a key asks for it: Gradio takes a typed number when its box loses the focus. */
  function generate() {
    const box = document.activeElement;
    if (box?.type === "number") box.blur();
    byId("generate")?.click();
    if (box?.type === "number") box.focus();
  }

  // --- once everything stands -------------------------------------------------------------------------

  function ready() {
    // Gradio mounts its pieces in no order that could be relied on.
    if (!["generate", "stop", "fold", "settings", "earlier", "lock"].every(byId) || !promptBox()) {
      requestAnimationFrame(ready);
      return;
    }
    for (const id of ["generate", "stop"]) byId(id).addEventListener("click", single, true);
    byId("generate").addEventListener("click", busy);
    byId("stop").addEventListener("click", () => {
      stopping = true;
    });
    byId("fold").addEventListener("click", () => {
      const open = document.body.classList.toggle("page-settings");
      byId("fold").setAttribute("aria-expanded", String(open));
    });
    byId("settings").addEventListener("input", fold);
    byId("settings").addEventListener("change", fold);
    byId("settings").addEventListener("click", () => setTimeout(fold, 50));
    byId("earlier").addEventListener("change", (event) => {
      if (event.target.value) type(promptBox(), event.target.value);
      event.target.value = "";
      promptBox().focus();
    });
    foldOnceRead();
    listPrompts();
    // After a reload the wall shows the last run, and the box its prompt.
    const [last] = memory.read(PROMPTS) ?? [];
    if (typeof last === "string") type(promptBox(), last);
  }

  // Under a figure no key is the page's or the player's, and Escape first closes what lies over them.
  addEventListener(
    "keydown",
    (event) => {
      const escape = event.key === "Escape";
      const figure = document.body.classList.contains("page-figure");
      if (!figure && !(escape && document.querySelector(":popover-open"))) return;
      event.stopImmediatePropagation();
      if (figure && escape) closeFigure();
    },
    true,
  );

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.altKey) {
      event.preventDefault();
      if (!isBusy()) generate();
    } else if (event.key === "Escape" && isBusy() && !event.isComposing && !document.querySelector("dialog[open]")) {
      event.preventDefault(); // the player leaves it alone
      byId("stop")?.click();
    }
  });

  ready();

  return { ask, badge, drawn, figure, header, mount, over, undrawn };
})();
