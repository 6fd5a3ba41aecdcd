"""A name becomes a model: which checkpoint, precision, device, rows and threads, each with its reason.

What differs between a laptop, a workstation and a Space is decided here and nowhere else:

    config ──► plan: does it fit, at which precision, how many rows ──► files ──► shard by shard to the device
              (nothing is downloaded or read before that is known)              or last time's quantized copy
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from safetensors import safe_open
from transformers import AutoTokenizer, DiffusionGemmaConfig
from transformers.models.diffusion_gemma.generation_diffusion_gemma import DiffusionGemmaGenerationConfig

from . import checkpoints, copies, quantization
from .checkpoints import EMBEDDED, Checkpoint
from .errors import LoadError
from .memory import free_memory, memory_errors
from .plan import CPU_ACTIVE_PARAMETERS, active_parameters, choose, gib, least, plan
from .quantization import DTYPES
from .recipes import RECIPES, Recipe, copy_recipe

log = logging.getLogger(__name__)

#: An absolute path in an error's words.
_PATH = re.compile(r"(?<![\w.])(?:/|[A-Z]:\\)[^\s'\":,]+")

DEFAULT_ROWS = 8
#: Checkpoints from this many bytes on show a progress bar and are worth a quantized copy.
LARGE = 2_000_000_000
#: Checkpoints up to this many bytes run on one thread of a processor.
SMALL = 50_000_000
#: What a visitor can ask the embedded checkpoint for; its card has the whole list.
EMBEDDED_KNOWS = (
    "This model is tiny. Ask for a story, haiku, couplet, poem, dialogue, first line, riddle, greeting or"
    " name about one or two animals, people, things, foods or places, for a short Python function, or give it"
    " a sentence with a ___ in it."
    " It makes up its own plot, and for a word that it has never met it writes another."
)


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model that is ready to denoise, and what was decided in loading it.

    `rows` is how many drafts go through the model at once; `reasons` says in sentences why precision, device
    and rows are what they are, without a path of this machine: visitors read them.
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
    def shown(self) -> dict[str, Any]:
        """What a page tells of the model, as plain values."""
        names = ("precision", "rows", "canvas_length", "reasons", "knows")
        told = {name: getattr(self, name) for name in names}
        return {"name": self.public_name, "device": str(self.device)} | told

    @property
    def public_name(self) -> str:
        """What strangers may read: the name on the Hub, or that of the folder without where it lies."""
        local = not self.revision and self.name != EMBEDDED
        return Path(self.name).expanduser().absolute().name if local else self.name

    @property
    def knows(self) -> str:
        """What it can be asked for, if that is less than anything."""
        return EMBEDDED_KNOWS if self.name == EMBEDDED else ""

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
        return _ids(eos)

    @property
    def sampler_defaults(self) -> dict[str, int | float]:
        """The checkpoint's own sampler settings, in the names of `Settings`; unset ones are left out."""
        return _sampler_defaults(self.model.generation_config)


