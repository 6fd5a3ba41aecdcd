"""What a model needs of a device's memory, bytes by group, known before anything is loaded. No torch.

    config.json ──► weights(): every tensor, by name ──► Plan per recipe ──► choose(): precision, rows, reason

A pass needs, at its peak:

    model                the weights as the recipe keeps them
    + scratch            one layer's experts, unpacked for their matrix products (quantized experts only)
    + logits             three float32 [C, V] tensors: drafts make, use and drop theirs one after another
    + rows × draft       activations, and the row's context copied beside the others'
    + drafts × context   keys and values that each draft keeps once answers go beyond one canvas

Shapes: C canvas positions, V tokens.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import LoadError
from .recipes import GROUPS, RECIPES, RELEASED, WIDTH, Recipe, layers, text_config, weights

CONFIGS = Path(__file__).resolve().parent.parent / "assets" / "configs"
#: Tokens of prompt and answer that a plan leaves room for, and drafts that each keep a context of their own.
CONTEXT, DRAFTS = 4096, 8
#: More rows than this bring nothing: by then arithmetic is the limit, not memory traffic.
MOST_ROWS = 16
#: What `auto` tries, most exact first; it goes on to the next if fewer drafts than AUTO_ROWS fit at once.
AUTO, AUTO_ROWS = ("bf16", "int8", "nf4"), 4
#: What driver, libraries and the allocator's gaps take of a GPU.
RESERVE = 800_000_000
#: Beyond this an answer on a processor is a matter of hours, not seconds.
CPU_ACTIVE_PARAMETERS = 1_000_000_000
GIB = 2**30


@dataclass(frozen=True)
class Plan:
    """The bytes that a recipe needs; `rows_in` says how many drafts go through at once in a given memory."""

    recipe: Recipe
    groups: Mapping[str, int]
    scratch: int
    logits: int
    draft: int
    context: int
    prompt: int

    @property
    def model(self) -> int:
        return sum(self.groups.values())

    def needs(self, rows: int) -> int:
        """Bytes at the peak of a pass over `rows` drafts, or of reading the prompt."""
        once = self.model + self.scratch + DRAFTS * self.context
        return once + max(self.prompt, self.logits + rows * (self.draft + self.context))

    def rows_in(self, free: int) -> int:
        """Most rows that fit `free` bytes; 0: not even one does."""
        return next((rows for rows in range(MOST_ROWS, 0, -1) if self.needs(rows) <= free), 0)


def plan(config: Mapping[str, Any], recipe: Recipe, context: int = CONTEXT) -> Plan:
    """The plan of a recipe for contexts of up to `context` tokens."""
    text = text_config(config)
    groups: dict[str, int] = dict.fromkeys(GROUPS, 0)
    scratch, largest = {}, 0
    for weight in weights(config):
        kind = recipe.kind(weight.group)
        groups[weight.group] += weight.bytes(kind)
        if weight.group == "experts" and kind not in WIDTH:
            layer = weight.name.rpartition(".")[0]
            scratch[layer] = scratch.get(layer, 0) + weight.bytes(recipe.dtype)
        elif weight.matrix and kind not in WIDTH:
            largest = max(largest, weight.bytes(recipe.dtype))
    width, length, hidden = WIDTH[recipe.dtype], config["canvas_length"], text["hidden_size"]
    kept = attention = 0
    for full, heads, head_dim in layers(text):
        seen = context if full else min(context, text["sliding_window"])
        kept += 2 * seen * heads * head_dim * width
        # Keys and values with the canvas's behind them; for wide heads repeated, too, for every query head.
        repeated = text["num_attention_heads"] if head_dim > 256 else 0
        attention = max(attention, 2 * (seen + length) * (heads + repeated) * head_dim * width)
    per_token = _expert_activations(text, width) + 16 * hidden
    return Plan(
        recipe=recipe,
        groups=groups,
        scratch=max(scratch.values(), default=0) + largest,
        logits=3 * 4 * length * text["vocab_size"],
        draft=length * (per_token + 4 * text["intermediate_size"] * width) + attention,
        context=kept,
        prompt=context * (per_token + 4 * text["intermediate_size"] * width) + attention,
    )


def _expert_activations(text: Mapping[str, Any], width: int) -> int:
    """Bytes per token: each pick's input, inner values and output, and that weighted, twice, in float32."""
    per_pick = 2 * width * text["hidden_size"] + 8 * text["hidden_size"]
    return text["top_k_experts"] * (per_pick + 3 * width * text["moe_intermediate_size"])


