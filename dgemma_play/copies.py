"""A quantized copy on disk, for a second start in seconds: written whole or not at all, checked when read.

    <cache>/<name>/<identity of the source>/<recipe>-v1/
        weights-00001.safetensors …   codes, scales and plain tensors, as they lie in the model
        config.json, generation_config.json, tokenizer …
        manifest.json                 SHA-256 of every file

config.json carries the recipe, the source and the format's version under "dgemma_play", so a copy is a
checkpoint like any other: a folder to load, or to upload.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from .checkpoints import INDEX, Checkpoint, open_folder
from .disk import free_space, is_folder
from .errors import LoadError
from .recipes import BLOCK, COPY, FORMAT, Recipe, copy_recipe

MANIFEST = "manifest.json"
#: Bytes per weight file.
SHARD = 4_000_000_000
#: Seconds after which a copy that is still being written is nobody's any more.
FORSAKEN = 24 * 3600
#: Share of free space to leave on a disk.
SLACK = 1.1
#: What is taken over as it is, where the source has it.
COPIED = (
    *("generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model"),
    *("chat_template.jinja", "special_tokens_map.json", "added_tokens.json", "processor_config.json"),
)


def folder_of(checkpoint: Checkpoint, recipe: Recipe) -> Path:
    """Where the copy of a checkpoint at a recipe is kept: under $DGEMMA_PLAY_CACHE, else the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    base = os.environ.get("DGEMMA_PLAY_CACHE") or Path(cache) / "dgemma-play"
    # One folder's name on every system: no separator, no drive, nothing that leads up and out.
    name = re.sub(r"[/\\:*?\"<>|]", "--", checkpoint.name.rstrip("/\\"))[-100:].lstrip(".-") or "local"
    return Path(base).expanduser() / name / checkpoint.identity / f"{recipe.key}-v{FORMAT}"


def find(checkpoint: Checkpoint, recipe: Recipe) -> Checkpoint | None:
    """The kept copy of a checkpoint at a recipe, if there is one. Raises `BrokenCopyError`."""
    folder = folder_of(checkpoint, recipe)
    try:
        if not is_folder(folder):
            return None
        copy = open_folder(checkpoint.name, folder, checkpoint.revision)
        same = copy_recipe(copy.config) == recipe and copy.config[COPY]["identity"] == checkpoint.identity
    except (LoadError, KeyError) as error:
        raise _broken(folder, str(error)) from error
    if not same:
        raise _broken(folder, "it was made of other weights")
    return copy


class BrokenCopyError(LoadError):
    """A quantized copy is damaged, or not the one that its folder's name promises."""


def _broken(folder: Path, why: str) -> BrokenCopyError:
    return BrokenCopyError(
        f"The quantized copy in {folder} can't be used: {why}. Delete it and make a new one."
    )


def write(model: Any, checkpoint: Checkpoint, recipe: Recipe, target: Path) -> None:
    """Write the loaded `model` as a copy; `target` appears whole, at the end. Raises `LoadError`."""
    tensors = dict(_tensors(model))
    _sweep(target)
    check_space(target, sum(tensor.nbytes for tensor in tensors.values()))
    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
        _fill(part, tensors, checkpoint, recipe)
        part.chmod(0o755)
        if target.exists():  # another process was quicker, or the old one was found broken
            shutil.rmtree(target)
        part.rename(target)
    except BaseException as error:
        if part is not None:  # Ctrl-C, too, would leave gigabytes under a hidden name
            shutil.rmtree(part, ignore_errors=True)
        if not isinstance(error, OSError | SafetensorError):
            raise
        full = getattr(error, "errno", None) == 28 or "os error 28" in str(error)
        why = "the disk is full" if full else str(error).splitlines()[0]
        raise LoadError(f"No quantized copy could be written to {target}: {why}.") from error


def _sweep(target: Path) -> None:
    """Delete what processes that were killed left of a copy; a young one may be another's at work."""
    with contextlib.suppress(OSError):  # another process was quicker, or there is no such place
        for left in target.parent.glob(f".{target.name}.*.part"):
            if time.time() - left.stat().st_mtime > FORSAKEN:
                shutil.rmtree(left, ignore_errors=True)


