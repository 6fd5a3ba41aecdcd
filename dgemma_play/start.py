"""What a draft begins from: noise, or a text of which some positions are pinned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .denoiser import Denoiser
from .errors import InputError
from .settings import Knob, Settings

STEP = Knob(0, 2**16, True, "The pass after which a start goes on.")


@dataclass(frozen=True, eq=False)
class Start:
    """What a draft begins from; the default is pure noise.

    `canvas_ids` [C] is the first canvas it begins with and `pinned` [C] bool the positions of it that never
    change (infill); the others begin as noise. `step` is the pass after which it goes on, `settings` and
    `seed` its own: `denoise` refuses these three so far.
    """

    canvas_ids: np.ndarray | None = None
    pinned: np.ndarray | None = None
    step: int = 0
    settings: Settings | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        canvas_ids = _plain(self.canvas_ids, "iu", "A start's canvas_ids must be one row of token ids.")
        pinned = _plain(
            self.pinned, "b", "A start's pinned must say True or False for each of its canvas_ids."
        )
        if pinned is not None and (canvas_ids is None or len(pinned) != len(canvas_ids)):
            raise InputError(
                "A start with pinned positions needs the canvas_ids that they hold, one for each."
            )
        STEP.check("step", self.step)
        if self.settings is not None and not isinstance(self.settings, Settings):
            raise InputError(f"A start's settings must be Settings, got {type(self.settings).__name__}.")
        if self.seed is not None:
            Settings(seed=self.seed)


def _plain(row: Any, kinds: str, refusal: str) -> np.ndarray | None:
    """`row` as an array of one dimension and one of the NumPy `kinds`; `None` stays. Raises `InputError`."""
    if row is None:
        return None
    try:
        array = np.asarray(row)
    except ValueError as error:
        raise InputError(refusal) from error
    if array.ndim != 1 or array.dtype.kind not in kinds or (kinds == "iu" and (array < 0).any()):
        raise InputError(refusal)
    return array


def check_starts(starts: Sequence[Start], drafts: int, denoiser: Denoiser) -> None:
    """Raises `InputError` unless there is a supported start for every draft."""
    if len(starts) != drafts:
        raise InputError(f"starts must hold one for each of the {drafts} drafts, got {len(starts)}.")
    for start in starts:
        if not isinstance(start, Start):
            raise InputError(f"starts must hold Start objects, got {type(start).__name__}: Start() is noise.")
        if start.step or start.settings is not None or start.seed is not None:
            raise InputError("A start can pin positions; leave out its step, settings and seed.")
        if start.canvas_ids is None:
            continue
        if start.pinned is None:
            raise InputError(
                "A start with canvas_ids must say which of them are pinned; the others are noise."
            )
        length, vocab_size = denoiser.canvas_length, denoiser.vocab_size
        if len(start.canvas_ids) != length:
            raise InputError(
                f"A start's canvas_ids must hold {length} token ids, got {len(start.canvas_ids)}."
            )
        if (start.canvas_ids >= vocab_size).any():
            raise InputError(f"A start's canvas_ids must be below {vocab_size}, the size of the vocabulary.")