def active_parameters(config: Mapping[str, Any]) -> int:
    """The parameters that take part in one token's pass."""
    text = text_config(config)
    share = text["top_k_experts"] / text["num_experts"]
    return round(sum(math.prod(w.shape) * (share if w.group == "experts" else 1) for w in weights(config)))


def choose(
    config: Mapping[str, Any], precision: str, free: int, made: Recipe | None = None
) -> tuple[Recipe, int, str]:
    """The recipe, rows and reason for a GPU with `free` bytes. Raises `LoadError` with the options.

    `auto` takes the most exact precision at which enough drafts go through at once; `made` is the recipe of a
    quantized copy, which leaves no choice.
    """
    names = AUTO if precision == "auto" else (precision,)
    recipes = [made] if made else [recipe for name in names for recipe in RECIPES[name]]
    for recipe in recipes:
        needs = plan(config, recipe)
        rows = needs.rows_in(free - RESERVE)
        # Attention as released is a luxury next to 4-bit experts: only where every draft still has its row.
        wanted = 1 if recipe is recipes[-1] else DRAFTS if recipe.experts == "nf4" else AUTO_ROWS
        if rows >= wanted:
            return recipe, rows, _reason(needs, rows, free)
    raise LoadError(_copy_too_small(config, made, free) if made else _too_small(config, precision, free))


def _reason(needs: Plan, rows: int, free: int) -> str:
    reason = f"{needs.recipe.precision}: {needs.recipe.why}."
    if needs.model < GIB:
        return reason
    at_once = "one draft" if rows == 1 else f"{rows} drafts"
    weights, memory = gib(needs.model), gib(free)
    return f"{reason} {weights} of weights in {memory} of free memory leave room for {at_once} at once."


def least(config: Mapping[str, Any], precision: str) -> int:
    """Free bytes of a GPU below which `precision` does not go at all."""
    return min(plan(config, recipe).needs(1) for recipe in RECIPES[precision]) + RESERVE


#: What is left where nothing fits.
_NOTHING_FITS = "close what else uses the GPU, take a larger one, or leave --model out for the embedded model"


def _copy_too_small(config: Mapping[str, Any], made: Recipe, free: int) -> str:
    smaller = [name for name in AUTO if least(config, name) <= free]
    way = f"load what it was made from at --precision {smaller[0]}" if smaller else _NOTHING_FITS
    return (
        f"The GPU has {gib(free)} of free memory, too little for this quantized copy at {made.precision}:"
        f" one draft needs {gib(plan(config, made).needs(1) + RESERVE)}. Please {way}."
    )


def _too_small(config: Mapping[str, Any], precision: str, free: int) -> str:
    needs = {name: least(config, name) for name in reversed(AUTO)}
    listed = ", ".join(f"{name} {gib(size)}" for name, size in needs.items())
    fitting = [name for name, size in needs.items() if size <= free]
    way = f"choose --precision {fitting[-1]}" if fitting else _NOTHING_FITS
    wanted = "this model" if precision == "auto" else precision
    return (
        f"The GPU has {gib(free)} of free memory, too little for {wanted}."
        f" Needed for one draft: {listed}. Please {way}."
    )


def gib(count: float) -> str:
    return f"{count / GIB:.1f} GiB"


def parse_memory(text: str) -> int:
    """Bytes of "24GB", "24 GiB" or "24": a card's size, in which a GB is 2^30 bytes. Raises `LoadError`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:G|GB|GiB)?\s*", text, re.IGNORECASE)
    if not found or not 0 < float(found[1]) < 100_000:
        raise LoadError(f"--memory must be a card's size such as 24GB, got {text!r:.40}.")
    return round(float(found[1]) * GIB)


def released_config(name: str) -> dict[str, Any] | None:
    """The config of a released checkpoint that needs no network, by its Hub name."""
    path = CONFIGS / name.rpartition("/")[2] / "config.json"
    known = name == RELEASED and path.is_file()
    return json.loads(path.read_text()) if known else None
