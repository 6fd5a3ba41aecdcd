/* A position's nodes: a gap before it, its text, and the noise painted over it. */

/** A position's nodes, and what was last written to them: a write that changes nothing is not made. */
function makePlace(p) {
  const gap = document.createTextNode("");
  const text = document.createTextNode(DOT);
  const paint = document.createTextNode("");
  const layer = el("i", "", paint);
  layer.setAttribute("aria-hidden", "true");
  const span = el("span", "t off", text, layer);
  span.dataset.p = p;
  const was = { name: "t off", text: DOT, lead: "", noise: "", pad: 0, was: "" };
  const write = (name, word, lead, noise, pad, earlier) => {
    if (was.name !== name) {
      // A canvas ends in dozens of dots.
      if (name === CLASS.end) span.setAttribute("aria-hidden", "true");
      else if (was.name === CLASS.end) span.removeAttribute("aria-hidden");
      span.className = was.name = name;
    }
    if (was.text !== word) text.data = was.text = word;
    if (was.lead !== lead) gap.data = was.lead = lead;
    // Noise that a word has covered stays as it is: it fades out under it.
    if (noise && was.noise !== noise) paint.data = was.noise = noise;
    if (Math.abs(was.pad - pad) > 0.004) {
      was.pad = pad;
      span.style.paddingInlineEnd = pad > 0.004 ? `${pad.toFixed(2)}em` : "";
    }
    if (was.was !== earlier) {
      was.was = earlier;
      if (earlier) span.dataset.was = earlier;
      else delete span.dataset.was;
    }
  };
  const hide = (hidden) => {
    if (span.hidden === hidden) return;
    span.hidden = hidden;
    if (hidden) gap.data = was.lead = "";
  };
  return { gap, span, write, hide };
}
