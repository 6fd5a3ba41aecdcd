"""Traces made without a model: the shape of a real run, the same every time.

Positions are decided in a rough order of difficulty; some are given back, some are changed later. Used by the
player's tests and by `benchmarks/replay.py`, so that a retrained checkpoint changes neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dgemma_play.messages import LiveEncoder
from dgemma_play.settings import Settings
from dgemma_play.trace import RIVALS, Frame, ModelFacts, Trace, Track, until_end

TEXT = (
    "The jar was empty, and it hummed. Ivo turned it against the lamp, looking for a crack, a fly, a trick."
    " For thirty years he had shelved what the sea brought back: a laugh from a ferry, the last bell of a"
    " drowned school, his mother calling in the goats. Each had an owner once. This one had no label and no"
    " grief in it.\nEvery morning Marit swept the gallery and gathered what the night had dropped. Small"
    " things, mostly: a cough, half a song, the click of a suitcase. She knew them by their weight."
)
NOISE = (
    " quartz ledger ibid plano merge gild Soup anode void( opal >> kelvin ferro lorem Basil tundra #12 cusp"
    " ionic __init sable vector Oslo fjord */ murk pixel Rho brine async quoin 0x3F tallow gamut crux &amp"
    " lathe sigma Wren null; hemp cobalt Delta moss ratio yawl $in tarn copse Kyoto octet ]] ember lichen"
)
#: Words that would do harm if any of them were read as markup, a template or an instruction to the layout.
HOSTILE = (
    "<img src=x onerror=\"document.title='pwned'\">",
    "${document.title='pwned'}",
    "{{constructor.constructor('document.title=1')()}}",
    "</script><script>document.title='pwned'</script>",
    "\u202egnol\u202c",
    "\u2067\u0000\u0001",
    "\ud83d",
    "<0xE2>",
    "\t",
    "\n\n",
    "</style>",
    "&lt;b&gt;",
)
END = 1


def pieces(text: str) -> list[str]:
    """Tokens with their leading space; punctuation and line breaks stand alone."""
    out: list[str] = []
    for word in text.replace("\n", " \n ").split(" "):
        if word == "\n":
            out.append("\n")
            continue
        core = word.rstrip(".,:;!?")
        out += [core if out[-1:] == ["\n"] else f" {core}"] if core else []
        out += list(word[len(core) :])
    return out


def vocabulary(extra: tuple[str, ...] = ()) -> tuple[dict[int, str], list[int], list[int]]:
    """(words, ids of the text, ids of noise). Id 1 is the end of text."""
    text, noise = pieces(TEXT), [*NOISE.split(" ")[1:], *extra]
    distinct = [*dict.fromkeys([*text, *(f" {word}" if word not in extra else word for word in noise)])]
    ids = {word: 10 + 3 * k for k, word in enumerate(distinct)}
    words = {number: word for word, number in ids.items()} | {END: "<eos>"}
    return words, [ids[word] for word in text], [*ids.values()]


def synthetic(
    drafts: int = 3,
    canvas: int = 64,
    steps: int = 16,
    blocks: int = 1,
    early: bool = True,
    hostile: bool = False,
    seed: int = 0,
) -> Trace:
    """A run of `drafts` tracks. `early` lets them stop at different steps; `hostile` mixes in `HOSTILE`."""
    words, text, noise = vocabulary(HOSTILE if hostile else ())
    tracks = [
        _track(
            np.random.default_rng((seed, draft)),
            draft,
            canvas,
            steps,
            blocks,
            early,
            text,
            noise,
            words,
            hostile,
        )
        for draft in range(drafts)
    ]
    prompt = HOSTILE[0] + HOSTILE[3] if hostile else "Write the opening of a story."
    return Trace(
        prompt=({"role": "user", "content": prompt},),
        model=ModelFacts(name="synthetic", revision="", precision="fp32", device="cpu", rows=drafts),
        canvas_length=canvas,
        eos_ids=(END,),
        words=words,
        tracks=tuple(tracks),
    )


def _track(
    rng: np.random.Generator,
    draft: int,
    canvas: int,
    steps: int,
    blocks: int,
    early: bool,
    text: list[int],
    noise: list[int],
    words: dict[int, str],
    hostile: bool,
) -> Track:
    frames: list[Frame] = []
    # Only words are mistaken for one another: a full stop or a line break is not.
    plain = [number for number in noise if words[number][0] == " " and words[number][1:].isalpha()]
    answer = np.array((text * (2 + blocks * canvas // len(text)))[draft * 7 :][: blocks * canvas])
    if hostile:
        bad = [number for number, word in words.items() if word in HOSTILE]
        answer[:: max(1, canvas // 16)] = np.resize(bad, len(answer[:: max(1, canvas // 16)]))
    answer[-(canvas // 8) :] = END
    for block in range(blocks):
        last = steps - int(rng.integers(0, steps // 3 + 1)) if early else steps
        final = answer[block * canvas : (block + 1) * canvas]
        frames += _block(rng, draft, block, last, final, noise, plain, stable=last < steps)
    planes: dict[str, Any] = {
        name: np.stack(
            [
                getattr(frame, name) if frame.step else np.zeros_like(getattr(frames[1], name))
                for frame in frames
            ]
        )
        for name in ("best_ids", "confidence", "entropy", "accepted", "top_ids", "top_probs")
    }
    whole = until_end(answer, (END,))
    return Track(
        seed=40 + draft,
        settings=Settings(drafts=1, steps=steps),
        ended="eos",
        text="".join(words[int(i)] for i in whole if i != END).strip(),
        steps_used=sum(frame.step > 0 for frame in frames),
        block=np.array([frame.block for frame in frames]),
        step=np.array([frame.step for frame in frames]),
        temperature=np.array([frame.temperature for frame in frames]),
        seconds=np.arange(len(frames)) * 0.05,
        canvas_ended=tuple(frame.ended for frame in frames),
        canvas_ids=np.stack([frame.canvas_ids for frame in frames]),
        **planes,
    )


def _block(
    rng: np.random.Generator,
    draft: int,
    block: int,
    last: int,
    final: np.ndarray,
    noise: list[int],
    plain: list[int],
    stable: bool,
) -> Iterator[Frame]:
    size = len(final)
    # When each position is decided; a few are first decided with another word, a few given back for one step.
    due = 1 + (last - 2) * np.sort(rng.random(size))[np.argsort(np.argsort(rng.random(size)))]
    due[-1] = 1
    wrong = np.where((rng.random(size) < 0.04) & np.isin(final, plain), rng.choice(plain, size), -1)
    slip = np.where(rng.random(size) < 0.1, np.floor(due) + 2, -1)
    yield Frame(
        draft=draft, block=block, step=0, temperature=0.8, ended="", canvas_ids=_random(rng, noise, size)
    )
    for step in range(1, last + 1):
        over = step == last
        decided = (step >= due) & (step != slip)
        early_word = (wrong >= 0) & (step < due + 3) & ~np.array(over)
        best = np.where(early_word, wrong, final)
        rise = 1 / (1 + np.exp(-(step - due + 0.4) / 1.5))
        confidence = np.where(decided, 0.5 + 0.499 * rise, np.minimum(0.5, 0.02 + 0.4 * rise))
        rivals = np.stack([best, *(_random(rng, noise, size) for _ in range(RIVALS - 1))], axis=1)
        rest = np.array([0.4, 0.25, 0.15, 0.1])
        share = np.minimum((1 - confidence)[:, None] * rest, confidence[:, None] * (rest + 0.5))
        yield Frame(
            draft=draft,
            block=block,
            step=step,
            temperature=round(0.8 - 0.4 * step / last, 6),
            ended="" if not over else "stable" if stable else "steps",
            canvas_ids=np.where(decided, best, _random(rng, noise, size)).astype(np.int32),
            best_ids=best.astype(np.int32),
            confidence=confidence.astype(np.float16),
            entropy=(4.5 * (1 - confidence) ** 1.5).astype(np.float16),
            accepted=decided,
            top_ids=rivals.astype(np.int32),
            top_probs=np.concatenate([confidence[:, None], share], axis=1).astype(np.float16),
        )


def _random(rng: np.random.Generator, noise: list[int], size: int) -> np.ndarray:
    return rng.choice(noise, size).astype(np.int32)


def frames_of(track: Track, draft: int) -> Iterator[Frame]:
    """A track's frames as the engine yielded them."""
    for k in range(len(track.step)):
        guess = (
            {
                name: getattr(track, name)[k]
                for name in ("best_ids", "confidence", "entropy", "accepted", "top_ids", "top_probs")
            }
            if track.step[k]
            else {}
        )
        yield Frame(
            draft=draft,
            block=int(track.block[k]),
            step=int(track.step[k]),
            temperature=float(track.temperature[k]),
            ended=track.canvas_ended[k],
            canvas_ids=track.canvas_ids[k],
            **guess,
        )


def live_records(trace: Trace, run: str = "run-1", blocks: int | None = None) -> list[str]:
    """The sink's records of a run that would leave this trace: its start, then one message per pass."""
    import json

    by_pass: dict[tuple[int, int], list[Frame]] = {}
    for draft, track in enumerate(trace.tracks):
        for frame in frames_of(track, draft):
            by_pass.setdefault((frame.block, frame.step), []).append(frame)
    status = {
        "state": "running",
        "run": run,
        "drafts": len(trace.tracks),
        "canvas_length": trace.canvas_length,
        "steps": max(int(track.step.max()) for track in trace.tracks),
        "blocks": blocks or 1 + max(int(track.block.max()) for track in trace.tracks),
        "prompt": trace.prompt[0]["content"],
        "seeds": [track.seed for track in trace.tracks],
        "settings": {},
        "eos_ids": list(trace.eos_ids),
        "model": {"name": "synthetic", "precision": "fp32", "device": "cpu", "rows": len(trace.tracks)},
    }
    encoder = LiveEncoder(run, trace.canvas_length)
    messages = ["m" + encoder.encode(frames, trace.words) for _, frames in sorted(by_pass.items())]
    return ["s" + json.dumps(status), *messages]
