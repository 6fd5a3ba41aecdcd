/* Token text. It is hostile: it reaches the page as text nodes and attributes only, never as markup. */

/** Characters that are not seen, or that turn their neighbours around. */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/;
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const FROM_RIGHT = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}]/u;
const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const PARTS = /^(\s*)([^]*?)(\s*)$/;
/** What never begins a line: closing punctuation, and a word's later half (no space before it). */
const JOINS = /^[\p{Ll}\p{N}\p{Script=Arabic}\p{Script=Hebrew},.;:!?…)\]}’”'"%-]/u;

/**
 * Widths of the reading face in em, each word measured once.
 * @returns {{width: function(string): number, forget: function(): void}}
 */
function createRuler() {
  const context = document.createElement("canvas").getContext("2d");
  const known = new Map();
  const measure = (text) => {
    context.font = '100px "DG Serif", Charter, Cambria, Georgia, "Noto Serif", serif';
    return context.measureText(text).width / 100;
  };
  return {
    width(text) {
      let width = known.get(text);
      if (width === undefined) known.set(text, (width = measure(text)));
      return width;
    },
    forget: () => known.clear(),
  };
}

/**
 * What the layout asks of a word, worked out once per run.
 * @returns {{lead: string, core: string, tail: string, breaks: number, joins: boolean, end: boolean, bidi: boolean}}
 */
function wordFacts(run, index) {
  run.facts ??= [];
  return (run.facts[index] ??= makeFacts(run.words[index] ?? "", run.eosIds.has(run.ids[index])));
}

function makeFacts(word, end) {
  let [, lead, core, tail] = PARTS.exec(word);
  // White space alone: a line break is a break, blanks are a word of their own (an indent).
  if (!core && /[\n\r]/.test(lead)) [lead, tail] = ["", lead];
  else if (!core) [lead, core] = ["", lead];
  tail = tail.replace(/\r\n?/g, "\n");
  return {
    lead,
    core: core.toWellFormed ? core.toWellFormed() : core,
    tail: end ? "" : tail,
    breaks: end ? 0 : Math.min(3, (tail.match(/\n/g) ?? []).length),
    joins: !lead && JOINS.test(core),
    end,
    bidi: BIDI.test(word),
  };
}

/** Whether most words of a text are of a script that is read from the right. @param {ArrayLike<number>} words indices */
function readsFromRight(run, words) {
  let balance = 0;
  for (const word of words) {
    const core = word < 0 ? "" : wordFacts(run, word).core;
    if (FROM_RIGHT.test(core)) balance++;
    else if (/\p{L}/u.test(core)) balance--;
  }
  return balance > 0;
}

/** A word for a sentence: no blanks around it, never empty. */
function spoken(run, index) {
  const facts = wordFacts(run, index);
  if (facts.end) return "end of text";
  if (!facts.core) return "line break";
  return facts.core.trim() ? visible(facts.core.trim()) : "blank";
}

/** Every character can be seen: ⋅ blank, ↵ line break, ⇥ tab, controls and half characters by number, bytes as hex. */
function visible(text) {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(text);
  if (byte) return `0x${byte[1].toUpperCase()}`;
  const code = (char) => `U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  const shown = Array.from(text, (char) => {
    if (char === " ") return "⋅";
    if (char === "\n") return "↵";
    if (char === "\t") return "⇥";
    return UNSEEN.test(char) || LONE.test(char) ? code(char) : char;
  });
  return shown.join("");
}

/** Noise is decoration and must not repeat: one integer hash, known everywhere. */
function hash(a, b) {
  let h = Math.imul(a + 0x9e37, 0x85ebca6b) ^ Math.imul(b + 0x79b9, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x27d4eb2f);
  return (h ^ (h >>> 13)) >>> 0;
}

const GRAIN_WIDTH = 0.41;
const GRAIN_GLYPHS = 24;
const GRAIN_POOL = 2048;
/** A long ribbon of grain per density (3 × 24 glyphs at U+E000), from which slots are cut. */
const GRAIN = [0, 1, 2].map((density) =>
  Array.from({ length: GRAIN_POOL + 64 }, (_, k) =>
    String.fromCharCode(0xe000 + GRAIN_GLYPHS * density + (hash(k, density) % GRAIN_GLYPHS)),
  ).join(""),
);

/** Grain that fills a slot. @param {number} seed @param {number} width em @param {0 | 1 | 2} density */
function grain(seed, width, density) {
  const count = Math.min(64, Math.ceil(width / GRAIN_WIDTH));
  const at = hash(seed, 7) % GRAIN_POOL;
  return GRAIN[density].slice(at, at + count);
}

const MONO_WIDTH = 0.48;
/** A random token cut to whole letters that fit its slot; a long rest is grain. */
function fitted(core, seed, width) {
  const room = Math.floor((width + 0.03) / MONO_WIDTH);
  const cut = core.length <= room ? core : Array.from(core).slice(0, room).join("");
  const rest = width - cut.length * MONO_WIDTH;
  return rest > 0.66 || !cut ? cut + grain(seed, rest, 0) : cut;
}
