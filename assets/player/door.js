/* What the script leaves behind: `DGemmaPlayer`, with the pure parts for whoever wants to read a trace without a page,
   and for tests. */

globalThis.DGemmaPlayer = {
  mount,
  parts: {
    decodeTrace,
    decodeMessage,
    settledSteps,
    revisionsOf,
    lostOf,
    trackStats,
    timeAxis,
    framesBySlot,
    rankOf,
    inkOf,
    inkOfEntropy,
    bandOfStep,
    bandOfRank,
    visible,
    makeFacts,
    Compositor,
    overflowing,
    decidedTokens,
  },
};
