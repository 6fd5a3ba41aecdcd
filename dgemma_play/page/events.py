"""What happens when a visitor generates, stops or opens a figure; `layout` wires it to the components."""

from __future__ import annotations

import base64
import html
import logging
import re
import secrets
import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import gradio as gr
from gradio.utils import get_upload_folder

from dgemma_play import codec
from dgemma_play.errors import InputError, PlayError, TraceError
from dgemma_play.messages import Ended, Failed, Running
from dgemma_play.settings import Settings, behind_system
from dgemma_play.trace import Trace

from . import figures

if TYPE_CHECKING:  # handed in by app.py; importing it here would bring the whole engine along
    from dgemma_play.runs import Runner

#: A trace that is sent back for a figure, as base64.
MAX_FIGURE_TEXT = 16 * 2**20
#: Bytes that trace files may take on the disk. A browser fetches its file at once, and keeps it itself.
MAX_KEPT = 512 * 2**20
WRONG = "Something went wrong here. Reload the page and try again; the program's log has the details."
UNKEPT = (
    "The drafts are written, but this run's file could not be kept: the machine that runs DGemma Play has no"
    " room for it. Copy the texts that you want to keep."
)

#: What may be a seed; a longer number is no seed, and the table of settings says so.
_SEED = re.compile(r"\d{1,20}")

log = logging.getLogger(__name__)


class _Paths(set[str]):
    """Paths that Gradio walks in a thread of its own, while runs add to them."""

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(super().__iter__()))


class Files:
    """Trace files that Gradio serves, each under a name nobody can guess.

    Gradio deletes them with its cache; before that the oldest go, once all take more than `most` bytes.
    """

    def __init__(self, most: int = MAX_KEPT) -> None:
        self.paths: set[str] = _Paths()  # Gradio takes out what it has deleted
        self._most = most
        self._kept: deque[tuple[Path, int]] = deque()  # with their sizes, oldest first
        self._lock = threading.Lock()

    def keep(self, trace: Trace) -> Path:
        """`trace` as a new file. Raises `TraceError` where there is no room for it."""
        words = re.findall(r"[a-z0-9]+", trace.prompt[-1]["content"].lower()[:200])
        name = "-".join(["dgemma", *words[:6], str(trace.tracks[0].seed)])
        path = Path(get_upload_folder()).resolve() / secrets.token_hex(20) / f"{name[:80]}{codec.SUFFIX}"
        data = codec.encode(trace)
        try:
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
        except OSError as error:
            shutil.rmtree(path.parent, ignore_errors=True)
            log.error("A trace file could not be written.", exc_info=error)
            raise TraceError(UNKEPT) from error
        with self._lock:
            self.paths.add(str(path))
            self._kept.append((path, len(data)))
            self._make_room()
        return path

    def _make_room(self) -> None:
        """Delete the oldest files while there are too many, and the folders of those that Gradio deleted."""
        taken = sum(size for _, size in self._kept)
        while len(self._kept) > 1 and (taken > self._most or not self._kept[0][0].exists()):
            path, size = self._kept.popleft()
            shutil.rmtree(path.parent, ignore_errors=True)
            self.paths.discard(str(path))
            taken -= size

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
        self, visitor: str, prompt: Any, values: Mapping[str, Any], system: Any = None
    ) -> Iterator[tuple[str, int | None]]:
        """Sink records of a run, with its seed once it is known. Whatever goes wrong is a record too."""
        begun: str | None = None  # what was written of this run stays on the page
        try:
            updates = self.runner.live(visitor, behind_system(prompt, system), Settings.from_dict(values))
            for update in updates:
                if isinstance(update, Ended):
                    path = self.files.keep(update.trace)
                    end = update.record(self.files.url(path), path.name)
                    # One value: of several that come at once a tab in the background hears the last alone.
                    rest = [each.record() for each in updates if not isinstance(each, Ended)]
                    yield "\n".join([end, *rest]), None
                elif isinstance(update, Running):
                    begun = update.run
                    yield update.record(), update.facts.settings.seed
                else:
                    yield update.record(), None
        except PlayError as error:
            yield Failed(str(error), begun).record(), None
        except Exception:
            log.exception("A run could not be shown.")
            yield Failed(WRONG, begun).record(), None

    def generate(self, sink: gr.HTML, seed_box: gr.Textbox, names: tuple[str, ...]) -> Callable[..., Any]:
        """Handler of Generate: prompt, system prompt, a value per name in `names`, seed, lock."""

        def run(request: gr.Request, prompt: Any, system: Any, *inputs: Any) -> Iterator[dict[Any, Any]]:
            *values, seed, locked = inputs
            given = dict(zip(names, values, strict=True))
            if locked is True and seed:
                given["seed"] = int(seed) if _SEED.fullmatch(str(seed).strip()) else seed
            for record, drawn in self.stream(visitor_of(request), prompt, given, system):
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
        trace = codec.decode(_unwrapped(text))
        return draw(trace, data.get("kind"), data.get("draft"), dark=data.get("dark") is True)
    except PlayError as error:
        # Gradio shows it as HTML, and the sentence may quote a stranger's file.
        raise gr.Error(html.escape(str(error)), print_exception=False) from None


def _unwrapped(text: str) -> bytes:
    """The bytes that came as base64. Raises `InputError` for what is none."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:  # of which binascii's own, for what is ASCII, is one
        raise InputError("What came for the figure is not a trace.") from error


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
