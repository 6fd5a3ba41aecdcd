/* What the script leaves behind: `DGemmaPlayer`, with the pure parts for whoever wants to read a trace without a page,
   and for tests. */

globalThis.DGemmaPlayer = {
  mount,
  parts: {
    decodeTrace,
    decodeMessage,
    trackStats,
    timeAxis,
    framesBySlot,
    inkOf,
    inkOfEntropy,
    bandOfRank,
    visible,
    Compositor,
    overflowing,
    decidedTokens,
  },
};
