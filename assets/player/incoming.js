/* What comes in: the sink's records, the file at a run's end, files of this machine, and what the browser remembers.
   Each becomes the run on screen. */

const CUT_SHORT = "The page was reloaded in mid-run: this is what had arrived.";
const NOT_FETCHED = "The run's file could not be fetched; what was received is shown.";
const ON_ITS_WAY = "A run is on its way: stop it or let it end, then open another.";
/** Milliseconds before each further try to fetch a run's file: a tunnel or a network may be away for a while. */
const FETCH_PAUSES = [500, 2000, 6000];
const GONE = "This run is no longer in this browser: newer ones took its place.";
const sentenceOf = (error) =>
  error instanceof TraceError ? error.message : "Something went wrong in this page; the drafts on screen are untouched.";

class Incoming {
  /** @param {Player} player @param {Object} store @param {function(string): void} [onFail] shows why a run failed */
  constructor(player, store, onFail) {
    Object.assign(this, { player, store, onFail, turn: Promise.resolve() });
  }

  /** Records of the sink, in their order: "m" + a live message, "s" + the run's state. @param {string} text */
  take(text) {
    for (const record of String(text ?? "").split("\n")) {
      if (!record) continue;
      // What cannot be read is said, and the next record may still be whole.
      this.turn = this.turn.then(() => this.receive(record)).catch((error) => this.complain(error));
    }
    return this.turn;
  }

  /** Behind the records that came before it. @param {string} sentence */
  cutOff(sentence) {
    this.turn = this.turn.then(() => {
      const { state } = this.player;
      if (isBusy(state)) this.fail({ run: (state.coming ?? state.run)?.id, sentence });
    });
    return this.turn;
  }

  complain(error) {
    console.warn("DGemma Play:", error);
    this.player.tell(sentenceOf(error), true);
  }

  receive(record) {
    if (record[0] === "m") return this.frames(record.slice(1));
    if (record[0] === "s") return this.status(JSON.parse(record.slice(1)));
    return undefined;
  }

  async frames(text) {
    const { player } = this;
    const { state } = player;
    const message = await decodeMessage(text);
    const run = state.coming?.id === message.run ? state.coming : state.run;
    if (run?.id !== message.run || !run.live || !addMessage(run, message)) return;
    this.store.addLive(run.id, message.seq, text);
    // The run before stays on screen until now.
    if (run === state.coming) player.show(run, { phase: "running", slot: lastSlot(run) });
    else player.change({ slot: state.follow ? lastSlot(run) : state.slot, quick: false });
  }

  async status(status) {
    const { player } = this;
    if (status.state === "queued") {
      player.bar.say(status.place ? `Waiting: ${many(status.place, "run")} before yours.` : "Waiting: yours is next.");
      player.change({ phase: "queued", queue: { place: status.place, seconds: status.seconds }, sentence: "" });
    } else if (status.state === "running") {
      this.store.beginLive(status);
      player.bar.say(`Denoising ${many(status.drafts, "draft")}.`);
      player.change({ phase: "running", coming: createLiveRun(status), queue: null, sentence: "" });
    } else if (status.state === "finished" || status.state === "stopped") await this.finish(status);
    else if (status.state === "failed") this.fail(status);
    else if (status.state === "note") player.tell(status.sentence);
  }

  /** The trace file is the truth: it takes the place of what was received. */
  async finish(status) {
    const { player } = this;
    let whole = null;
    try {
      whole = await this.read(await fetched(status.url), { id: status.run, name: status.name ?? "", source: "run" });
    } catch (error) {
      return this.finishWithout(status, error);
    }
    // Only now: while the file came, the visitor may have gone elsewhere in the run.
    const { run, follow, slot } = player.state;
    const last = lastSlot(whole);
    player.show(whole, { phase: status.state, slot: run?.id === status.run && !follow ? Math.min(slot, last) : last });
    player.bar.say(status.state === "stopped" ? "Stopped. Every finished step stays." : "Finished.");
    return this.remember(whole);
  }

  /** The run's file did not come, or cannot be read. */
  finishWithout(status, error) {
    const { player } = this;
    const { run } = player.state;
    if (run?.id === status.run) this.keepReceived(run, status.state, sentenceOf(error));
    else player.change({ phase: "failed", coming: null });
    this.complain(error);
  }

  /** A run that failed leaves on screen what it had written, or the run before it. */
  fail(status) {
    const { player } = this;
    const { run } = player.state;
    if (run?.live && run.id === status.run) this.keepReceived(run, "failed", status.sentence);
    else player.change({ phase: "failed", coming: null, queue: null, sentence: "" });
    if (this.onFail) this.onFail(status.sentence);
    else player.tell(status.sentence, true);
  }

