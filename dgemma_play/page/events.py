"""What happens when a visitor generates, stops or opens a figure; `layout` wires it to the components."""

from __future__ import annotations

import base64
import binascii
import logging
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import gradio as gr
from gradio.utils import get_upload_folder

from dgemma_play import codec
from dgemma_play.errors import InputError, PlayError
from dgemma_play.messages import Ended, Failed, Running
from dgemma_play.settings import Settings
from dgemma_play.trace import Trace

from . import figures

if TYPE_CHECKING:  # handed in by app.py; importing it here would bring the whole engine along
    from dgemma_play.runs import Runner

#: A trace that is sent back for a figure, as base64.
MAX_FIGURE_TEXT = 16 * 2**20
WRONG = "Something went wrong here. Reload the page and try again; the program's log has the details."

log = logging.getLogger(__name__)


class Files:
    """Trace files that Gradio serves, each under a name nobody can guess, and deletes with its cache."""

    def __init__(self) -> None:
        self.paths: set[str] = set()  # Gradio takes out what it has deleted

    def keep(self, trace: Trace) -> Path:
        """`trace` as a new file."""
        words = re.findall(r"[a-z0-9]+", trace.prompt[-1]["content"].lower()[:200])
        name = "-".join(["dgemma", *words[:6], str(trace.tracks[0].seed)])
        folder = Path(get_upload_folder()).resolve() / secrets.token_hex(20)
        folder.mkdir(parents=True)
        path = folder / f"{name[:80]}{codec.SUFFIX}"
        trace.save(path)
        self.paths.add(str(path))
        return path

    @staticmethod
    def url(path: Path) -> str:
        """Where the browser finds a kept file, from the page it is on."""
        return f"gradio_api/file={quote(str(path))}"


@dataclass(frozen=True)
class Events:
    """The page's events, for one runner."""

    runner: Runner
    files: Files

    def stream(
        self, visitor: str, prompt: Any, values: Mapping[str, Any]
    ) -> Iterator[tuple[str, int | None]]:
        """Sink records of a run, with its seed once it is known. Whatever goes wrong is a record too."""
        try:
            for update in self.runner.live(visitor, text_of(prompt), Settings.from_dict(values)):
                if isinstance(update, Ended):
                    path = self.files.keep(update.trace)
                    yield update.record(self.files.url(path), path.name), None
                elif isinstance(update, Running):
                    yield update.record(), update.facts.settings.seed
                else:
                    yield update.record(), None
        except PlayError as error:
            yield Failed(str(error)).record(), None
        except Exception:
            log.exception("A run could not be shown.")
            yield Failed(WRONG).record(), None

    def generate(self, sink: gr.HTML, seed_box: gr.Textbox, names: tuple[str, ...]) -> Callable[..., Any]:
        """Handler of Generate: prompt, a value per name in `names`, seed, lock."""

        def run(request: gr.Request, prompt: Any, *inputs: Any) -> Iterator[dict[Any, Any]]:
            *values, seed, locked = inputs
            given = dict(zip(names, values, strict=True))
            if locked is True and seed:
                given["seed"] = int(seed) if str(seed).strip().isdecimal() else seed
            for record, drawn in self.stream(visitor_of(request), prompt, given):
                yield {sink: record} if drawn is None else {sink: record, seed_box: str(drawn)}

        return run

    def stop(self, request: gr.Request) -> None:
        """Handler of Stop."""
        self.runner.stop(visitor_of(request))

    def stop_draft(self, request: gr.Request, event: gr.EventData) -> None:
        """Handler of a card's own stop."""
        draft = data_of(event).get("draft")
        if isinstance(draft, int) and not isinstance(draft, bool):
            self.runner.stop(visitor_of(request), draft)


def figure(event: gr.EventData) -> Any:
    """Handler of "open as figure": {kind, draft, dark, trace}, the trace file as base64.

    The browser sends back the file it shows, so the server keeps nobody's trace; it is read like any other
    that comes from outside.
    """
    data = data_of(event)
    text = data.get("trace")
    try:
        if not isinstance(text, str) or len(text) > MAX_FIGURE_TEXT:
            raise InputError("This run is too large for a figure.")
        trace = codec.decode(base64.b64decode(text, validate=True))
        return draw(trace, data.get("kind"), data.get("draft"), dark=data.get("dark") is True)
    except binascii.Error:
        raise gr.Error("What came for the figure is not a trace.", print_exception=False) from None
    except PlayError as error:
        raise gr.Error(str(error), print_exception=False) from None


def draw(trace: Trace, kind: Any, draft: Any, dark: bool) -> Any:
    """The figure called `kind`. Raises `InputError` for one that there isn't."""
    if kind == "timeline":
        return figures.timeline(trace, dark)
    if kind == "heatmap" and isinstance(draft, int):
        return figures.heatmap(trace, draft, dark)
    raise InputError("There is no such figure: ask for a heatmap of a draft or for the timeline.")


def visitor_of(request: gr.Request) -> str:
    """Who asks: a browser tab or an API client. Without a session nobody could stop the run."""
    return request.session_hash or secrets.token_hex(8)


def data_of(event: gr.EventData) -> Mapping[str, Any]:
    """What the browser sent with an event; anything at all."""
    data = event._data
    return data if isinstance(data, dict) else {}


def text_of(prompt: Any) -> str:
    """`prompt` if it is text: chat messages come in by the package alone."""
    if not isinstance(prompt, str):
        raise InputError(f"The prompt must be text, got {type(prompt).__name__}.")
    return prompt
