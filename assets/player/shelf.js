/* The shelf: kept drafts and the last runs, in a dialog. */

class Shelf {
  constructor({ act }) {
    this.act = act;
    this.list = el("div", "shelf-list");
    this.note = el("p", "note");
    this.copyAll = button("Copy all kept drafts", { icon: "copy", text: "Copy all" });
    this.openFile = button("Open a .dgemma file", { icon: "open", text: "Open a file", act: () => this.pickFile() });
    this.element = createDialog("Kept drafts", this.note, this.list);
    this.element.classList.add("shelf");
    this.element.querySelector(".row").prepend(this.copyAll, this.openFile);
    this.title = this.element.querySelector("h2");
    this.status = el("p", "dg-unseen");
    this.status.setAttribute("aria-live", "polite");
    this.element.append(this.status);
  }

  pickFile() {
    this.element.close();
    this.act.pickFile();
  }

  open(player, kind) {
    this.fill(player, kind);
    this.element.showModal();
  }

  fill(player, kind) {
    const kept = kind === "kept";
    const { state } = player;
    setText(this.title, kept ? "Kept drafts" : "Runs in this browser");
    this.element.setAttribute("aria-label", this.title.textContent);
    const texts = [...state.kept.values()].reverse();
    this.copyAll.hidden = !(kept && texts.length);
    this.openFile.hidden = kept;
    const written = texts.map((entry) => entry.text).filter(Boolean);
    this.copyAll.onclick = () => this.copy(this.copyAll, written.join("\n\n---\n\n"));
    setText(this.copyAll.lastChild, "Copy all");
    const none = "Nothing kept yet. Press the star on a draft, or K.";
    const stay = player.remembers ? `The last ${RUNS_MOST} runs stay in this browser; older ones make room.` : "Runs stay until this page is closed.";
    const runs = `${stay} A file can also be dropped on the page.`;
    setText(this.note, kept ? (texts.length ? "" : none) : runs);
    this.list.replaceChildren(...(kept ? texts.map((entry) => this.keptEntry(player, entry)) : state.shelf.map((run) => this.runEntry(player, run))));
  }

  keptEntry(player, entry) {
    const remove = button("Remove", {
      text: "Remove",
      act: async () => {
        const at = [...this.list.children].findIndex((one) => one.contains(remove));
        await this.drop(player, entry.key);
        this.fill(player, "kept");
        setText(this.status, "Removed.");
        const next = this.list.children[at] ?? this.list.lastElementChild;
        (next ?? this.element).querySelector(next ? "button" : ".plain").focus();
      },
    });
    const copy = button("Copy", { icon: "copy", text: "Copy", act: () => this.copy(copy, entry.text) });
    const seed = entry.seed === null ? "" : `, seed ${entry.seed}`;
    const facts = el("small", "", `Draft ${entry.draft + 1}${seed}, ${entry.model}, ${dateOf(entry.at)}`);
    return el("article", "", facts, el("p", "prompt", entry.prompt), el("p", "text", entry.text || "No finished text."), el("div", "row", copy, remove));
  }

  runEntry(player, run) {
    const open = button("Open", {
      text: "Open",
      act: () => {
        this.element.close();
        player.incoming.openStored(run.id);
      },
    });
    const current = player.state.run?.id === run.id;
    const facts = el("small", "", `${many(run.drafts, "draft")}, ${dateOf(run.at)}, ${sizeInWords(run.size)}${current ? ", on screen" : ""}`);
    return el("article", "", el("p", "prompt", run.prompt), el("div", "row", facts, open));
  }

  async toggle(player, draft) {
    const { run, kept, model } = player.state;
    const track = run.tracks[draft];
    const key = keptKey(run, track);
    if (kept.has(key)) return this.drop(player, key);
    const text = textOfTrack(run, track) ?? "";
    const prompt = promptOf(run);
    const name = run.model?.name ?? model?.name ?? "";
    const entry = { key, draft, text, prompt, seed: track.seed, model: name, settings: track.settings, at: Date.now(), writing: run.live };
    const note = await player.store.keep(entry);
    const full = note === FULL_KEPT || note === FULL_DISK_KEPT;
    if (!full) player.change({ kept: new Map(player.state.kept).set(key, entry) });
    this.refresh(player);
    if (note) player.tell(note, full);
    else player.bar.say(`Draft ${draft + 1} kept.`);
    return undefined;
  }

  /** Drafts that were kept while they were written get the text that they ended with. */
  refresh(player) {
    const { run } = player.state;
    if (!run || run.live) return;
    for (const track of run.tracks) {
      const entry = player.state.kept.get(keptKey(run, track));
      if (!entry?.writing) continue;
      const whole = { ...entry, text: textOfTrack(run, track) ?? "", writing: false };
      player.change({ kept: new Map(player.state.kept).set(entry.key, whole) });
      player.store.keep(whole);
    }
  }

  /** The page's own status is not heard while a dialog is open. */
  async copy(pressed, text) {
    const done = text !== "" && (await copyText(text));
    setText(pressed.lastChild, done ? "Copied" : "Not copied");
    setText(this.status, done ? "Copied." : NOT_COPIED);
  }

  async drop(player, key) {
    const kept = new Map(player.state.kept);
    kept.delete(key);
    player.change({ kept });
    await player.store.unkeep(key);
  }
}

function dateOf(at) {
  return new Date(at).toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
}
