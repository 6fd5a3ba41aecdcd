/* Trace files of this machine: chosen or dropped here, and written there. */

/** Larger ones are not read, here or by `dgemma_play/codec.py`. */
const FILE_BYTES = 64 * 2 ** 20;

const REVOKE_MILLISECONDS = 60_000;

const sizeInWords = (bytes) => (bytes < 2 ** 20 ? `${Math.max(1, Math.round(bytes / 1024))} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`);

/** The browser's own window for choosing a file. @param {function(File): void} take */
function pickFile(take) {
  const input = el("input");
  Object.assign(input, { type: "file", accept: ".dgemma" });
  input.addEventListener("change", () => input.files[0] && take(input.files[0]));
  input.click();
}

/** Writes the run's file, if all of it is here. @returns {boolean} */
function downloadRun(run) {
  if (!run?.file) return false;
  const link = el("a");
  link.href = URL.createObjectURL(new Blob([run.file], { type: "application/gzip" }));
  link.download = run.name.endsWith(".dgemma") ? run.name : "run.dgemma";
  link.click();
  // Some browsers take hold of the bytes only after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_MILLISECONDS);
  return true;
}

/** A file that is dropped anywhere on the page. @param {function(File): void} take */
function listenForDrops(root, take) {
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  const over = (event, is) => {
    if (!carries(event)) return;
    event.preventDefault();
    root.classList.toggle("dropping", is);
  };
  document.addEventListener("dragover", (event) => over(event, true));
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && over(event, false));
  document.addEventListener("drop", (event) => {
    over(event, false);
    const [file] = event.dataTransfer?.files ?? [];
    if (file) take(file);
  });
}
