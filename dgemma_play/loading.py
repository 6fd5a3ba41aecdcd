"""A name becomes a model: which checkpoint, precision, device, rows and threads, each with its reason.

What differs between a laptop, a workstation and a Space is decided here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, DiffusionGemmaForBlockDiffusion
from transformers.utils import logging as transformers_logging

from .errors import LoadError

ASSETS = Path(__file__).resolve().parent.parent / "assets"
EMBEDDED = "embedded"
PRECISIONS: Mapping[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
DEFAULT_ROWS = 8


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model that is ready to denoise, and what was decided in loading it.

    `rows` is how many drafts go through the model at once; `reasons` says in sentences why precision, device
    and rows are what they are.
    """

    model: Any
    tokenizer: Any
    name: str
    revision: str
    device: torch.device
    precision: str
    rows: int
    reasons: tuple[str, ...]

    @property
    def canvas_length(self) -> int:
        return self.model.config.canvas_length

    @property
    def context_length(self) -> int:
        """Positions that prompt and answer share."""
        return self.model.config.text_config.max_position_embeddings

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The ids that end a text: the generation config's, else the tokenizer's."""
        eos = self.model.generation_config.eos_token_id
        eos = self.tokenizer.eos_token_id if eos is None else eos
        return () if eos is None else tuple(eos) if isinstance(eos, list | tuple) else (eos,)

    @property
    def sampler_defaults(self) -> dict[str, int | float]:
        """The checkpoint's own sampler settings, in the names of `Settings`; unset ones are left out."""
        config = self.model.generation_config
        bound = config.sampler_config
        values = {
            "steps": config.max_denoising_steps,
            "t_max": config.t_max,
            "t_min": config.t_min,
            "entropy_bound": bound and bound.entropy_bound,
            "stability_threshold": config.stability_threshold,
            "confidence_threshold": config.confidence_threshold,
            "max_new_tokens": config.max_new_tokens,
        }
        return {name: value for name, value in values.items() if value is not None}


def load(name_or_path: str = EMBEDDED, precision: str = "auto", device: str = "auto") -> Loaded:
    """Load "embedded", a local folder or a Hub name. Raises `LoadError` with what to do.

    `precision` is fp32, bf16 or auto; `device` anything torch understands, or auto.
    """
    if precision not in ("auto", *PRECISIONS):
        raise LoadError(f"precision must be auto, {' or '.join(PRECISIONS)}, got {precision!r:.80}.")
    chosen, device_reason = _device(device)
    folder = ASSETS / EMBEDDED if name_or_path == EMBEDDED else name_or_path
    _check_architecture(name_or_path, Path(folder))
    if precision == "auto":
        precision = "fp32" if chosen.type == "cpu" else "bf16"
        reason = (
            "fp32: the quickest on this processor." if precision == "fp32" else "bf16: as it was released."
        )
    else:
        reason = f"{precision}: as asked."
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = DiffusionGemmaForBlockDiffusion.from_pretrained(folder, dtype=PRECISIONS[precision])
    except (OSError, ValueError) as error:
        raise LoadError(f"{name_or_path} could not be loaded: {str(error).splitlines()[0]}") from error
    if not tokenizer.chat_template:
        raise LoadError(f"{name_or_path} has no chat template: its folder needs a chat_template.jinja.")
    if chosen.type == "cpu" and name_or_path == EMBEDDED:
        # Measured: with busy neighbours two threads make so small a model 13 to 21 times slower than one.
        torch.set_num_threads(1)
    model.to(chosen)  # pyright: ignore[reportArgumentType]: torch's stub of Module.to is behind a decorator
    return Loaded(
        model=model.eval(),
        tokenizer=tokenizer,
        name=name_or_path,
        revision=getattr(model.config, "_commit_hash", None) or "",
        device=chosen,
        precision=precision,
        rows=DEFAULT_ROWS,
        reasons=(device_reason, reason),
    )


def _device(name: str) -> tuple[torch.device, str]:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0), f"{torch.cuda.get_device_name(0)}."
        return torch.device("cpu"), "CPU: no NVIDIA GPU was found."
    try:
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, ValueError) as error:
        raise LoadError(
            f"The device {name!r:.80} can't be used here: {str(error).splitlines()[0]}"
        ) from error
    return device, f"{device}: as asked."


def _check_architecture(name: str, folder: Path) -> None:
    """A local folder says at once whether it is of this architecture; a Hub name only once it is loaded."""
    if name != EMBEDDED and not folder.is_dir():
        return
    try:
        kind = json.loads((folder / "config.json").read_text()).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise LoadError(f"{folder} holds no checkpoint: a readable config.json is missing.") from error
    if kind != "diffusion_gemma":
        raise LoadError(
            f"{name} is a checkpoint of another architecture ({kind}): DGemma Play runs diffusion_gemma ones,"
            " such as google/diffusiongemma-26B-A4B-it."
        )
