"""Measure a checkpoint: `python -m dgemma_play.training.evaluate --checkpoint assets/embedded`.

Writes `results.json`, `results.md` (tables) and `samples.txt` (unedited drafts). Draft
k of a prompt has the seed that its track names. `--tables` chooses what is measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from dgemma_play import Settings, Trace, denoise, load
from dgemma_play.training import corpus, measures, probes, readability
from dgemma_play.training import infill as infilling
from dgemma_play.training import variety as differing
from dgemma_play.training.grammar.example import Example
from dgemma_play.training.probes import Probe

_CORPUS_TEXTS = 240_000  # whose runs of three tokens count as familiar
_NOVELTY_TEXTS = 60_000  # of them, whose sentences and runs of five a draft may repeat
_HELD_OUT_TEXTS = 600
_AT_BEST_TEXTS = 4_000
_TABLES = (
    "kinds",
    "forms",
    "english",
    "infill",
    "steps",
    "samplers",
    "diversity",
    "variety",
    "speed",
    "samples",
)
# The end temperature follows the start; 48 passes at most.
_SAMPLERS: dict[str, dict[str, Any]] = {
    "0.9 → 0.4, bound 0.1, stop 0.005": {},
    "0.8 → 0.4, bound 0.1, stop 0.005": {"t_max": 0.8},
    "0.6 → 0.3, bound 0.1, stop 0.005": {"t_max": 0.6, "t_min": 0.3},
    "1.0 → 0.4, bound 0.1, stop 0.005": {"t_max": 1.0},
    "1.0 → 0.6, bound 0.1, stop 0.02": {"t_max": 1.0, "t_min": 0.6, "confidence_threshold": 0.02},
    "1.2 → 0.7, bound 0.1, stop 0.05": {"t_max": 1.2, "t_min": 0.7, "confidence_threshold": 0.05},
    "1.4 → 0.8, bound 0.1, stop 0.05": {"t_max": 1.4, "t_min": 0.8, "confidence_threshold": 0.05},
    "0.9 → 0.4, bound 0.03, stop 0.005": {"entropy_bound": 0.03},
    "0.9 → 0.4, bound 0.3, stop 0.005": {"entropy_bound": 0.3},
}


@dataclass(frozen=True)
class Draft:
    """One answer and what was found in it."""

    probe: Probe
    text: str
    steps: int
    familiar: float  # share of three-token runs that the corpus has, 0-1

    @property
    def kept(self) -> bool:
        if self.probe.form == "blank":
            return measures.filled(self.text, self.probe.words)
        solved = not self.probe.task or measures.solves(self.text, self.probe.task)
        return solved and measures.kept(self.text, self.probe.words)

    @property
    def formed(self) -> bool:
        return measures.has_form(self.probe.form, self.text)

    @property
    def faultless(self) -> bool:
        return self.kept and self.formed and self.familiar == 1.0


def familiar_runs(seed: int) -> measures.Familiar:
    """The runs of a corpus sample; without stand-ins, with which any word would be familiar as a hero."""
    return measures.Familiar(corpus.draw(_CORPUS_TEXTS, seed, stand_ins=False))


class Judge:
    """A loaded checkpoint, the corpus that its texts are held against, and an n-gram model of English."""

    def __init__(self, checkpoint: str, drafts: int) -> None:
        """Load the checkpoint on the CPU; `drafts` per prompt."""
        torch.set_num_threads(1)
        self.loaded: Any = load(checkpoint, precision="fp32", device="cpu")
        self.drafts = drafts
        self.familiar = familiar_runs(seed=11)
        novel = corpus.draw(_NOVELTY_TEXTS, seed=11, stand_ins=False)
        self.familiar_fives = measures.Familiar(novel, size=5)
        self.corpus_sentences = {part for one in novel for part in measures.sentences(one.answer)}
        self.held_out = corpus.draw(_HELD_OUT_TEXTS, seed=12, stand_ins=False)
        self.english = readability.NgramModel.load()
        self._written: dict[tuple[Probe, tuple[tuple[str, Any], ...]], list[Draft]] = {}

    @cached_property
    def at_best(self) -> dict[str, float]:
        """Per form the share (0-1) of the corpus' own new texts that are faultless, i.e. familiar throughout.

        Their form and subject are right by construction. A refusal is a text of small talk.
        """
        found: dict[str, list[float]] = defaultdict(list)
        for one in corpus.draw(_AT_BEST_TEXTS, seed=13, stand_ins=False):
            found[one.form].append(float(self.familiar.share(one.answer, one.form) == 1))
        shares = {form: mean(values) for form, values in found.items()}
        return shares | {"refusal": shares["chat"]}

    def summary(self, drafts: Sequence[Draft]) -> dict[str, float]:
        """See `summary`; and the faultless share that the corpus' own texts of these forms would have."""
        return summary(drafts) | {"at best": mean(self.at_best[draft.probe.form] for draft in drafts)}

    def write(
        self, prompt: str, drafts: int, seed: int = 100, **settings: Any
    ) -> tuple[list[str], list[int]]:
        """Texts and passes used of the drafts of one prompt."""
        trace = Trace.record(denoise(self.loaded, prompt, Settings(drafts=drafts, seed=seed, **settings)))
        return list(trace.texts), list(trace.steps_used)

    def ask(self, asked: Iterable[Probe], **settings: Any) -> list[Draft]:
        """All drafts of all probes; what was asked before is not written again."""
        return [draft for probe in asked for draft in self._drafts(probe, tuple(sorted(settings.items())))]

    def _drafts(self, probe: Probe, settings: tuple[tuple[str, Any], ...]) -> list[Draft]:
        key = (probe, settings)
        if key not in self._written:
            texts, passes = self.write(probe.prompt, self.drafts, **dict(settings))
            self._written[key] = [
                Draft(probe, text, used, self.familiar.share(text, probe.form))
                for text, used in zip(texts, passes, strict=True)
            ]
        return self._written[key]


