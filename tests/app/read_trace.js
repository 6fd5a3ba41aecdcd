// A trace as plain JSON, as tests/golden/make.py writes it, read by the player.
async (base64) => {
  const { decodeTrace, trackStats } = DGemmaPlayer.parts;
  const run = await decodeTrace(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
  const ids = (plane) => plane && Array.from(plane, (index) => run.ids[index]);
  const five = (frame, words) => Array.from(frame.canvas, (_, p) => {
    const at = frame.rivals.at[p];
    if (at < 0) return null;
    return [0, 1, 2, 3, 4].map((k) => (words ? run.ids[frame.rivals.words[at + k]] : frame.rivals.probs[at + k]));
  });
  const column = (track, read) => track.frames.map(read);
  return {
    prompt: run.prompt,
    canvas_length: run.canvasLength,
    eos_ids: [...run.eosIds],
    words: Object.fromEntries(run.ids.map((id, k) => [id, run.words[k]])),
    tracks: run.tracks.map((track) => {
      const stats = trackStats(run, track);
      const revisions = Array(stats.settled.length).fill(0);
      for (const event of stats.revisions) revisions[event.position]++;
      return {
        seed: track.seed, ended: track.ended, text: track.text, steps_used: track.stepsUsed,
        block: column(track, (f) => f.block), step: column(track, (f) => f.step), canvas_ended: column(track, (f) => f.ended),
        canvas_ids: column(track, (f) => ids(f.canvas)), best_ids: column(track, (f) => ids(f.best)),
        confidence: column(track, (f) => f.confidence && [...f.confidence]),
        entropy: column(track, (f) => f.entropy && [...f.entropy]),
        accepted: column(track, (f) => f.accepted && [...f.accepted]),
        top_ids: column(track, (f) => f.best && five(f, true)), top_probs: column(track, (f) => f.best && five(f, false)),
        settled: [...stats.settled], revisions,
        lost: [...new Set(column(track, (f) => f.block))].map((block) => stats.lost
          .filter((event) => Math.floor(event.position / run.canvasLength) === block)
          .map((event) => [event.pass, event.position % run.canvasLength])),
      };
    }),
  };
}
