"""The weighted mean of checkpoints: `python -m dgemma_play.training.average new=2 old=1 --out mean`.

Rounds of training that began from one another lie in one basin, where a mean of weights is often as good as
the best of them (Wortsman et al., "Model soups", 2022). It also evens out what each round came to prefer
among wordings that are equally right, so that drafts differ more.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import DiffusionGemmaForBlockDiffusion, PreTrainedTokenizerFast

from dgemma_play.training import model, tokenizer


@torch.no_grad()
def average(shares: Mapping[Path, float]) -> tuple[Any, PreTrainedTokenizerFast]:
    """The mean of checkpoints by their shares (any positive numbers), in the first one's vocabulary.

    Rows are told by their token, not by their place. A token that another checkpoint lacks keeps its row.
    """
    first, *_ = shares
    words = PreTrainedTokenizerFast.from_pretrained(first)
    tokens = tokenizer.tokens(words)
    base: Any = DiffusionGemmaForBlockDiffusion.from_pretrained(first, dtype=torch.float32)
    mean = {key: torch.zeros_like(weight) for key, weight in base.state_dict().items()}
    for folder, share in shares.items():
        trained = DiffusionGemmaForBlockDiffusion.from_pretrained(folder, dtype=torch.float32)
        known = tokenizer.tokens(PreTrainedTokenizerFast.from_pretrained(folder))
        placed = model.create(len(tokens))
        model.take_over(placed, tokens, trained, known)
        lacking = [tokens.index(token) for token in set(tokens) - set(known)]
        rows = placed.get_input_embeddings().weight
        rows[lacking] = base.get_input_embeddings().weight[lacking]
        for key, weight in placed.state_dict().items():
            mean[key] += weight * (share / sum(shares.values()))
    base.load_state_dict(mean)
    return base, words


def main(arguments: list[str] | None = None) -> None:
    """Write the mean that a command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_play.training.average", description=__doc__)
    parser.add_argument(
        "checkpoints", nargs="+", type=folder_and_share, metavar="FOLDER=SHARE", help="first: whose words"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the mean")
    plan = parser.parse_args(arguments)
    model.export(*average(dict(plan.checkpoints)), plan.out)


def folder_and_share(argument: str) -> tuple[Path, float]:
    """The parts of `runs/embedded/checkpoint=2`."""
    folder, _, share = argument.rpartition("=")
    return Path(folder), float(share)


if __name__ == "__main__":
    main()
