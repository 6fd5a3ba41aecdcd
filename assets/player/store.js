/* What this browser remembers: kept drafts, the last runs, and what arrived of a run in progress. All bounded. */

const DATABASE = "dgemma-play";
const KEPT_MOST = 200;
const RUNS_MOST = 12;
const RUNS_BYTES = 48 * 2 ** 20;
const DAY = 86_400_000;
/** A run in progress is remembered up to this many characters of messages. */
const LIVE_CHARACTERS = 24 * 2 ** 20;
const FULL_KEPT = `${KEPT_MOST} drafts are kept, which is as many as fit: remove one first.`;
const FULL_DISK = "This browser's storage is full: the run is shown but not remembered.";
const FULL_DISK_KEPT = "This browser's storage is full: the draft is not kept.";
const NO_STORE = "This browser lets the page remember nothing: what you keep is gone when it closes.";

const promised = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

function openDatabase() {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => {
    const database = request.result;
    database.createObjectStore("kept", { keyPath: "key" });
    database.createObjectStore("runs", { keyPath: "id" });
    database.createObjectStore("live", { keyPath: ["run", "seq"] });
    database.createObjectStore("begun", { keyPath: "run" });
  };
  return promised(request);
}

/** This tab's name, the same after a reload: each tab has a run in progress of its own. It is locked while it is open. */
function nameOfTab() {
  let name = "";
  try {
    name = sessionStorage["dgemma-tab"] ??= `dgemma-tab-${Math.random().toString(36).slice(2)}`;
  } catch {
    // Nothing is remembered then.
  }
  if (name) navigator.locks?.request(name, () => new Promise(() => {})).catch(() => undefined);
  return name;
}

/** Whether a tab is closed: its run in progress is then for whoever comes next. Unknown without https. */
async function closedTabs() {
  const locks = await navigator.locks?.query().catch(() => null);
  const open = locks && new Set([...locks.held, ...locks.pending].map((lock) => lock.name));
  return (name) => Boolean(open) && !open.has(name);
}

/** A run's messages. */
const messagesOf = (run) => IDBKeyRange.bound([run, 0], [run, Infinity]);

/** Forgets the runs in progress that a test finds. */
async function dropLive(live, begun, test) {
  for (const { run } of (await promised(begun.getAll())).filter(test)) {
    begun.delete(run);
    live.delete(messagesOf(run));
  }
}