  /** @param {string} sentence what a reload says beside it */
  keepReceived(run, phase, sentence) {
    const { player, store } = this;
    const track = run.tracks[player.state.draft];
    closeRun(run, phase);
    store.endLive(run.id, phase, sentence);
    player.change({ draft: run.tracks.indexOf(track) });
    player.show(run, { phase, slot: Math.min(player.state.slot, lastSlot(run)) });
  }

  // --- files ---------------------------------------------------------------------------------------

  /** @param {ArrayBuffer} file @param {{id: string, name: string, source: string}} facts @returns {Promise<Object>} a run */
  async read(file, facts) {
    const run = await decodeTrace(file);
    return Object.assign(run, { ...facts, file, live: false, version: "file" });
  }

  /**
   * @param {ArrayBuffer} file @param {{name: string, source: "run" | "file" | "example", id: string, remember: boolean}} facts
   * @throws {TraceError} where it cannot be read, or a run has begun meanwhile; the example then just gives way
   */
  async openTrace(file, { name = "", source = "file", id = null, remember = source !== "example" } = {}) {
    const { player } = this;
    const run = await this.read(file, { id: id ?? `${source}:${name}:${file.byteLength}`, name, source });
    const example = source === "example";
    if (example && (player.state.run || player.state.phase !== "empty")) return run;
    if (isBusy(player.state)) throw new TraceError(ON_ITS_WAY);
    player.show(run, { phase: example ? "empty" : "finished", hello: example, slot: example ? player.restingSlot(run) : lastSlot(run) });
    if (remember) await this.remember(run);
    return run;
  }

  /** A run of the shelf. */
  async openStored(id) {
    try {
      const stored = await this.store.run(id);
      if (!stored) throw new TraceError(GONE);
      await this.openTrace(stored.buffer, { id, name: stored.name, source: "run", remember: false });
    } catch (error) {
      this.complain(error);
    }
  }

  /** A file of this machine. One that cannot be read gets a sentence and leaves everything as it was. @param {File} file */
  async openFile(file) {
    const { player } = this;
    if (isBusy(player.state)) return player.tell(ON_ITS_WAY, true);
    const { phase, sentence, alarm } = player.state;
    player.change({ phase: "loading", sentence: `${file.name}, ${sizeInWords(file.size)}` }, true);
    try {
      if (file.size > FILE_BYTES) throw new TraceError(`The file is larger than ${sizeInWords(FILE_BYTES)} and was not read.`);
      await this.openTrace(await file.arrayBuffer(), { name: file.name });
      player.bar.say(`${file.name} is open.`);
    } catch (error) {
      // A run may have begun meanwhile: what it says stays.
      if (player.state.phase === "loading") player.change({ phase, sentence, alarm }, true);
      this.complain(error);
    }
    return undefined;
  }

  // --- memory --------------------------------------------------------------------------------------

  /** After a reload: what was kept, and the latest run as far as it had come. */
  async restore() {
    const { player, store } = this;
    const kept = await store.kept();
    player.change({ kept: new Map(kept.map((entry) => [entry.key, entry])), shelf: await store.runs() });
    const last = await store.lastRun();
    if (!last) return;
    const run = last.buffer
      ? await this.read(last.buffer, { id: last.id, name: last.name, source: "run" })
      : await receivedRun(last);
    // Meanwhile another one may have begun.
    if (player.state.run || isBusy(player.state) || !run.tracks.length) return;
    const { ended = "stopped", sentence = CUT_SHORT } = last;
    player.show(run, { phase: last.buffer ? "finished" : ended, slot: lastSlot(run) });
    if (last.buffer) return;
    player.tell(sentence);
    store.endLive(run.id, ended, sentence);
  }

  async remember(run) {
    const { player, store } = this;
    const prompt = promptOf(run);
    const note = await store.saveRun({ id: run.id, name: run.name, prompt, drafts: run.tracks.length, buffer: run.file });
    // What had arrived of it is still there: a reload is to tell that the run ended and why it is not whole.
    if (note) await store.endLive(run.id, "finished", note);
    // The run is on screen, whatever the browser's memory says.
    player.change({ shelf: await store.runs().catch(() => player.state.shelf) });
    if (note) player.tell(note);
  }
}

/** The server keeps the file for a while, so a lost connection costs only time. @throws {TraceError} */
async function fetched(url) {
  for (const pause of [0, ...FETCH_PAUSES]) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    try {
      const response = await fetch(url);
      if (response.ok) return await response.arrayBuffer();
      if (response.status < 500) break; // a proxy says 502 or 504 while the server is away
    } catch (error) {
      console.warn("DGemma Play:", error);
    }
  }
  throw new TraceError(NOT_FETCHED);
}

/** A run that was interrupted, from the messages that had arrived. */
async function receivedRun({ status, messages, ended = "stopped" }) {
  const run = createLiveRun(status);
  for (const text of messages) addMessage(run, await decodeMessage(text));
  closeRun(run, ended);
  // When they came is not remembered.
  for (const track of run.tracks) for (const frame of track.frames) frame.seconds = null;
  return run;
}
