"""The endpoint /generate: a prompt and settings in, JSON and the trace file out. One run, no page."""

from __future__ import annotations

import html
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from dgemma_play.analysis import changes
from dgemma_play.errors import PlayError, TraceError
from dgemma_play.messages import Ended, Failed, Note, Queued, Update
from dgemma_play.settings import KNOBS, Settings, behind_system
from dgemma_play.trace import Trace

from . import events
from .player import ASSETS

if TYPE_CHECKING:
    from dgemma_play.runs import Runner

#: Seconds between two signs of life; at each of them an abandoned run is noticed.
PULSE = 1.0

log = logging.getLogger(__name__)


def endpoint(runner: Runner, files: events.Files) -> Callable[..., Any]:
    """The function behind /generate; it takes a prompt, the names in `Settings`, and a system prompt."""

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
        system: str | None = None,
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
        """Write drafts in answer to a prompt, behind a system prompt if there is one.

        Settings left out take the model's own defaults.

        Returns the texts with their token counts, seeds, steps used, endings and timings, how their tokens
        settled, were revised and lost on the way, and notes on the run; and the trace file (.dgemma), which
        holds the steps. A run that breaks half-way returns what was written: its endings are "failed", and a
        note says why.
        """
        given = {
            "drafts": drafts,
            "steps": steps,
            "t_max": t_max,
            "t_min": t_min,
            "entropy_bound": entropy_bound,
            "stability_threshold": stability_threshold,
            "confidence_threshold": confidence_threshold,
            "max_new_tokens": max_new_tokens,
            "seed": seed,
        }
        values = {name: value for name, value in given.items() if value is not None}
        visitor = events.visitor_of(request)
        try:
            yield from _answers(
                runner.live(visitor, behind_system(prompt, system), Settings.from_dict(values)), files
            )
        except PlayError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception:
            log.exception("A run could not be answered.")
            raise gr.Error(events.WRONG, print_exception=False) from None

    # Gradio reads the outputs' types from here, and a generator's annotation tells it nothing.
    generate.__annotations__["return"] = tuple[dict, gr.FileData]
    return generate


def _answers(
    updates: Iterator[Update], files: events.Files
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Signs of life while a run waits and goes on, then its answer. Raises `PlayError` if it failed."""
    pulse = time.monotonic()
    answer, file, notes = None, None, list[str]()
    for update in updates:
        if isinstance(update, Failed) and not (answer and any(answer["steps_used"])):
            raise PlayError(update.sentence)
        if isinstance(update, Failed | Note):  # broken half-way, it has what was written
            notes.append(update.sentence)
        elif isinstance(update, Ended):
            answer = summary(update.trace)
            try:
                file = _file(files.keep(update.trace))
            except TraceError as error:  # the texts are worth having without it
                notes.append(str(error))
        elif isinstance(update, Queued):
            yield {"state": "queued", "place": update.place, "seconds": update.seconds}, None
        elif time.monotonic() - pulse > PULSE:
            pulse = time.monotonic()
            yield {"state": "running"}, None
    if answer is not None:
        yield answer | {"notes": notes}, file


def summary(trace: Trace) -> dict[str, Any]:
    """A trace in readable JSON: one entry per draft in every list."""
    seconds = [round(float(track.seconds[-1]), 4) for track in trace.tracks]
    tokens = [len(ids) for ids in trace.token_ids]
    changed = [changes(track, length) for track, length in zip(trace.tracks, tokens, strict=True)]
    return {
        "texts": trace.texts,
        "tokens": tokens,
        "seeds": trace.seeds,
        "steps_used": trace.steps_used,
        "endings": [track.ended for track in trace.tracks],
        "settled": [each.settled for each in changed],
        "revisions": [each.revisions for each in changed],
        "lost": [each.lost for each in changed],
        "seconds": seconds,
        "total_seconds": max(seconds),
        "model": vars(trace.model),
    }


def _file(path: Path) -> dict[str, Any]:
    return gr.FileData(path=str(path), url=None, orig_name=path.name).model_dump()


# --- what the page says of it ----------------------------------------------------------------------

KEYS = ("texts", "tokens", "seeds", "steps_used", "endings", "settled", "revisions", "lost", "seconds")


def sheet() -> str:
    """The endpoint explained, as a template without placeholders; made of the settings table alone."""
    rows = "".join(
        f"<tr><td><code>{name}</code></td><td>{html.escape(each.help)}</td>"
        f"<td>{'above ' if each.above else ''}{each.low:g}</td><td>{each.high:.10g} {each.unit}</td></tr>"
        for name, each in KNOBS.items()
    )
    page = (ASSETS / "page" / "api.html").read_text("utf-8")
    return page.replace("[rows]", rows).replace("[keys]", "</code>, <code>".join(KEYS))
