"""One table of knobs: default, range, unit and explanation of everything that a person can set.

`Settings` is that table: each field carries its `Knob`, one validator walks them, and the command-line flags,
the page's sliders and the API's description are made from the same fields. A sampler field left at `None`
takes the checkpoint's generation config, then transformers' own default (`FALLBACKS`).
"""

from __future__ import annotations

import argparse
import dataclasses
import numbers
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import InputError

MAX_SEED = 2**32 - 1
#: Most characters of a prompt; the model's context, in tokens, is checked by the engine.
MAX_PROMPT = 100_000

#: transformers' `DiffusionGemmaGenerationConfig._get_default_generation_params()`, in our names.
FALLBACKS: Mapping[str, int | float] = {
    "steps": 48,
    "t_max": 0.8,
    "t_min": 0.4,
    "entropy_bound": 0.1,
    "stability_threshold": 1,
    "confidence_threshold": 0.005,
    "max_new_tokens": 256,
}


@dataclass(frozen=True)
class Knob:
    """What the table says of one setting: its range (both ends allowed unless `above`), unit and meaning."""

    low: float
    high: float
    whole: bool
    help: str
    unit: str = ""
    above: bool = False  # `low` itself is not allowed

    @property
    def range(self) -> str:
        """The allowed range in words, e.g. "a whole number from 1 to 128"."""
        kind = "a whole number" if self.whole else "a number"
        low = f"above {self.low:g} and up" if self.above else f"from {self.low:g}"
        return f"{kind} {low} to {self.high:.10g}"

    def check(self, name: str, value: Any) -> Any:
        """`value` as int or float; raises `InputError` naming the field, the value and the range."""
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        number: Any = value
        # NaN fails every comparison, so it is refused here too.
        inside = real and self.low <= number <= self.high
        if inside and not (self.above and number == self.low) and not (self.whole and number != int(number)):
            return int(number) if self.whole else float(number)
        raise InputError(f"{name} must be {self.range}, got {shown(value)}.")

    def nearest(self, value: float) -> int | float:
        """The number in the range that is nearest to `value`."""
        inside = min(max(value, self.low), self.high)
        return int(inside) if self.whole else inside


def shown(value: Any) -> str:
    """`value` as a refusal may quote it: short, whatever it is."""
    try:
        return f"{value!r:.80}"
    except ValueError:  # Python prints no whole number of thousands of digits
        return f"a {type(value).__name__} too long to print"


def knob(
    default: int | None,
    low: float,
    high: float,
    help: str,
    *,
    whole: bool = False,
    unit: str = "",
    above: bool = False,
) -> Any:
    """A field of `Settings` with its entry in the table."""
    return field(default=default, metadata={"knob": Knob(low, high, whole, help, unit, above)})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is asked to do. Raises `InputError` for a value outside its range.

    `None` means "not set", see the module's docstring; `resolve` gives every field a value.
    """

    drafts: int = knob(8, 1, 32, "Answers written side by side.", whole=True)
    steps: int | None = knob(
        None,
        1,
        128,
        "Passes over the text at most: fewer is faster and rougher.",
        whole=True,
        unit="passes",
    )
    t_max: float | None = knob(None, 0.01, 5, "How boldly the first words are chosen.")
    t_min: float | None = knob(None, 0.01, 5, "How carefully the last words are chosen; very low is hasty.")
    entropy_bound: float | None = knob(
        None,
        0,
        1000,
        "More lets words stand sooner: faster, with more slips.",
        unit="nats",
        above=True,
    )
    stability_threshold: int | None = knob(
        None,
        0,
        16,
        "A draft is done once no word changed for so long.",
        whole=True,
        unit="steps",
    )
    confidence_threshold: float | None = knob(
        None,
        0,
        20,
        "And once so little doubt is left; 0 uses every step.",
        unit="nats",
    )
    max_new_tokens: int | None = knob(
        None, 1, 8192, "Longest answer; written in pieces of one canvas each.", whole=True, unit="tokens"
    )
    seed: int | None = knob(
        None,
        0,
        MAX_SEED,
        "Locked: the same text again. Else every run begins from fresh noise.",
        whole=True,
    )

    def __post_init__(self) -> None:
        for name, entry in KNOBS.items():
            value = getattr(self, name)
            if value is not None or name == "drafts":
                object.__setattr__(self, name, entry.check(name, value))
        if self.t_min is not None and self.t_max is not None and self.t_min > self.t_max:
            raise InputError(
                f"t_min must not be above t_max, got t_min {self.t_min:g} and t_max {self.t_max:g}:"
                " lower t_min or raise t_max."
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Settings from plain values; a name that is not in the table is refused, not ignored."""
        unknown = sorted(set(map(str, values)) - set(KNOBS))
        if unknown:
            raise InputError(f"There is no setting called {shown(unknown[0])}; there are {', '.join(KNOBS)}.")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The fields that have a value."""
        return {name: value for name in KNOBS if (value := getattr(self, name)) is not None}

    def resolve(self, checkpoint: Mapping[str, Any]) -> Resolved:
        """Every `None` filled: from `checkpoint` (our names), then `FALLBACKS`; a missing seed is drawn."""
        given = self.to_dict()
        # A checkpoint may ask for more than there is room for on a slider: it gets the nearest that there is.
        filled: dict[str, Any] = {
            name: KNOBS[name].nearest(checkpoint.get(name, default)) for name, default in FALLBACKS.items()
        }
        # A person who sets one end of the schedule means that end; the other one follows rather than refuses.
        if "t_max" in given and "t_min" not in given:
            filled["t_min"] = min(filled["t_min"], given["t_max"])
        if "t_min" in given and "t_max" not in given:
            filled["t_max"] = max(filled["t_max"], given["t_min"])
        return Resolved(**({"seed": secrets.randbelow(MAX_SEED - 31)} | filled | given))


class Resolved(Settings):
    """Settings in which every field has a value."""

    if TYPE_CHECKING:
        steps: int
        t_max: float
        t_min: float
        entropy_bound: float
        stability_threshold: int
        confidence_threshold: float
        max_new_tokens: int
        seed: int

    def seeds(self) -> tuple[int, ...]:
        """The seed of each draft: draft k has seed + k."""
        return tuple(self.seed + k for k in range(self.drafts))


KNOBS: Mapping[str, Knob] = {f.name: f.metadata["knob"] for f in dataclasses.fields(Settings)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A flag for every knob: `--t-max 0.9`. Values are checked by `Settings`, not by argparse."""
    for name, entry in KNOBS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=_number,
            metavar=entry.unit.upper() or "N",
            help=f"{entry.help} {entry.range[0].upper()}{entry.range[1:]}.",
        )


