/* What comes in: the sink's records, the file at a run's end, files of this machine, and what the browser remembers.
   Each becomes the run on screen. */

const CUT_SHORT = "The page was reloaded in mid-run: this is what had arrived.";
const NOT_FETCHED = "The run's file could not be fetched; what was received is shown.";
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
    const { run, follow, slot } = player.state;
    const current = run?.id === status.run ? run : null;
    try {
      const whole = await this.read(await fetched(status.url), { id: status.run, name: status.name ?? "", source: "run" });
      const at = current && !follow ? Math.min(slot, lastSlot(whole)) : lastSlot(whole);
      player.show(whole, { phase: status.state, slot: at });
      await this.remember(whole);
      player.bar.say(status.state === "stopped" ? "Stopped. Every finished step stays." : "Finished.");
    } catch (error) {
      if (current) this.keepReceived(current, status.state);
      else player.change({ phase: "failed", coming: null });
      player.tell(sentenceOf(error), true);
    }
  }

  /** A run that failed leaves on screen what it had written, or the run before it. */
  fail(status) {
    const { player } = this;
    const { run } = player.state;
    if (run?.live && run.id === status.run) this.keepReceived(run, "failed");
    else player.change({ phase: "failed", coming: null, queue: null, sentence: "" });
    if (this.onFail) this.onFail(status.sentence);
    else player.tell(status.sentence, true);
  }

  keepReceived(run, phase) {
    closeRun(run, phase);
    this.player.show(run, { phase, slot: Math.min(this.player.state.slot, lastSlot(run)) });
  }

  // --- files ---------------------------------------------------------------------------------------

  /** @param {ArrayBuffer} file @param {{id: string, name: string, source: string}} facts @returns {Promise<Object>} a run */
  async read(file, facts) {
    const run = await decodeTrace(file);
    return Object.assign(run, { ...facts, file, live: false, version: 1 });
  }

  /** @param {ArrayBuffer} file @param {{name: string, source: "run" | "file" | "example", id: string}} facts */
  async openTrace(file, { name = "", source = "file", id = null } = {}) {
    const { player } = this;
    const run = await this.read(file, { id: id ?? `${source}:${name}:${file.byteLength}`, name, source });
    const example = source === "example";
    player.show(run, { phase: example ? "empty" : "finished", hello: example, slot: example ? player.restingSlot(run) : lastSlot(run) });
    if (!example) await this.remember(run);
    return run;
  }

  /** A file of this machine. One that cannot be read gets a sentence and leaves everything as it was. @param {File} file */
  async openFile(file) {
    const { player } = this;
    if (isBusy(player.state)) return player.tell("A run is on its way: stop it or let it end, then open the file.", true);
    const before = { ...player.state };
    player.change({ phase: "loading", sentence: `${file.name}, ${sizeInWords(file.size)}` }, true);
    try {
      if (file.size > FILE_BYTES) throw new TraceError(`The file is larger than ${sizeInWords(FILE_BYTES)} and was not read.`);
      await this.openTrace(await file.arrayBuffer(), { name: file.name });
      player.bar.say(`${file.name} is open.`);
    } catch (error) {
      player.change(before, true);
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
    if (player.state.run || player.state.coming || !run.tracks.length) return;
    player.show(run, { phase: last.buffer ? "finished" : "stopped", slot: lastSlot(run) });
    if (!last.buffer) player.tell(CUT_SHORT);
  }

  async remember(run) {
    const prompt = run.prompt[run.prompt.length - 1]?.content ?? "";
    const note = await this.store.saveRun({ id: run.id, name: run.name, prompt, drafts: run.tracks.length, buffer: run.file });
    this.player.change({ shelf: await this.store.runs() });
    if (note) this.player.tell(note);
  }
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new TraceError(NOT_FETCHED);
  return response.arrayBuffer();
}

/** A run that was interrupted, from the messages that had arrived. */
async function receivedRun({ status, messages }) {
  const run = createLiveRun(status);
  for (const text of messages) addMessage(run, await decodeMessage(text));
  closeRun(run, "stopped");
  return run;
}