/** IndexedDB where the browser allows it, else memory. */
function createStore() {
  const tab = nameOfTab();
  const memory = createMemoryStore();
  let opening = null;
  try {
    opening = openDatabase().catch(() => null);
  } catch {
    opening = Promise.resolve(null);
  }
  let characters = 0;
  /** @param {"readonly" | "readwrite"} mode */
  const use = async (mode, names, work, otherwise) => {
    const database = await opening;
    if (!database) return otherwise();
    const transaction = database.transaction(names, mode);
    const stores = names.map((name) => transaction.objectStore(name));
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
    const [result] = await Promise.all([work(...stores), done]);
    return result;
  };

  return {
    kept: () =>
      use("readonly", ["kept"], async (kept) => (await promised(kept.getAll())).sort((a, b) => a.at - b.at), memory.kept),

    /** @returns {Promise<string>} a sentence where it could not be kept, else "" */
    keep: (entry) =>
      use(
        "readwrite",
        ["kept"],
        async (kept) => {
          const isNew = !(await promised(kept.getKey(entry.key)));
          if (isNew && (await promised(kept.count())) >= KEPT_MOST) return FULL_KEPT;
          kept.put(entry);
          return "";
        },
        () => memory.keep(entry),
      ).catch(() => FULL_DISK_KEPT),

    unkeep: (key) => use("readwrite", ["kept"], (kept) => promised(kept.delete(key)), () => memory.unkeep(key)),

    runs: () =>
      use("readonly", ["runs"], async (runs) => (await promised(runs.getAll())).map(summaryOf).sort((a, b) => b.at - a.at), memory.runs),

    run: (id) => use("readonly", ["runs"], (runs) => promised(runs.get(id)), () => memory.run(id)),

    /** @returns {Promise<string>} a sentence where it could not be kept, else "" */
    saveRun: (run) =>
      use(
        "readwrite",
        ["runs", "live", "begun"],
        async (runs, live, begun) => {
          const entry = { ...run, at: Date.now(), size: run.buffer.byteLength };
          const others = (await promised(runs.getAll())).filter((one) => one.id !== run.id).sort((a, b) => b.at - a.at);
          for (const old of overflowing(entry, others)) runs.delete(old.id);
          runs.put(entry);
          await dropLive(live, begun, (one) => one.run === run.id || (one.tab === tab && one.ended));
          return "";
        },
        () => memory.saveRun(run),
      ).catch(() => FULL_DISK),

    beginLive(status) {
      characters = 0;
      return use(
        "readwrite",
        ["live", "begun"],
        async (live, begun) => {
          await dropLive(live, begun, (one) => one.tab === tab || one.at < Date.now() - DAY);
          begun.put({ run: status.run, tab, status, at: Date.now() });
        },
        () => undefined,
      ).catch(() => undefined);
    },

    /** No more of it comes, and its file did not. @param {"stopped" | "failed" | "finished"} ended @param {string} sentence why */
    endLive: (run, ended, sentence) =>
      use(
        "readwrite",
        ["begun"],
        async (begun) => {
          const entry = await promised(begun.get(run));
          if (entry) begun.put({ ...entry, tab, ended, sentence });
        },
        () => undefined,
      ).catch(() => undefined),

    addLive(run, seq, text) {
      characters += text.length;
      if (characters > LIVE_CHARACTERS) return Promise.resolve();
      return use("readwrite", ["live"], (live) => promised(live.put({ run, seq, text })), () => undefined).catch(() => undefined);
    },

    /** After a reload: this tab's run in progress, as far as it came; else the newer of a closed tab's and the last whole one. */
    lastRun: async () => {
      const isClosed = await closedTabs();
      return use(
        "readonly",
        ["runs", "live", "begun"],
        async (runs, live, begun) => {
          const all = (await promised(begun.getAll())).sort((a, b) => b.at - a.at);
          const started = all.find((one) => one.tab === tab) ?? all.find((one) => isClosed(one.tab));
          const newest = (await promised(runs.getAll())).sort((a, b) => b.at - a.at)[0] ?? null;
          const passed = started?.tab !== tab && newest?.at > started?.at;
          const parts = started && !passed ? await promised(live.getAll(messagesOf(started.run))) : [];
          return parts.length ? { ...started, messages: parts.map((part) => part.text) } : newest;
        },
        () => null,
      ).catch(() => null);
    },
  };
}

const summaryOf = ({ id, name, prompt, drafts, at, size }) => ({ id, name, prompt, drafts, at, size });

/** The runs that must go so that a new one fits, `others` being newest first. */
function overflowing(entry, others) {
  let bytes = entry.size;
  return others.filter((run, k) => {
    bytes += run.size;
    return k + 1 >= RUNS_MOST || bytes > RUNS_BYTES;
  });
}

/** The same for a page that may keep nothing. */
function createMemoryStore() {
  const kept = new Map();
  const runs = new Map();
  return {
    kept: async () => [...kept.values()],
    keep: async (entry) => {
      if (!kept.has(entry.key) && kept.size >= KEPT_MOST) return FULL_KEPT;
      kept.set(entry.key, entry);
      return kept.size === 1 ? NO_STORE : "";
    },
    unkeep: async (key) => void kept.delete(key),
    runs: async () => [...runs.values()].map(summaryOf).sort((a, b) => b.at - a.at),
    run: async (id) => runs.get(id),
    saveRun: async (run) => {
      const entry = { ...run, at: Date.now(), size: run.buffer.byteLength };
      for (const old of overflowing(entry, [...runs.values()].filter((one) => one.id !== run.id).reverse())) runs.delete(old.id);
      runs.delete(run.id);
      runs.set(run.id, entry);
      return "";
    },
    beginLive: async () => undefined,
    addLive: async () => undefined,
    endLive: async () => undefined,
    lastRun: async () => null,
  };
}
