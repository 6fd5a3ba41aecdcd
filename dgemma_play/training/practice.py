"""Practice: the model's own faultless drafts, pass by pass, as training rows.

Noise around a clean text is not what a sampler meets. Its canvases hold what the model itself accepted,
and some of that has to be taken back. Here the model writes drafts by its own sampler, those without a fault
are kept, and the canvases on their way are examples whose target is the text that they ended in. This is
rejection-sampling fine-tuning (Yuan et al. 2023, "Scaling Relationship on Learning Mathematical Reasoning
with Large Language Models"), of a sampler's passes instead of whole answers. By itself it makes drafts more
alike: what comes often is practised often. So a phrase that several drafts of one prompt have is learnt from
one of them.

    python -m dgemma_play.training.practice --checkpoint runs/a/checkpoint --out runs/practice.pt
    python -m dgemma_play.training.train --from runs/a/checkpoint --practice runs/practice.pt --out runs/b
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dgemma_play import Settings, Trace, denoise, load
from dgemma_play.training import grammar, measures, passes, tokenizer
from dgemma_play.training.evaluate import Draft, familiar_runs
from dgemma_play.training.grammar import elastic
from dgemma_play.training.passes import Passes
from dgemma_play.training.probes import Probe
from dgemma_play.training.tokenizer import EOS

# Blanks and code are right or wrong in ways that `Draft.faultless` cannot see without a probe. Stories are
# mostly faultless without practice, and it would teach them one plot, the one that is written most.
_LEFT_OUT = ("blank", "code", "story", "long story")
_DRAFTS = 8  # of each prompt
_SAVE_MINUTES = 5
_SEED = 21  # of the texts that drafts are held against: others than the evaluation's


@dataclass(frozen=True)
class Practised:
    """What came of one prompt: the number of drafts, how many were faultless, and passes to learn from."""

    drafts: int
    faultless: int
    passes: tuple[Passes, ...]


def faultless(draft: Draft) -> bool:
    """Whether a draft may be learnt from: as in the evaluation, *a* and *an* right, and no second hero."""
    return (
        draft.faultless
        and elastic.with_articles(draft.text) == draft.text
        and not measures.meets_itself(draft.text, draft.probe.words)
    )


def spelt_plainly(loaded: Any, text: str, ids: list[int]) -> bool:
    """Whether answer ids are the plain encoding of their text and one end token.

    Signs of the chat template among the words do not show in a text, nor does a word spelt in characters.
    """
    return ids == [*loaded.tokenizer.encode(text, add_special_tokens=False), EOS]


def write(loaded: Any, familiar: measures.Familiar, seed: int) -> Iterator[Practised]:
    """One prompt of the corpus after the other, without end.

    Subjects are such as suit the form; with a stand-in only drafts that avoid it would pass for faultless.
    """
    rng = random.Random(seed)
    for number in itertools.count():
        example = grammar.sample(rng, stand_ins=False)
        if example.form in _LEFT_OUT:
            continue
        settings = Settings(drafts=_DRAFTS, seed=1000 * seed + _DRAFTS * number)
        trace = Trace.record(denoise(loaded, example.prompt, settings))
        probe = Probe("practice", example.form, example.prompt, example.asked)
        good = [
            track
            for track, ids in zip(trace.tracks, trace.token_ids, strict=True)
            if faultless(Draft(probe, track.text, track.steps_used, familiar.share(track.text, probe.form)))
            and spelt_plainly(loaded, track.text, ids.tolist())
        ]
        prompt = tokenizer.encode_prompt(loaded.tokenizer, example.prompt)
        learnt = [good[index] for index in measures.apart([track.text for track in good])]
        found = tuple(group for track in learnt for group in passes.of_track(track, prompt))
        yield Practised(len(trace.tracks), len(good), found)


def main() -> None:
    """Write drafts for the given time, saving the passes of the faultless ones every few minutes."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_play.training.practice", description=__doc__)
    parser.add_argument("--checkpoint", default="embedded", help="a folder, or the embedded checkpoint")
    parser.add_argument("--out", type=Path, default=Path("runs/practice.pt"))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load(arguments.checkpoint, precision="fp32", device="cpu")
    familiar = familiar_runs(_SEED)  # minutes, before the clock runs
    done: list[Practised] = []
    begun = saved = time.monotonic()
    for practised in write(loaded, familiar, arguments.seed):
        done.append(practised)
        now = time.monotonic()
        over = now - begun > 60 * arguments.minutes
        if over or now - saved > 60 * _SAVE_MINUTES:
            saved = now
            found = [group for one in done for group in one.passes]
            passes.save(arguments.out, loaded.tokenizer, found)
            drafts, good = sum(one.drafts for one in done), sum(one.faultless for one in done)
            print(f"{good} of {drafts} drafts faultless, {sum(map(len, found))} passes", flush=True)
        if over:
            break


if __name__ == "__main__":
    main()
