// How far words that can be read move from one step to the next: over a live run's records, or over a replay.
async (records) => {
  const before = new Map();
  let [words, pixels] = [0, 0];
  const look = () => player.wall.cards.forEach((card, d) => {
    const { run, slot } = player.state;
    const frame = run.tracks[d].frames[run.axis.frames[d][slot]];
    card.sheet.places.forEach(({ span }, p) => {
      const key = `${d}/${p}`;
      const noise = / (z|off|e)( |$)/.test(span.className) || span.hidden;
      // A live canvas that ends is set anew, once.
      if (noise || (run.live && frame?.ended)) return before.delete(key);
      // The edge at which the word begins.
      const edge = card.sheet.host.dir === "rtl" ? span.offsetLeft + span.offsetWidth : span.offsetLeft;
      const now = [edge, span.offsetTop];
      const was = before.get(key);
      if (was) {
        words++;
        pixels += Math.hypot(now[0] - was[0], now[1] - was[1]);
      }
      before.set(key, now);
    });
  });
  if (records) for (const record of records) {
    await player.sink(record);
    if (!player.state.run) continue;
    player.render();
    look();
  } else for (let slot = 0; slot <= Number(document.querySelector("[aria-label=Step]").max); slot++) {
    player.act.go(slot, true);
    look();
  }
  return { words, mean: pixels / words };
}
