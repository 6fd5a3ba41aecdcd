"""The memory plan as a table: what each precision needs, and how many drafts go through at once on a card."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import checkpoints
from .errors import LoadError
from .plan import CONTEXT, DRAFTS, GIB, RESERVE, choose, gib, parse_memory, plan
from .recipes import GROUPS, RECIPES, RELEASED

#: Sizes of cards, in GiB, to show where no GPU is found and none is named.
CARDS = (16, 24, 32, 48, 80)


def show(console: Console, model: str = RELEASED, memory: str | None = None) -> None:
    """Print the plan of `model` for a card of `memory` ("24GB"), else this machine's GPU, else common cards.

    Reads no weights. Raises `LoadError`. In place of the embedded model, which fits everywhere, the released
    one is planned.
    """
    model = RELEASED if model == checkpoints.EMBEDDED else model
    config = checkpoints.config_of(model)
    free = parse_memory(memory) if memory else _free_memory()
    cards = [free] if free else [card * GIB for card in CARDS]
    large = plan(config, RECIPES["bf16"][0]).model >= GIB
    title = Text(f"{model}, {'GiB' if large else 'MiB'} by precision", style="bold")  # its name is no markup
    console.print(title, soft_wrap=True)
    console.print(_table(config, cards, GIB if large else 2**20))
    console.print(
        "A pass over n drafts: model + scratch (a layer's experts, unpacked) + logits + n × a draft's pass"
        f" + (n + {DRAFTS}) × a draft's keys and values, here of {CONTEXT} tokens; {gib(RESERVE)} are left to"
        " the driver. Last: how many drafts go through at once where that much is free; others wait.",
        style="dim",
    )
    if free:
        try:
            *_, reason = choose(config, "auto", free)
        except LoadError as error:
            reason = str(error)
        console.print(reason)


def _table(config: dict[str, Any], cards: list[int], unit: int) -> Table:
    """A column per recipe: eighty characters hold them all."""
    recipes = [recipe for recipes in RECIPES.values() for recipe in recipes]
    plans = [plan(config, recipe) for recipe in recipes]
    table = Table("", box=None, pad_edge=False)
    for recipe in recipes:
        linears = "" if recipe.linears == recipe.experts else f" + {recipe.linears}"
        table.add_column(recipe.precision + linears, justify="right", no_wrap=True)
    sizes = {group: [needs.groups[group] for needs in plans] for group in GROUPS}
    sizes |= {
        "model": [needs.model for needs in plans],
        "scratch": [needs.scratch for needs in plans],
        "logits": [needs.logits for needs in plans],
        "a draft's pass": [needs.draft for needs in plans],
        "its keys, values": [needs.context for needs in plans],
    }
    for name, values in sizes.items():
        table.add_row(
            name, *(f"{value / unit:.2f}" for value in values), style="bold" if name == "model" else ""
        )
    for card in cards:
        rows = (needs.rows_in(card - RESERVE) for needs in plans)
        at_once = (str(count) if count else "–" for count in rows)
        table.add_row(f"drafts, {card / GIB:.3g} GiB", *at_once, style="bold")
    return table


def _free_memory() -> int | None:
    """Free bytes of the NVIDIA GPU that would be used, asked of its driver: importing torch takes seconds."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0] or "0"
    query = [command, "--query-gpu=memory.free", "--format=csv,noheader,nounits", f"--id={first}"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
        return int(done.stdout.split()[0]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
