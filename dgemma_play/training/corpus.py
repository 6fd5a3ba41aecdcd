"""Examples from the grammar as rows of token ids, in buckets of equal length."""

from __future__ import annotations

import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from dgemma_play.training import grammar, tokenizer
from dgemma_play.training.grammar import elastic, tables, words
from dgemma_play.training.model import CANVAS
from dgemma_play.training.tokenizer import EOS, PAD

TURN_SHARE = 0.03  # of the examples get an earlier exchange before their prompt
_COMMON = 9  # times in `_VOCABULARY_EXAMPLES` that a word must occur in prompts to become a token
FULL_SHARE = 0.3  # of the short answers get the whole canvas, so that the tail of end tokens is learnt


@dataclass(frozen=True)
class Bucket:
    """Rows of one shape: `rows [N, prompt + canvas] int16`, prompt padded left, canvas filled with EOS."""

    prompt: int
    canvas: int
    batch: int
    rows: Tensor


_FILE = "corpus.pt"
_VOCABULARY_EXAMPLES = 60_000  # the first three parts, where there are as many
_PART = 20_000  # examples that one process draws at a time
_HELD_OUT = 900
# Prompt, canvas, batch: of whole canvases, of short answers, of what stands behind a long prompt.
SHAPES = ((26, CANVAS, 24), (26, 28, 44), (96, CANVAS, 12))


def draw(count: int, seed: int | str, stand_ins: bool = True) -> list[grammar.Example]:
    """Examples of all forms by their weights; without stand-ins each is about a subject that suits it."""
    rng = random.Random(seed)
    return [grammar.sample(rng, stand_ins=stand_ins) for _ in range(count)]


def corpus_vocabulary(examples: Sequence[grammar.Example]) -> list[str]:
    """Words of the answers, common ones of the prompts, names, words of everyday sentences and prompts.

    Among them are the things and forms that small talk declines, and the commonest subjects with a capital.

    An invented word occurs once or twice in the prompts and stays outside: it is there to be spelt out.
    """
    answers = Counter(token for example in examples for token in elastic.split(example.answer))
    prompts = Counter(token for example in examples for token in elastic.split(example.prompt))
    common = (token for token, count in prompts.most_common() if count >= _COMMON)
    extra = (
        *words.names(),
        *words.plain_words(),
        *words.other_words(),
        *(noun.capitalize() for noun in words.by_rarity(words.subjects())[0]),
    )
    frequent = (token for token, _ in answers.most_common())
    chat, everyday = tables.read("chat"), tables.read("everyday")["sentences"]
    refused = (*chat["unknown things"][0], *chat["unknown forms"][0])
    told = (line.replace("/", " ") for group in everyday for line in group)
    others = (token for text in (*refused, *told) for token in elastic.split(text))
    return tokenizer.vocabulary((*frequent, *common, *(f" {word}" for word in extra), *others))


def rows_of(
    fast: PreTrainedTokenizerFast, example: grammar.Example, history: grammar.Example | None = None
) -> list[tuple[list[int], list[int]]]:
    """The canvases of an answer, each with what stands before it: the prompt, then earlier canvases."""
    prompt = tokenizer.encode_prompt(fast, example.prompt)
    if history is not None:
        earlier = tokenizer.encode_prompt(fast, history.prompt)
        earlier += [*fast.encode(history.answer, add_special_tokens=False), EOS]
        prompt = earlier + prompt[1:]
    answer = [*fast.encode(example.answer, add_special_tokens=False), EOS]
    starts = range(0, len(answer), CANVAS)
    return [(prompt + answer[:start], answer[start : start + CANVAS]) for start in starts]