def summary(drafts: Sequence[Draft]) -> dict[str, float]:
    """Shares (0-1) over drafts; *error* is the standard error of the faultless share over prompts.

    *Subject* is that of the prompts that ask for something to hold, *second hero* the share of the stories
    that have one (`measures.meets_itself`); each is left out where no draft counts for it.
    """
    faultless: dict[str, list[float]] = defaultdict(list)
    for draft in drafts:
        faultless[draft.probe.prompt].append(float(draft.faultless))
    by_prompt = [mean(found) for found in faultless.values()]
    asking = [draft for draft in drafts if draft.probe.words or draft.probe.task]
    subject = {"subject": mean(float(draft.kept) for draft in asking)} if asking else {}
    second = [
        float(measures.meets_itself(draft.text, draft.probe.words))
        for draft in drafts
        if "story" in draft.probe.form and draft.probe.words
    ]
    error = {"error": stdev(by_prompt) / len(by_prompt) ** 0.5} if len(by_prompt) > 1 else {}
    return {
        "drafts": len(drafts),
        **subject,
        "form": mean(float(draft.formed) for draft in drafts),
        "familiar": mean(draft.familiar for draft in drafts),
        "faultless": mean(by_prompt),
        **error,
        **({"second hero": mean(second)} if second else {}),
        "doubled": mean(readability.doubled_share(draft.text) for draft in drafts),
        "tripled": mean(float(readability.has_triple(draft.text)) for draft in drafts),
        "empty": mean(float(not draft.text.strip()) for draft in drafts),
        "passes": mean(float(draft.steps) for draft in drafts),
    }


def kinds(judge: Judge) -> dict[str, dict[str, float]]:
    """By wording: seen, paraphrased, held out, unknown (whose answers need not name the subject).

    The first two also without code and blanks, of which *subject* is far stricter than that a noun is named.
    """
    rows = {}
    for group in (probes.SEEN, probes.PARAPHRASED):
        drafts, kind = judge.ask(group), group[0].kind
        rows[kind] = judge.summary(drafts)
        rows[f"{kind}, no code or blanks"] = judge.summary(
            [draft for draft in drafts if draft.probe.form not in ("code", "blank")]
        )
    for group in (probes.HELD_OUT, probes.UNKNOWN):
        rows[group[0].kind] = judge.summary(judge.ask(group))
    return rows


def english(judge: Judge) -> dict[str, dict[str, float]]:
    """Dictionary and doubled words and n-gram perplexity of the drafts, beside texts known to be good or bad.

    Code is left out: `best: best` is right there.
    "Novel" is the share of sentences that do not stand verbatim in a corpus sample.
    """
    drafts = [draft for draft in judge.ask(probes.SEEN) if draft.probe.form != "code"]
    written = [Example(draft.probe.form, draft.probe.prompt, draft.text) for draft in drafts]
    corpus_texts = [example for example in judge.held_out if example.form != "code"]
    books = [Example("", "", text) for text in readability.held_out()]
    groups = {
        "the model's drafts": written,
        "the same, words shuffled": _shuffled(written),
        "held-out corpus": corpus_texts,
        "held-out children's books": books,
        "the same books, words shuffled": _shuffled(books),
    }
    return {name: _english(judge, [one for one in found if one.answer]) for name, found in groups.items()}


def _shuffled(examples: Iterable[Example]) -> list[Example]:
    return [replace(one, answer=readability.shuffled(one.answer)) for one in examples]


def _english(judge: Judge, examples: Sequence[Example]) -> dict[str, float]:
    texts = [one.answer for one in examples]
    found = [sentence for text in texts for sentence in measures.sentences(text)]
    return {
        "dictionary": readability.dictionary_share(" ".join(texts)),
        "doubled": mean(map(readability.doubled_share, texts)),
        "perplexity": judge.english.perplexity(texts),
        "corpus runs of 3": mean(judge.familiar.share(one.answer, one.form) for one in examples),
        "of 5": mean(judge.familiar_fives.share(one.answer, one.form) for one in examples),
        "novel": mean(float(sentence not in judge.corpus_sentences) for sentence in found),
    }


