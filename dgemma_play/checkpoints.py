"""A name becomes a folder with whole files: embedded, local, in the Hub's cache, or downloaded. No torch.

Everything that can be wrong with a checkpoint is found here, before a byte of its weights is read: the
safetensors headers say which tensors a file holds and how long it must be.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from .disk import is_folder
from .errors import LoadError
from .plan import released_config
from .recipes import COPY, text_config, weights

ASSETS = Path(__file__).resolve().parent.parent / "assets"
EMBEDDED = "embedded"
INDEX = "model.safetensors.index.json"
#: Any of them is a tokenizer.
TOKENIZERS = ("tokenizer.json", "tokenizer.model")
MAX_HEADER = 100_000_000


@dataclass(frozen=True)
class Shard:
    """A safetensors file: the shapes and sizes of its tensors, by name."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    bytes: Mapping[str, int]


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a whole checkpoint of this architecture. `revision` is its commit on the Hub, or ""."""

    name: str
    folder: Path
    config: Mapping[str, Any]
    shards: tuple[Shard, ...] = field(repr=False)
    revision: str = ""

    @property
    def is_copy(self) -> bool:
        """Whether it holds packed weights rather than those of a release."""
        return COPY in self.config

    @property
    def bytes(self) -> int:
        return sum(sum(shard.bytes.values()) for shard in self.shards)

    @cached_property
    def identity(self) -> str:
        """Which weights these are: the commit, else a hash of the config and the files' sizes and times."""
        if self.revision:
            return self.revision
        facts = [json.dumps(self.config, sort_keys=True)]
        for shard in self.shards:
            stat = shard.path.stat()
            facts.append(f"{shard.path.name} {stat.st_size} {stat.st_mtime_ns}")
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:40]


def config_of(name: str) -> dict[str, Any]:
    """The config of a checkpoint by its name; asks the Hub only if no file here tells. Raises `LoadError`."""
    if (released := released_config(name)) is not None:
        return released
    folder = _local(name)
    if folder is None:
        from . import hub

        folder = hub.config_folder(name)
    return _config(name, folder)


def look_at(name: str) -> None:
    """Raises `LoadError` for whatever is wrong with a name, as far as no download is needed to tell.

    For those who wait: it takes no torch, whose import takes seconds.
    """
    config_of(name)
    if (folder := _local(name)) is not None:
        open_folder(name, folder)


def find(name: str) -> Checkpoint:
    """The checkpoint of that name, downloaded if need be. Raises `LoadError`."""
    folder = _local(name)
    if folder is not None:
        return open_folder(name, folder)
    from . import hub

    cached = hub.cached(name)
    if cached is not None:
        try:
            return open_folder(name, cached, revision=cached.name)
        except IncompleteError:
            pass  # a download that was interrupted: go on with it
    folder = hub.download(name)
    return open_folder(name, folder, revision=folder.name)


class IncompleteError(LoadError):
    """A file is missing or cut off: a download that did not end."""


def _local(name: str) -> Path | None:
    """The folder that a name means; `None` for a name on the Hub."""
    if name == EMBEDDED:
        return ASSETS / EMBEDDED
    try:
        folder = Path(name).expanduser()
    except RuntimeError:  # ~somebody, and there is nobody of that name
        folder = Path(name)
    kind = is_folder(folder)
    if kind:
        return folder
    if kind is not None:
        raise LoadError(f"{name} is a file: --model takes the folder that holds config.json.")
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or "\\" in name:
        raise LoadError(f"There is no folder {name}. Give a folder with config.json, or a name on the Hub.")
    return None


def open_folder(name: str, folder: Path, revision: str = "") -> Checkpoint:
    """Read what a folder says of itself and check that its weights are all there. Raises `LoadError`."""
    config = _config(name, folder)
    shards = tuple(_shard(name, path) for path in _files(name, folder))
    if not any((folder / file).exists() for file in TOKENIZERS):
        raise _missing(name, folder / TOKENIZERS[0])
    if COPY not in config:
        _check_tensors(name, config, shards)
    return Checkpoint(name, folder, config, shards, revision)


def _config(name: str, folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        kind = IncompleteError if isinstance(error, FileNotFoundError) else LoadError
        raise kind(f"{name} holds no checkpoint: a readable config.json is missing in {folder}.") from error
    if not isinstance(config, dict):
        raise LoadError(f"{name} holds no checkpoint: its config.json is damaged.")
    text_config(config)
    return config


def _files(name: str, folder: Path) -> list[Path]:
    """The weight files that a folder should hold."""
    index = folder / INDEX
    if not index.exists():
        return [folder / "model.safetensors"]
    try:
        files = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        # A name in the index is a name, not a way out of the folder.
        return [folder / Path(file).name for file in sorted(files)]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise IncompleteError(f"{name}: {INDEX} is damaged. {_again(name, index)}") from error


def _shard(name: str, path: Path) -> Shard:
    """A weight file's header. Raises `IncompleteError` where it is missing, cut off or something else."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            if length > min(size, MAX_HEADER):
                raise ValueError("no header")
            header = json.loads(file.read(length))
        entries = {key: entry for key, entry in header.items() if key != "__metadata__"}
        spans = {key: entry["data_offsets"] for key, entry in entries.items()}
        shapes = {key: tuple(entry["shape"]) for key, entry in entries.items()}
        sizes = {key: operator.index(end) - operator.index(start) for key, (start, end) in spans.items()}
        expected = 8 + length + max((end for _, end in spans.values()), default=0)
    except FileNotFoundError as error:
        raise _missing(name, path) from error
    except OSError as error:
        raise LoadError(f"{name}: {path} can't be read: {error.strerror}.") from error
    except (ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise IncompleteError(
            f"{name} is damaged: {path.name} is no whole safetensors file. {_again(name, path)}"
        ) from error
    if size != expected:
        raise IncompleteError(
            f"{name} is damaged: {path.name} has {size} bytes instead of {expected}. {_again(name, path)}"
        )
    return Shard(path, shapes, sizes)


def _check_tensors(name: str, config: Mapping[str, Any], shards: Iterable[Shard]) -> None:
    """Every tensor that the config asks for is there, in its shape."""
    shapes = {key: shape for shard in shards for key, shape in shard.shapes.items()}
    for weight in weights(config):
        if shapes.get(weight.name) != weight.shape:
            found = f"has shape {list(shapes[weight.name])}" if weight.name in shapes else "is missing"
            raise LoadError(
                f"{name} does not match its config.json: {weight.name} {found}, expected {list(weight.shape)}"
                f" ({math.prod(weight.shape)} values)."
            )


def _missing(name: str, path: Path) -> IncompleteError:
    return IncompleteError(f"{name} is incomplete: {path.name} is missing. {_again(name, path)}")


def _again(name: str, path: Path) -> str:
    """How to get a file that is missing or damaged."""
    if "snapshots" not in path.parts:
        return f"Copy it to {path.parent} again."
    # The Hub's client takes a file that is there for whole, unless forced.
    force = f" {path.name} --force-download" if path.exists() else ""
    return f"Get it again: hf download {name}{force}"
