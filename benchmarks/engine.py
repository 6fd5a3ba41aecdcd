"""The engine beside transformers' generate(), in one run: python benchmarks/engine.py

Both arms write the same drafts of one prompt with the stop rule off, so that every draft takes all its steps;
a third arm leaves the rule on, where drafts that end leave the batch. Best of `--repeat` by CPU time, which
neighbours on the machine disturb less than the wall clock. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from dgemma_play import Settings, Trace, codec, denoise, load
from dgemma_play.tokens import encode_prompt

PROMPT = "Write a short story about a fox."


def best(arm: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """The least CPU seconds of `repeat` runs, and what the last run gave."""
    seconds, result = [], None
    for _ in range(repeat):
        began = time.process_time()
        result = arm()
        seconds.append(time.process_time() - began)
    return min(seconds), result


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="embedded")
    options.add_argument("--steps", type=int, default=48)
    options.add_argument("--repeat", type=int, default=3)
    asked = options.parse_args()

    loaded = load(asked.model)
    torch.set_num_threads(1)
    ids = torch.tensor([encode_prompt(loaded.tokenizer, ({"role": "user", "content": PROMPT},))])
    canvas = loaded.canvas_length

    def generate(drafts: int) -> Any:
        torch.manual_seed(0)
        config = loaded.model.generation_config
        config.confidence_threshold, before = 1e-12, config.confidence_threshold  # it has no "off"
        try:
            prompts: Any = ids.repeat(drafts, 1)
            return loaded.model.generate(prompts, max_new_tokens=canvas, max_denoising_steps=asked.steps)
        finally:
            config.confidence_threshold = before

    def play(drafts: int, **values: Any) -> Trace:
        settings = Settings(drafts=drafts, seed=0, steps=asked.steps, max_new_tokens=canvas, **values)
        return Trace.record(denoise(loaded, PROMPT, settings, rows=drafts))

    def first_frame() -> None:
        run = denoise(loaded, PROMPT, Settings(drafts=8, seed=0))
        next(frame for frame in run if frame.step == 1)
        run.close()

    generate(1), play(1)  # warm
    report: dict[str, Any] = {"model": loaded.name, "canvas": canvas, "steps": asked.steps}
    print(
        f"{loaded.name}: canvas {canvas}, {asked.steps} steps, {loaded.precision}, one thread; CPU seconds\n"
    )
    print("drafts  generate()   denoise  ratio  passes/s  with stop rule  steps used")
    for drafts in (1, 8):
        theirs, _ = best(lambda n=drafts: generate(n), asked.repeat)
        ours, _ = best(lambda n=drafts: play(n, confidence_threshold=0), asked.repeat)
        ruled, trace = best(lambda n=drafts: play(n), asked.repeat)
        used = sum(trace.steps_used) / drafts
        print(
            f"{drafts:6}  {theirs:10.2f}  {ours:8.2f}  {theirs / ours:5.2f}  {asked.steps / ours:8.1f}"
            f"  {ruled:14.2f}  {used:10.1f}"
        )
        report[f"drafts {drafts}"] = {
            "generate s": round(theirs, 3),
            "denoise s": round(ours, 3),
            "ratio": round(theirs / ours, 2),
            "passes per s": round(asked.steps / ours, 1),
            "with stop rule s": round(ruled, 3),
        }
    seconds, _ = best(first_frame, asked.repeat)
    size = len(codec.encode(play(8, confidence_threshold=0)))
    report |= {"first frame s": round(seconds, 4), "trace KiB": round(size / 1024, 1)}
    print(f"\nfirst frame with a guess, 8 drafts: {seconds * 1000:.0f} ms")
    print(f"trace file, 8 drafts x {asked.steps} steps x {canvas}: {size / 1024:.0f} KiB\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