def infill(judge: Judge) -> dict[str, dict[str, float]]:
    """Held-out texts with a span given back to noise: see `dgemma_play.training.infill`."""
    return infilling.table(judge.loaded, judge.english, judge.held_out)


def forms(judge: Judge) -> dict[str, dict[str, float]]:
    """By form, seen wordings and then paraphrased ones."""
    groups: dict[str, list[Draft]] = defaultdict(list)
    for draft in judge.ask((*probes.SEEN, *probes.PARAPHRASED)):
        groups[f"{draft.probe.form}, {draft.probe.kind}"].append(draft)
    return {name: judge.summary(drafts) for name, drafts in groups.items()}


def steps(judge: Judge) -> dict[str, dict[str, float]]:
    """By the most passes allowed, seen wordings."""
    return {
        f"{cap} passes": judge.summary(judge.ask(probes.SEEN, **({} if cap == 48 else {"steps": cap})))
        for cap in (4, 8, 16, 32, 48)
    }


def samplers(judge: Judge) -> dict[str, dict[str, float]]:
    """By sampler settings, seen wordings; with the diversity of 16 drafts of each of five prompts."""
    return {
        name: judge.summary(judge.ask(probes.SEEN, **settings)) | _mean_diversity(judge, settings)
        for name, settings in _SAMPLERS.items()
    }


def _mean_diversity(judge: Judge, settings: dict[str, Any]) -> dict[str, float]:
    found = [_diversity(judge.write(prompt, 16, **settings)[0]) for prompt in probes.DIVERSITY]
    return {column: mean(one[column] for one in found) for column in found[0]}


def _diversity(texts: Sequence[str]) -> dict[str, float]:
    return {
        f"openings of {len(texts)}": measures.openings(texts),
        f"unique of {len(texts)}": len(set(texts)),
        f"apart of {len(texts)}": len(measures.apart(texts)),
        "distinct-2": readability.distinct(texts),
    }


def diversity(judge: Judge) -> dict[str, dict[str, float]]:
    """16 drafts of one prompt; *apart* are those that share no phrase with one before (`measures.apart`)."""
    return {prompt: _diversity(judge.write(prompt, 16)[0]) for prompt in probes.DIVERSITY}


def variety(judge: Judge) -> dict[str, dict[str, float]]:
    """What a reader of many drafts meets again: see `dgemma_play.training.variety`."""
    return differing.table(lambda prompt, drafts: judge.write(prompt, drafts)[0])


def speed(judge: Judge) -> dict[str, dict[str, float]]:
    """Seconds for one canvas of 48 passes with the stop rule off, one thread; best of two."""
    result = {}
    for drafts in (1, 8):
        seconds = []
        for _ in range(2):
            begun = time.perf_counter()
            judge.write(probes.SEEN[0].prompt, drafts, confidence_threshold=0, max_new_tokens=64)
            seconds.append(time.perf_counter() - begun)
        result[f"{drafts} drafts × 48 passes"] = {"seconds": min(seconds)}
    return result


def samples(judge: Judge, file: Path) -> None:
    """Two drafts of every seen prompt and of some others, as they came."""
    lines = ["Unedited: the first two drafts of each prompt, seed 100, the checkpoint's own settings.", ""]
    for probe in (*probes.SEEN, *probes.PARAPHRASED[::8], *probes.UNKNOWN[:2]):
        texts, _ = judge.write(probe.prompt, 2)
        lines += [f"> {probe.prompt}", *(f"\n{text}" for text in texts), ""]
    file.write_text("\n".join(lines) + "\n")


def table(rows: dict[str, dict[str, float]]) -> str:
    """A markdown table; a column that a row does not have stays empty."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [_number(row[column]) if column in row else "" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def main() -> None:
    """Measure the chosen tables and write them."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_play.training.evaluate", description=__doc__)
    parser.add_argument("--checkpoint", default="embedded", help="a folder, or the embedded checkpoint")
    parser.add_argument("--out", type=Path, default=Path("runs/evaluation"))
    parser.add_argument("--drafts", type=int, default=8, help="drafts per prompt")
    parser.add_argument("--tables", nargs="+", choices=_TABLES, default=_TABLES)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    judge = Judge(arguments.checkpoint, arguments.drafts)
    path = arguments.out / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    measured = {
        "kinds": kinds,
        "forms": forms,
        "english": english,
        "infill": infill,
        "steps": steps,
        "samplers": samplers,
        "diversity": diversity,
        "variety": variety,
        "speed": speed,
    }
    for name, measure in measured.items():
        if name in arguments.tables:
            results[name] = measure(judge)
            print(f"\n{name}\n{table(results[name])}", flush=True)
            path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if "samples" in arguments.tables:
        samples(judge, arguments.out / "samples.txt")
    report = [f"## {name}\n\n{table(rows)}\n" for name, rows in results.items()]
    (arguments.out / "results.md").write_text("\n".join(report))


if __name__ == "__main__":
    main()
