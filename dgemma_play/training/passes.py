"""Passes of the sampler as training rows: what a pass read, and the canvas that its draft ended in.

Shapes: N passes, P prompt positions, C canvas positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from dgemma_play.trace import Track
from dgemma_play.training import corpus, tokenizer
from dgemma_play.training.model import CANVAS
from dgemma_play.training.tokenizer import EOS, PAD

_WIDTHS = sorted({prompt for prompt, canvas, _ in corpus.SHAPES if canvas == CANVAS})


@dataclass(frozen=True)
class Passes:
    """N passes behind prompts of one width; ids are int16 at rest, int64 as `select` gives them.

    Pass n read `canvases[n]` and was fed back the guess, at `temperatures[n]`, of the pass before, which read
    `previous[n]`. Its draft ended in `targets[n]`.
    """

    prompts: Tensor  # [N, P], padded on the left
    previous: Tensor  # [N, C]
    canvases: Tensor  # [N, C]
    targets: Tensor  # [N, C]
    temperatures: Tensor  # [N] float32

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def width(self) -> int:
        """P."""
        return self.prompts.shape[1]

    def select(self, rows: Tensor) -> Passes:
        """Some of the passes, by index or as a mask, ids as int64."""
        chosen = (value[rows] for value in vars(self).values())
        return Passes(*(value if value.is_floating_point() else value.long() for value in chosen))

    def to(self, device: torch.device) -> Passes:
        """The same passes on a device."""
        return Passes(*(value.to(device) for value in vars(self).values()))


def of_track(track: Track, prompt: Sequence[int]) -> Iterator[Passes]:
    """The passes of a draft that still had something to decide, canvas by canvas.

    Where the guess that is fed back is the whole text already, nothing is left to learn. `prompt` are the ids
    before the first canvas. A canvas that has more before it than any bucket holds is left out.
    """
    before = list(prompt)
    for block in track.blocks:
        target = _ended(track.best_ids[block][-1])
        width = next((width for width in _WIDTHS if len(before) <= width), None)
        read = [
            now
            for now in range(block.start + 1, block.stop - 1)
            if track.step[now] == track.step[now - 1] + 1 and (_ended(track.best_ids[now]) != target).any()
        ]
        if width is not None and read:
            row = np.array([PAD] * (width - len(before)) + before)
            yield Passes(
                _ids(np.tile(row, (len(read), 1))),
                _ids(track.canvas_ids[[now - 1 for now in read]]),
                _ids(track.canvas_ids[read]),
                _ids(np.tile(target, (len(read), 1))),
                torch.from_numpy(track.temperature[read]),
            )
        before += target.tolist()


def _ended(ids: np.ndarray) -> np.ndarray:
    """A canvas `[C]` with nothing but end tokens behind its first."""
    return np.where(np.maximum.accumulate(ids == EOS), EOS, ids)


def _ids(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.int16))


def joined(groups: Iterable[Passes]) -> list[Passes]:
    """One group per width, the narrow first."""
    widths: dict[int, list[Passes]] = {}
    for group in groups:
        widths.setdefault(group.width, []).append(group)
    return [
        Passes(*(torch.cat([getattr(one, field.name) for one in widths[width]]) for field in fields(Passes)))
        for width in sorted(widths)
    ]


def save(file: Path, fast: PreTrainedTokenizerFast, groups: Iterable[Passes]) -> None:
    """Write passes with the vocabulary that their ids mean; the file is replaced at once."""
    content = {"tokens": tokenizer.tokens(fast), "groups": [vars(group) for group in joined(groups)]}
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, file.with_suffix(".part"))
    file.with_suffix(".part").replace(file)


def load(files: Sequence[Path], fast: PreTrainedTokenizerFast) -> list[Passes]:
    """The passes of several files in the ids of a tokenizer, one group per prompt width.

    A token that the tokenizer lacks is noise where it stands in a canvas; passes that ask for it are left
    out.

    Raises:
        ValueError: a file has no passes whose tokens are known, or such as no bucket of the corpus has the
            shape for.
    """
    groups = []
    for file in files:
        content = torch.load(file)
        known = {token: index for index, token in enumerate(tokenizer.tokens(fast))}
        index = torch.tensor([known.get(token, -1) for token in content["tokens"]])
        found = [_translated(Passes(**group), index, len(known)) for group in content["groups"]]
        if not any(map(len, found)):
            raise ValueError(
                f"{file} has no passes in this vocabulary: write more drafts, or from a better checkpoint."
            )
        if not all(group.width in _WIDTHS and group.canvases.shape[1] == CANVAS for group in found):
            raise ValueError(f"{file} has passes of another shape than the corpus: write it again.")
        groups += [group for group in found if len(group)]
    return joined(groups)


def _translated(group: Passes, index: Tensor, vocabulary: int) -> Passes:
    """Passes in new ids: `index [old vocabulary]` has the new id of each old one, or -1."""
    prompts, previous, canvases, targets = (
        index[ids.long()] for ids in (group.prompts, group.previous, group.canvases, group.targets)
    )
    whole = (prompts >= 0).all(1) & (targets >= 0).all(1)
    previous, canvases = (
        torch.where(ids < 0, torch.randint(0, vocabulary, ids.shape), ids) for ids in (previous, canvases)
    )
    return Passes(
        prompts[whole].short(),
        previous[whole].short(),
        canvases[whole].short(),
        targets[whole].short(),
        group.temperatures[whole],
    )