def _sampler_defaults(config: DiffusionGemmaGenerationConfig) -> dict[str, Any]:
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

    `precision` is fp32, bf16, int8, nf4 or auto; `device` anything torch understands, or auto.
    """
    if precision not in ("auto", *RECIPES):
        raise LoadError(f"precision must be auto, {', '.join(RECIPES)}, got {precision!r:.80}.")
    chosen, device_reason = pick_device(device)
    recipe, rows, reason = _decide(checkpoints.config_of(name_or_path), precision, chosen)
    quantization.check_kernels(recipe, chosen)
    checkpoint = checkpoints.find(name_or_path)
    tokenizer = _tokenizer(checkpoint)
    model, notes = _model(checkpoint, recipe, chosen)
    if chosen.type == "cpu" and checkpoint.bytes < SMALL:
        # Measured: with busy neighbours two threads make the embedded model 13 to 21 times slower than one.
        torch.set_num_threads(1)
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        name=name_or_path,
        revision=checkpoint.revision,
        device=chosen,
        precision=recipe.precision,
        rows=rows,
        reasons=(device_reason, reason, *notes),
    )


def _ids(eos: Any) -> tuple[Any, ...]:
    return () if eos is None else tuple(eos) if isinstance(eos, list | tuple) else (eos,)


def pick_device(name: str) -> tuple[torch.device, str]:
    """The device of that name, and why. Raises `LoadError`."""
    if name == "auto" and not torch.cuda.is_available():
        return torch.device("cpu"), "CPU: no NVIDIA GPU was found."
    try:
        device = torch.empty(0, device="cuda:0" if name == "auto" else name).device
        # A driver, card or PyTorch that don't go together show it at the first product.
        ones = torch.ones(16, 16, dtype=torch.bfloat16, device=device)
        if float((ones @ ones)[0, 0]) != 16:
            raise ValueError("it computes wrong numbers")
    except (RuntimeError, AssertionError, ValueError, ImportError) as error:
        raise LoadError(
            f"The device {name!r:.80} can't be used here: {str(error).splitlines()[0]}."
            " The README says which PyTorch suits which card; --device cpu does without."
        ) from error
    if name != "auto":
        return device, f"{device}: as asked."
    others = torch.cuda.device_count() - 1
    more = f", the first of {others + 1} GPUs (--device cuda:1 takes the next)" if others else ""
    return device, f"{torch.cuda.get_device_name(device)}{more}."


def _decide(config: Mapping[str, Any], precision: str, device: torch.device) -> tuple[Recipe, int, str]:
    """Recipe, rows and reason for a device, before anything is downloaded. Raises `LoadError`."""
    made = copy_recipe(config)
    if made is not None and precision not in ("auto", made.precision):
        raise LoadError(
            f"This is a quantized copy at {made.precision}: choose that or auto, not {precision}."
        )
    if device.type == "cuda":
        return choose(config, precision, free_memory(device), made)
    if active_parameters(config) > CPU_ACTIVE_PARAMETERS:
        raise LoadError(_needs_a_gpu(config, device))
    recipe = made or RECIPES["fp32" if precision == "auto" else precision][0]
    needs = plan(config, recipe).needs(1)
    if device.type == "cpu" and needs > (free := free_memory(device)):
        raise LoadError(
            f"{recipe.precision} needs {gib(needs)} of memory and {gib(free)} are free: close something, or"
            " choose a smaller --precision."
        )
    why = recipe.why if precision == "auto" or made else "as asked"
    return recipe, DEFAULT_ROWS, f"{recipe.precision}: {why}."


def _needs_a_gpu(config: Mapping[str, Any], device: torch.device) -> str:
    needed = f"It needs an NVIDIA GPU with {gib(least(config, 'nf4'))} of free memory."
    if device.type != "cpu":
        return f"This model was never tried on a device like {device}. {needed}"
    operations = 2 * active_parameters(config) * config["canvas_length"] / 1e12
    if torch.version.cuda is None:
        hint = "This PyTorch is built without CUDA: see https://pytorch.org/get-started for one with it."
    else:
        hint = "PyTorch finds no NVIDIA GPU: nvidia-smi tells whether there is one, and its driver."
    return (
        f"This model is not for a processor: each of up to 48 passes over a canvas takes {operations:.1f}"
        f" trillion operations. {needed} {hint}"
        " Without one, leave --model out for the embedded model."
    )


def _tokenizer(checkpoint: Checkpoint) -> Any:
    # It would read the config itself, and be blamed for what is wrong there.
    config = _read(DiffusionGemmaConfig, checkpoint, "config.json")
    tokenizer = _read(AutoTokenizer, checkpoint, "tokenizer", config=config)
    if not tokenizer.chat_template:
        raise LoadError(f"{checkpoint.name} has no chat template: its folder needs a chat_template.jinja.")
    return tokenizer


def _model(checkpoint: Checkpoint, recipe: Recipe, device: torch.device) -> tuple[Any, list[str]]:
    """The model, from its quantized copy if one is kept, and what is to be said of that copy."""
    if checkpoint.is_copy or recipe.experts not in ("int8", "nf4") or checkpoint.bytes < LARGE:
        return assemble(checkpoint, recipe, device), []
    notes = list[str]()
    target = copies.folder_of(checkpoint, recipe)
    try:
        copy = copies.find(checkpoint, recipe)
        if copy is not None:
            return assemble(copy, recipe, device), []
    except copies.BrokenCopyError as error:
        notes.append(_public(error, target).replace("Delete it and make a new one", "It was made anew"))
    model = assemble(checkpoint, recipe, device)
    try:
        with Console(stderr=True).status(
            f"Keeping a quantized copy for the next start in {escape(str(target))} …"
        ):
            copies.write(model, checkpoint, recipe, target)
    except LoadError as error:  # the model is here all the same
        notes = [f"{_public(error, target)} Until then every start quantizes anew."]
    return model, notes


def _public(error: LoadError, target: Path) -> str:
    """An error's sentence without paths; the whole of it is logged."""
    log.warning("%s", error)
    sentence = str(error)
    for place in (target, *target.parents):
        if place.name:
            sentence = sentence.replace(str(place), "the cache")
    return _PATH.sub("the cache", sentence)


