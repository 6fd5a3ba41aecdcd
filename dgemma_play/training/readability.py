"""Is it English? Measures that know nothing of the training grammar: a dictionary and an n-gram model.

The dictionary is the SCOWL word list (level "small"); the n-gram model counts public-domain children's
classics, fairy tales and verse. Both are small files in `assets/evaluation/`; the counts are made again by

    python -m dgemma_play.training.readability FOLDER_OF_CORPORA

Probabilities are interpolated (Jelinek-Mercer): λ₃ f(w|uv) + λ₂ f(w|v) + λ₁ f(w) + λ₀/V, with the weights
that are likeliest on text that was not counted (EM). All words outside the vocabulary are one unknown word.
"""

from __future__ import annotations

import functools
import gzip
import itertools
import json
import math
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ASSETS = Path(__file__).resolve().parent.parent.parent / "assets" / "evaluation"
DICTIONARY, NGRAMS, HELD_OUT = ASSETS / "dictionary.txt.gz", ASSETS / "ngrams.npz", ASSETS / "held_out.txt.gz"

#: The corpora that are counted: all public domain.
CORPORA = ("classics_children", "fairytale_sections", "nursery_verse", "poems_simple")
VOCABULARY, LEAST_PAIRS, LEAST_TRIPLES = 12_000, 3, 3
UNKNOWN, START = 0, 1
TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)*|[.,;:!?]")
WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")


def words(text: str) -> list[str]:
    """The words of `text` in small letters, without numbers and punctuation."""
    return [word.lower() for word in WORD.findall(text)]


def dictionary_share(text: str) -> float:
    """0–1: the share of words that stand in the dictionary, names as they are written there."""
    found = WORD.findall(text)
    known = sum(_in_dictionary(word) for word in found)
    return known / len(found) if found else 1.0


def _in_dictionary(word: str) -> bool:
    forms = {word, word.lower(), word.lower().removesuffix("'s")}
    return bool(forms & dictionary())


def doubled_share(text: str) -> float:
    """0–1: the share of neighbouring words that are the same word twice."""
    found = words(text)
    pairs = list(itertools.pairwise(found))
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else 0.0


def has_triple(text: str) -> bool:
    """Whether a word stands three times in a row."""
    found = words(text)
    return any(a == b == c for a, b, c in zip(found, found[1:], found[2:], strict=False))


def distinct(texts: Iterable[str], n: int = 2) -> float:
    """Distinct-n: different n-grams of words over all of them, 0–1."""
    grams = [gram for text in texts for gram in zip(*(words(text)[i:] for i in range(n)), strict=False)]
    return len(set(grams)) / len(grams) if grams else 0.0


def shuffled(text: str, seed: int = 0) -> str:
    """The same words in random order: what no reader would call English."""
    tokens = TOKEN.findall(text.lower())
    random.Random(seed).shuffle(tokens)
    return " ".join(tokens)


@functools.cache
def dictionary() -> frozenset[str]:
    with gzip.open(DICTIONARY, "rt", encoding="utf-8") as file:
        return frozenset(file.read().split())


@functools.cache
def held_out() -> tuple[str, ...]:
    """Passages of the corpora that were not counted."""
    with gzip.open(HELD_OUT, "rt", encoding="utf-8") as file:
        return tuple(json.loads(file.read()))


