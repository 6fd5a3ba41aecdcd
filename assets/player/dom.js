/* Elements. Text goes in by `textContent` and text nodes; there is no other way in this player. */

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  play: [["path", { d: "M6 3.6v12.8L16.2 10z", fill: "currentColor" }]],
  pause: [["path", { d: "M5.5 4h3v12h-3zM11.5 4h3v12h-3z", fill: "currentColor" }]],
  stop: [["rect", { x: 5, y: 5, width: 10, height: 10, rx: 1, fill: "currentColor" }]],
  star: [["path", { d: "M10 2.6l2.2 4.8 5.2.6-3.9 3.5 1.1 5.1L10 14l-4.6 2.6 1.1-5.1L2.6 8l5.2-.6z" }]],
  copy: [["path", { d: "M7 7h9v9.5H7zM4 13V3.5h9" }]],
  back: [["path", { d: "M12 4.5L6.5 10l5.5 5.5" }]],
  open: [["path", { d: "M4 8V4h4M16 12v4h-4M12 4h4v4M8 16H4v-4" }]],
  whole: [["path", { d: "M4 10h12M10 7V3M8 4.8l2-2 2 2M10 13v4M8 15.2l2 2 2-2" }]],
  figure: [["path", { d: "M3.5 3.5v13h13M6.5 13l3-4 3 2 4-5.5" }]],
  download: [["path", { d: "M10 3.500v9M6.500 9.500l3.500 3.500 3.500-3.500M4 16.500h12" }]],
  runs: [["path", { d: "M4 5h12M4 10h12M4 15h7" }]],
  done: [["path", { d: "M4 10.500l4 4 8-9" }]],
  close: [["path", { d: "M5 5l10 10M15 5L5 15" }]],
};

/** @returns {HTMLElement} */
function el(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  drawIcon(svg, name);
  return svg;
}

function drawIcon(svg, name) {
  svg.setAttribute("class", `dg-icon dg-icon-${name}`);
  svg.replaceChildren(
    ...ICONS[name].map(([tag, attributes]) => {
      const shape = document.createElementNS(SVG, tag);
      for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
      return shape;
    }),
  );
}

/** A button with a name; the icon is never its only name. */
function button(label, { icon: name, text, act, quiet = true } = {}) {
  const element = el("button", `${quiet ? "dg-quiet" : ""} ${text ? "" : "dg-square"}`.trim());
  element.type = "button";
  if (name) element.append(icon(name));
  if (text) element.append(el("span", "", text));
  else element.setAttribute("aria-label", label);
  element.title = label;
  if (act) {
    element.addEventListener("click", (event) => {
      event.stopPropagation();
      act(event);
    });
  }
  return element;
}

/** Writes only what changed: most frames leave most of the page as it is. */
function setText(node, text) {
  if (node.said === text) return;
  node.said = text;
  node.textContent = text;
}

function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/**
 * A row of choices: a radio group that arrows walk through.
 * @param {string} label @param {[string, string][]} choices value and word @param {function(string): void} choose
 * @returns {{element: HTMLElement, mark: function(string): void}}
 */
function segments(label, choices, choose) {
  const group = el("div", "dg-seg");
  group.setAttribute("role", "radiogroup");
  group.setAttribute("aria-label", label);
  const buttons = choices.map(([value, word]) => {
    const choice = el("button", "", word);
    choice.type = "button";
    choice.setAttribute("role", "radio");
    choice.dataset.value = value;
    choice.addEventListener("click", () => choose(value));
    return choice;
  });
  group.append(...buttons);
  group.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const next = buttons[(buttons.indexOf(document.activeElement) + by + buttons.length) % buttons.length];
    next.click();
    next.focus();
  });
  const mark = (value) => {
    for (const choice of buttons) {
      const on = choice.dataset.value === String(value);
      setAttribute(choice, "aria-checked", on);
      choice.tabIndex = on ? 0 : -1;
    }
  };
  return { element: group, mark };
}

/** Sizes a canvas to its box and the screen's pixels; sizes are read once per layout. @returns {[ctx, w, h]} */
function fitCanvas(canvas, sizes) {
  let size = sizes.get(canvas);
  if (!size) sizes.set(canvas, (size = [canvas.clientWidth, canvas.clientHeight]));
  const [width, height] = size;
  const scale = globalThis.devicePixelRatio || 1;
  const pixels = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== pixels[0]) canvas.width = pixels[0];
  if (canvas.height !== pixels[1]) canvas.height = pixels[1];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, width, height];
}

/**
 * A drawing that stays until its key changes. It lies on a canvas outside the page, because setting a font on one in
 * the page makes the browser work out every style in mid-frame.
 */
class Layer {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.key = null;
  }

  /** @param {string} key @param {[number, number]} size in CSS pixels @param {function(CanvasRenderingContext2D): void} paint */
  drawn(key, [width, height], paint) {
    const scale = globalThis.devicePixelRatio || 1;
    const whole = `${key}|${width}|${height}|${scale}`;
    if (this.key === whole) return this.canvas;
    this.key = whole;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const context = this.canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    paint(context);
    return this.canvas;
  }
}

const percent = (share) => `${Math.round(100 * share)} %`;
const many = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

const NOT_COPIED = "This browser did not let the page copy.";

/** @returns {Promise<boolean>} whether the text is in the clipboard */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard without https or permission: a selection that the browser copies itself.
    const area = el("textarea");
    area.value = text;
    area.style.cssText = "position: fixed; opacity: 0";
    // What lies behind an open dialog cannot be selected.
    const focused = document.activeElement;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return done;
  }
}
