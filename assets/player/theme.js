/* The colours of the page as a canvas needs them: read from the stylesheet once per theme. */

/** "#rrggbb" as a little-endian pixel of image data. */
function pixel(hex, alpha = 255) {
  const value = parseInt(hex.slice(1), 16);
  return ((alpha << 24) | ((value & 255) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

/** @param {Element} root @returns {Object} both ramps as colours, and what is painted pixel by pixel */
function readTheme(root) {
  const style = getComputedStyle(root);
  const token = (name) => style.getPropertyValue(`--${name}`).trim();
  const ramp = (letter) => Array.from({ length: LEVELS }, (_, k) => token(`${letter}${k}`));
  const ink = ramp("i");
  return {
    ink,
    band: ramp("w"),
    pixels: ink.map((hex) => pixel(hex)),
    pale: ink.map((hex) => pixel(hex, 102)),
    faint: pixel(ink[10], 60),
    accent: pixel(token("accent")),
    red: token("accent"),
    rule: token("rule"),
    paper: token("paper"),
    ink2: token("ink-2"),
    ink3: token("ink-3"),
    sans: token("sans"),
  };
}