@dataclass(frozen=True, eq=False)
class NgramModel:
    """Interpolated trigrams over words and punctuation.

    `keys` and `counts` are, for n = 1, 2, 3, the n-grams as base-V numbers, sorted, and how often they stood.
    """

    vocabulary: dict[str, int]
    keys: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]
    weights: tuple[float, ...]  # λ₀ … λ₃

    @classmethod
    def load(cls) -> NgramModel:
        with np.load(NGRAMS) as file:
            vocabulary = {word: i for i, word in enumerate(str(file["vocabulary"]).split("\n"))}
            keys = tuple(np.cumsum(file[f"steps{n}"].astype(np.int64)) for n in (1, 2, 3))
            counts = tuple(file[f"counts{n}"].astype(np.int64) for n in (1, 2, 3))
            return cls(vocabulary, keys, counts, tuple(file["weights"].tolist()))

    def perplexity(self, texts: Sequence[str]) -> float:
        """Of all `texts` together, per word and punctuation mark."""
        chances = np.concatenate([self.chances(text) for text in texts])
        return float(math.exp(-np.log(chances).mean()))

    def chances(self, text: str) -> np.ndarray:
        """The probability of each word and punctuation mark of `text` given the two before it."""
        return self._parts(self.ids(text)) @ np.array(self.weights)

    def ids(self, text: str) -> np.ndarray:
        tokens = TOKEN.findall(text.lower())
        return np.array([START, START, *(self.vocabulary.get(token, UNKNOWN) for token in tokens)])

    def _parts(self, ids: np.ndarray) -> np.ndarray:
        """[words, 4]: uniform, unigram, bigram and trigram frequencies."""
        size = len(self.vocabulary)
        grams = [ids[2:], ids[1:-1] * size + ids[2:], (ids[:-2] * size + ids[1:-1]) * size + ids[2:]]
        befores = [None, ids[1:-1], ids[:-2] * size + ids[1:-1]]
        parts = [np.full(len(ids) - 2, 1 / size)]
        for n, (gram, before) in enumerate(zip(grams, befores, strict=True)):
            seen = self._count(n, gram)
            total = self.counts[0].sum() if before is None else self._count(n - 1, before)
            parts.append(seen / np.maximum(total, np.maximum(seen, 1)))
        return np.stack(parts, axis=1)

    def _count(self, n: int, gram: np.ndarray) -> np.ndarray:
        at = np.minimum(np.searchsorted(self.keys[n], gram), len(self.keys[n]) - 1)
        return np.where(self.keys[n][at] == gram, self.counts[n][at], 0)


# --- making the counts ---------------------------------------------------------------------------


def build(folder: Path) -> None:
    """Count the corpora in `folder`, all but every 40th document, and write `assets/evaluation`."""
    documents = list(_documents(folder))
    counted = [text for i, text in enumerate(documents) if i % 40]
    kept_out = [text for i, text in enumerate(documents) if i % 40 == 0]
    frequency = Counter(token for text in counted for token in TOKEN.findall(text.lower()))
    names = ["<unknown>", "<start>", *(word for word, _ in frequency.most_common(VOCABULARY - 2))]
    empty = np.empty(0, np.int64)
    model = NgramModel({w: i for i, w in enumerate(names)}, (empty,) * 3, (empty,) * 3, (0.25,) * 4)
    rows = [model.ids(text) for text in counted]
    size = len(names)
    grams = (
        np.concatenate([row[2:] for row in rows] + [np.full(2 * len(rows), START)]),
        np.concatenate([row[:-1] * size + row[1:] for row in rows]),
        np.concatenate([(row[:-2] * size + row[1:-1]) * size + row[2:] for row in rows]),
    )
    pairs = [np.unique(gram, return_counts=True) for gram in grams]
    pairs = [
        (k[c >= least], c[c >= least])
        for (k, c), least in zip(pairs, (1, LEAST_PAIRS, LEAST_TRIPLES), strict=True)
    ]
    keys, counts = (tuple(pair[i] for pair in pairs) for i in (0, 1))
    model = NgramModel(model.vocabulary, keys, counts, model.weights)
    weights = _likeliest_weights(model, kept_out[::2])
    # Steps from key to key compress better than keys.
    arrays: dict[str, Any] = {
        f"steps{n + 1}": np.diff(keys[n], prepend=0).astype(np.uint64) for n in range(3)
    }
    arrays |= {f"counts{n + 1}": counts[n].astype(np.uint32) for n in range(3)}
    np.savez_compressed(NGRAMS, vocabulary="\n".join(names), weights=np.array(weights), **arrays)
    sample = [text for text in kept_out[1::2] if len(text) < 1500][:150]
    HELD_OUT.write_bytes(gzip.compress(json.dumps(sample).encode(), 9, mtime=0))


def _documents(folder: Path) -> Iterator[str]:
    for name in CORPORA:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)["text"]


def _likeliest_weights(model: NgramModel, texts: Sequence[str]) -> tuple[float, ...]:
    parts = np.concatenate([model._parts(model.ids(text)) for text in texts])
    weights = np.full(4, 0.25)
    for _ in range(50):
        share = parts * weights
        weights = (share / share.sum(axis=1, keepdims=True)).mean(axis=0)
    return tuple(weights.tolist())


if __name__ == "__main__":
    build(Path(sys.argv[1]))