def encode(
    fast: PreTrainedTokenizerFast, examples: Iterable[grammar.Example], seed: int | str
) -> list[Bucket]:
    """Each canvas goes to the smallest bucket that holds it, or by chance (`FULL_SHARE`) to the first.

    What fits none is left out.
    """
    rng = random.Random(seed)
    rows: list[list[list[int]]] = [[] for _ in SHAPES]
    earlier: grammar.Example | None = None
    for example in examples:
        history = earlier if rng.random() < TURN_SHARE and example.form != "long story" else None
        for prompt, canvas in rows_of(fast, example, history):
            fitting = [i for i, (p, c, _) in enumerate(SHAPES) if len(prompt) <= p and len(canvas) <= c]
            if fitting:
                smallest = min(fitting, key=lambda i: SHAPES[i][0] + SHAPES[i][1])
                index = 0 if 0 in fitting and rng.random() < FULL_SHARE else smallest
                width, length, _ = SHAPES[index]
                row = [PAD] * (width - len(prompt)) + prompt + canvas + [EOS] * (length - len(canvas))
                rows[index].append(row)
        earlier = example
    return [
        Bucket(prompt, canvas, batch, torch.tensor(bucket, dtype=torch.int16).view(-1, prompt + canvas))
        for (prompt, canvas, batch), bucket in zip(SHAPES, rows, strict=True)
    ]


def worth(buckets: Iterable[Bucket], vocabulary: int) -> Tensor:
    """What each token tells about a text by its rarity, in nats `[V]`: nothing if one comes for each text."""
    canvases = [bucket.rows[:, bucket.prompt :] for bucket in buckets]
    counts = torch.bincount(torch.cat([rows.flatten() for rows in canvases]).long(), minlength=vocabulary)
    return torch.log(sum(map(len, canvases)) / (1 + counts)).clamp(min=0)


def prepare(folder: Path, count: int, seed: int) -> tuple[PreTrainedTokenizerFast, list[Bucket], Bucket]:
    """Draw and encode the examples on all cores, once per run folder."""
    if not (folder / _FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        parts = [(min(_PART, count - first), f"{seed}.{first}") for first in range(0, count, _PART)]
        with _processes(len(parts)) as each:
            first_parts = each(_draw_part, parts[: _VOCABULARY_EXAMPLES // _PART])
            fast = tokenizer.build(corpus_vocabulary([example for part in first_parts for example in part]))
            encoded = list(each(partial(_encode_part, fast.backend_tokenizer.to_str()), parts))
        content = {
            "tokenizer": fast.backend_tokenizer.to_str(),
            "buckets": [
                asdict(Bucket(*shape, torch.from_numpy(np.concatenate(rows))))
                for shape, rows in zip(SHAPES, zip(*encoded, strict=True), strict=True)
            ],
            "held_out": asdict(encode(fast, draw(_HELD_OUT, seed + 1), seed=2)[0]),
        }
        torch.save(content, folder / f"{_FILE}.part")
        (folder / f"{_FILE}.part").replace(folder / _FILE)
    return load(folder)


@contextmanager
def _processes(parts: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` over as many processes as there are cores; for a single part, the plain one."""
    if parts == 1:
        yield map
        return
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        yield pool.map


def _draw_part(part: tuple[int, str]) -> list[grammar.Example]:
    return draw(*part)


def _encode_part(tokenizer_json: str, part: tuple[int, str]) -> list[NDArray[np.int16]]:
    """The rows of a part per bucket. The process that encodes a part draws it, too: only rows are sent."""
    fast = tokenizer.wrap(tokenizer.Tokenizer.from_str(tokenizer_json))
    return [bucket.rows.numpy() for bucket in encode(fast, draw(*part), seed=part[1])]


def load(folder: Path) -> tuple[PreTrainedTokenizerFast, list[Bucket], Bucket]:
    """Tokenizer, training buckets and held-out rows of a run folder."""
    content = torch.load(folder / _FILE)
    return (
        tokenizer.wrap(tokenizer.Tokenizer.from_str(content["tokenizer"])),
        [Bucket(**bucket) for bucket in content["buckets"]],
        Bucket(**content["held_out"]),
    )