def assemble(checkpoint: Checkpoint, recipe: Recipe, device: torch.device) -> Any:
    """The model of a checkpoint at a recipe, read shard by shard and quantized tensor by tensor.

    Host memory holds one tensor beside what is already packed; GPU memory one matrix.
    """
    with copies.Check(checkpoint) if checkpoint.is_copy else nullcontext() as check:
        model = _assemble(checkpoint, recipe, device)
        if check is not None:
            check.finish()
    return model


def _assemble(checkpoint: Checkpoint, recipe: Recipe, device: torch.device) -> Any:
    """As `assemble`, unchecked."""
    try:
        config = _read(DiffusionGemmaConfig, checkpoint, "config.json")
        model = quantization.skeleton(config, recipe)
        if (checkpoint.folder / "generation_config.json").exists():
            model.generation_config = _generation_config(checkpoint)
        with memory_errors(), _progress(checkpoint) as advance:
            for shard in checkpoint.shards:
                with safe_open(shard.path, "pt", device="cpu") as file:
                    for name in filter(_is_text, shard.shapes):
                        quantization.put(model, name, file.get_tensor(name), DTYPES[recipe.dtype], device)
                        advance(shard.bytes[name])
        quantization.finish(model, device)
    except torch.OutOfMemoryError as error:
        raise LoadError(
            f"{device} ran out of memory while loading: close what else uses it, or choose a smaller"
            " --precision."
        ) from error
    except LoadError:
        raise
    except Exception as error:  # the libraries raise anything where a file was edited by hand
        raise LoadError(f"{checkpoint.name} could not be loaded: {_said(error)}") from error
    return model


def _generation_config(checkpoint: Checkpoint) -> DiffusionGemmaGenerationConfig:
    """Raises `LoadError` where something else stands for a number: before a copy takes it over."""
    config = _read(DiffusionGemmaGenerationConfig, checkpoint, "generation_config.json")
    ends = (("eos_token_id", number) for number in _ids(config.eos_token_id))
    for name, value in (*_sampler_defaults(config).items(), *ends):
        if type(value) not in (int, float) or not abs(value) < 1e9:
            raise LoadError(
                f"{checkpoint.name}: its generation_config.json gives {value!r:.40} as {name}, which is no"
                f" number that makes sense. Correct it in {checkpoint.folder}, or copy that file again."
            )
    return config


def _read(reader: Any, checkpoint: Checkpoint, what: str, **options: Any) -> Any:
    """What transformers makes of a file of a checkpoint. Raises `LoadError`."""
    try:
        return reader.from_pretrained(checkpoint.folder, **options)
    except Exception as error:  # it raises anything where a file was edited by hand
        raise LoadError(f"{checkpoint.name}: its {what} can't be read: {_said(error)}") from error


def _said(error: Exception) -> str:
    """What another library's error says, on one line; a lone word, such as a key, has its kind beside it."""
    said = shorten(str(error), 200, placeholder=" …")
    return said if " " in said.removesuffix(" …") else f"{error!r:.200}"


def _is_text(name: str) -> bool:
    """Whether a tensor is one that we load: the encoder's other ones are the decoder's, or see images."""
    return name.startswith("model.decoder.") or name.endswith(".layer_scalar")


@contextmanager
def _progress(checkpoint: Checkpoint) -> Generator[Callable[[int], None]]:
    """A bar with bytes and time on stderr, for checkpoints that take a while."""
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), DownloadColumn()),
        *(TimeElapsedColumn(), TimeRemainingColumn()),
    )
    total = sum(size for shard in checkpoint.shards for name, size in shard.bytes.items() if _is_text(name))
    with Progress(*columns, console=Console(stderr=True), disable=total < LARGE) as progress:
        task = progress.add_task(f"Loading {escape(Path(checkpoint.name).name)}", total=total)
        yield lambda count: progress.advance(task, count)