def from_arguments(arguments: argparse.Namespace) -> Settings:
    """The settings that `add_arguments` put on a command line."""
    given = {name: getattr(arguments, name) for name in KNOBS}
    return Settings(**{name: value for name, value in given.items() if value is not None})


def _number(text: str) -> int | float | str:
    """A number if `text` is one; other text goes on as it is, so that `Settings` refuses it by name."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


Message = Mapping[str, str]
ROLES = ("system", "user", "assistant")


def behind_system(prompt: Any, system: Any) -> str | tuple[Message, ...]:
    """A text prompt, behind a system prompt unless that is blank. Raises `InputError` for what is no text."""
    system = "" if system is None else system
    for name, value in (("prompt", prompt), ("system prompt", system)):
        if not isinstance(value, str):
            raise InputError(f"The {name} must be text, got {type(value).__name__}.")
    if not system.strip():
        return prompt
    return {"role": "system", "content": system}, {"role": "user", "content": prompt}


def check_prompt(prompt: Any) -> tuple[Message, ...]:
    """A string or chat messages as messages of `role` and `content`. Raises `InputError` for all else."""
    if isinstance(prompt, str):
        messages: Sequence[Any] = ({"role": "user", "content": prompt},)
    elif isinstance(prompt, Sequence) and not isinstance(prompt, bytes | bytearray) and len(prompt):
        messages = prompt
    else:
        raise InputError(f"The prompt must be text or a list of chat messages, got {type(prompt).__name__}.")
    checked = tuple(_check_message(message) for message in messages)
    length = sum(len(message["content"]) for message in checked)
    if length > MAX_PROMPT:
        what = "The prompt has" if len(checked) == 1 else "All messages together have"
        raise InputError(f"{what} {length:,} characters, at most {MAX_PROMPT:,} are read: shorten it.")
    return checked


def _check_message(message: Any) -> Message:
    role = message.get("role") if isinstance(message, Mapping) else None
    if not isinstance(role, str) or role not in ROLES:
        raise InputError(
            f"A chat message needs a role ({', '.join(ROLES)}) and a content, got {shown(message)}."
        )
    content = message.get("content")
    if not isinstance(content, str):
        raise InputError(f"A chat message's content must be text, got {type(content).__name__}.")
    if not content.strip():
        raise InputError("The prompt is empty: write what the drafts should be about.")
    if any(0xD800 <= ord(c) <= 0xDFFF for c in content):
        raise InputError("The prompt holds half a character (a lone surrogate): type or paste it again.")
    return {"role": role, "content": content}