def check_space(target: Path, size: int) -> None:
    """Raises `LoadError` where a copy of `size` bytes does not fit the disk that `target` will lie on."""
    needed = size * SLACK
    there, free = free_space(target)
    if free < needed:
        raise LoadError(
            f"A quantized copy takes {needed / 1e9:.1f} GB and {there} has {free / 1e9:.1f} GB free:"
            " free some, or choose a folder on a larger disk (DGEMMA_PLAY_CACHE for those that are kept)."
        )


def _tensors(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Every stored tensor once, under its decoder name."""
    for name, tensor in model.state_dict().items():
        encoder = name.startswith("model.encoder.") and not name.endswith("layer_scalar")
        if not encoder and name != "lm_head.weight":
            yield name, tensor


def _fill(folder: Path, tensors: Mapping[str, Tensor], checkpoint: Checkpoint, recipe: Recipe) -> None:
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if size and size + tensor.nbytes > SHARD:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": {}}
    for number, shard in enumerate(shards, 1):
        file = f"weights-{number:05}.safetensors"
        save_file({name: tensor.cpu().contiguous() for name, tensor in shard.items()}, folder / file)
        (folder / file).chmod(0o644)  # it is written for its owner alone; a copy may be for others
        index["weight_map"] |= dict.fromkeys(shard, file)
    (folder / INDEX).write_text(json.dumps(index))
    said = {
        "format": FORMAT,
        "recipe": recipe.key,
        "block": BLOCK,
        "source": checkpoint.name if checkpoint.revision else Path(checkpoint.name).name,
        "identity": checkpoint.identity,
    }
    config = {**checkpoint.config, COPY: said}
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    for file in COPIED:
        if (checkpoint.folder / file).exists():
            shutil.copyfile(checkpoint.folder / file, folder / file)
    paths = sorted(folder.iterdir())
    with ThreadPoolExecutor() as pool:
        sums = zip(paths, pool.map(_sha256, paths), strict=True)
        files = {path.name: {"sha256": found} for path, found in sums}
    (folder / MANIFEST).write_text(json.dumps({"format": FORMAT, "files": files}, indent=2))


class Check:
    """The checksums of a copy, computed on other threads while it is being read, in a `with` block.

    Raises `BrokenCopyError` for a copy whose manifest can't be read.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        try:
            files = json.loads((checkpoint.folder / MANIFEST).read_text())["files"]
            self._expected = {Path(name).name: entry["sha256"] for name, entry in files.items()}
            if missing := {shard.path.name for shard in checkpoint.shards} - self._expected.keys():
                raise ValueError(f"it does not list {min(missing)}")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _broken(checkpoint.folder, f"its {MANIFEST} can't be read ({error})") from error
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
        self._sums: dict[str, Future[str]] = {
            name: self._pool.submit(_sha256, checkpoint.folder / name, self._over) for name in self._expected
        }

    def __enter__(self) -> Check:
        return self

    def __exit__(self, *_: object) -> None:
        # Else the process would stand still until tens of gigabytes are read that nobody asks for any more.
        self._over.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def finish(self) -> None:
        """Wait for the sums. Raises `BrokenCopyError` if a file is not the one that was written."""
        for name, sum_of in self._sums.items():
            try:
                found = sum_of.result()
            except OSError as error:
                raise _broken(self._checkpoint.folder, f"{name} can't be read ({error.strerror})") from error
            if found != self._expected[name]:
                raise _broken(self._checkpoint.folder, f"{name} was changed or damaged")


def _sha256(path: Path, over: threading.Event | None = None) -> str:
    """The checksum of a file; of its beginning alone, once `over` is set."""
    found, buffer = hashlib.sha256(), memoryview(bytearray(2**20))
    with path.open("rb", buffering=0) as file:
        while (size := file.readinto(buffer)) and not (over and over.is_set()):
            found.update(buffer[:size])
    return found.hexdigest()
