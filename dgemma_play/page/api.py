"""The endpoint /generate: a prompt and settings in, JSON and the trace file out. One run, no page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from dgemma_play.errors import PlayError
from dgemma_play.messages import Ended, Failed, Queued
from dgemma_play.settings import KNOBS, Settings
from dgemma_play.trace import Trace

from . import events

if TYPE_CHECKING:
    from dgemma_play.runs import Runner

#: Seconds between two signs of life; at each of them an abandoned run is noticed.
PULSE = 1.0


def endpoint(runner: Runner, files: events.Files) -> Callable[..., Any]:
    """The function behind /generate; its parameters are the names in `Settings`."""

    def generate(
        request: gr.Request,
        prompt: str,
        drafts: int | None = None,
        steps: int | None = None,
        t_max: float | None = None,
        t_min: float | None = None,
        entropy_bound: float | None = None,
        stability_threshold: int | None = None,
        confidence_threshold: float | None = None,
        max_new_tokens: int | None = None,
        seed: int | None = None,
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
        """Write drafts in answer to a prompt. Settings left out take the model's own defaults.

        Returns the texts with their token counts, seeds, steps used, endings and timings, and the trace file
        (.dgemma), which holds every step and opens in the page.
        """
        given = locals()
        values = {name: given[name] for name in KNOBS if given[name] is not None}
        visitor = events.visitor_of(request)
        try:
            pulse = time.monotonic()
            for update in runner.live(visitor, events.text_of(prompt), Settings.from_dict(values)):
                if isinstance(update, Failed):
                    raise PlayError(update.sentence)
                if isinstance(update, Ended):
                    yield summary(update.trace), _file(files.keep(update.trace))
                elif isinstance(update, Queued):
                    yield {"state": "queued", "place": update.place, "seconds": update.seconds}, None
                elif time.monotonic() - pulse > PULSE:
                    pulse = time.monotonic()
                    yield {"state": "running"}, None
        except PlayError as error:
            raise gr.Error(str(error), print_exception=False) from None

    # Gradio reads the outputs' types from here, and a generator's annotation tells it nothing.
    generate.__annotations__["return"] = tuple[dict, gr.FileData]
    return generate


def summary(trace: Trace) -> dict[str, Any]:
    """A trace in readable JSON: one entry per draft in every list."""
    seconds = [round(float(track.seconds[-1]), 4) for track in trace.tracks]
    return {
        "texts": trace.texts,
        "tokens": [len(ids) for ids in trace.token_ids],
        "seeds": trace.seeds,
        "steps_used": trace.steps_used,
        "endings": [track.ended for track in trace.tracks],
        "seconds": seconds,
        "total_seconds": max(seconds),
        "model": vars(trace.model),
    }


def _file(path: Path) -> dict[str, Any]:
    return gr.FileData(path=str(path), url=None, orig_name=path.name).model_dump()
