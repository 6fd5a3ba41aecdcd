"""A run in a terminal: canvases that develop, coloured by confidence, and a closing table."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

import numpy as np
from rich.color import Color
from rich.columns import Columns
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.style import Style
from rich.table import Table
from rich.text import Text

from .errors import PlayError
from .recorder import Recorder
from .trace import Frame, Frames, Trace, Track, until_end

log = logging.getLogger(__name__)

#: Seconds that a step stays on screen when a trace is played.
STEP_SECONDS = 0.115
#: Least seconds between two pictures of a live run.
PICTURE_SECONDS = 0.08
#: Narrowest card, in characters.
MIN_CARD = 40

WHY = {
    "eos": "end of text",
    "length": "answer length",
    "stopped": "stopped",
    "failed": "failed",
    "stable": "stable",
    "steps": "step cap",
}
NOISE = Style(color="grey42", dim=True)
#: Unsure to sure, dark to light: the ends of the page's dark ramp.
UNSURE, SURE = np.array([0x56, 0x64, 0x79]), np.array([0xF6, 0xF0, 0xDA])


def run(console: Console, frames: Frames) -> Trace:
    """Show a run while it is computed. Ctrl-C, or an error in mid-run, ends it and keeps what is there.

    Before the first step there is nothing to keep: then both are the caller's.
    """
    recorder = Recorder(frames)
    wall = Wall(recorder.words, frames.facts.settings.seeds(), frames.facts.eos_ids)
    picture = 0.0
    try:
        with _live(console) as live:
            for frame in frames:
                recorder.add(frame)
                wall.show(frame)
                if time.perf_counter() - picture >= PICTURE_SECONDS:
                    live.update(wall, refresh=True)
                    picture = time.perf_counter()
            live.update("")
        trace = recorder.trace()
    except (KeyboardInterrupt, Exception) as error:  # whatever it is, no text is lost
        trace = recorder.trace(cut_off="stopped" if isinstance(error, KeyboardInterrupt) else "failed")
        if not any(trace.steps_used):
            raise
        if not isinstance(error, KeyboardInterrupt | PlayError):
            log.error("A run broke off.", exc_info=error)
        console.print(_broken_by(error))
    for sentence in getattr(frames, "notes", ()):
        console.print(Text(sentence, style="yellow"))
    return trace


def _broken_by(error: BaseException) -> Text:
    if isinstance(error, KeyboardInterrupt):
        return Text("Stopped: what was written so far is kept.", style="yellow")
    sentence = str(error) if isinstance(error, PlayError) else "This run broke off; what was written is kept."
    return Text(visible(sentence), style="red")


def replay(console: Console, trace: Trace) -> None:
    """Play a trace step by step; in a pipe there is nothing to play."""
    wall = Wall(trace.words, trace.seeds, trace.eos_ids)
    longest = max((len(track.step) for track in trace.tracks), default=0)
    with _live(console) as live:
        for position in range(longest if console.is_terminal else 0):
            for draft, track in enumerate(trace.tracks):
                if position < len(track.step):
                    wall.show(track.frame(position, draft))
            live.update(wall, refresh=True)
            time.sleep(STEP_SECONDS)
        live.update("")


def _live(console: Console) -> Live:
    return Live(console=console, auto_refresh=False, vertical_overflow="crop", transient=True)


def summary(console: Console, trace: Trace) -> None:
    """The texts, and per draft its seed, steps, end and speed."""
    for number, track in enumerate(trace.tracks, 1):
        console.print(Text(f"Draft {number}", style="bold"))
        console.print(Text(visible(track.text) or "(empty)"), soft_wrap=True)
        console.print()
    table = Table("draft", "seed", "steps", "stopped because", "tokens", "tok/s", box=None, pad_edge=False)
    for number, (track, ids) in enumerate(zip(trace.tracks, trace.token_ids, strict=True), 1):
        seconds = float(track.seconds[-1])
        speed = f"{len(ids) / seconds:.0f}" if seconds > 0 else ""
        table.add_row(str(number), str(track.seed), str(track.steps_used), why(track), str(len(ids)), speed)
    console.print(table)
    seconds = max((float(track.seconds[-1]) for track in trace.tracks), default=0.0)
    tokens = sum(map(len, trace.token_ids))
    model = trace.model
    speed = f", {tokens / seconds:.0f} tok/s" if seconds > 0 else ""
    how = f"{tokens} tokens in {seconds:.1f} s{speed} · {model.name}, {model.precision} on {model.device}"
    console.print(Text(visible(how)), soft_wrap=True)


def why(track: Track) -> str:
    """How the last canvas and the answer ended, e.g. "stable, end of text"."""
    words = [WHY[track.canvas_ended[-1]]] if track.canvas_ended[-1] in ("stable", "steps") else []
    return ", ".join([*words, WHY[track.ended]])


def visible(text: str) -> str:
    """`text` without characters that would steer a terminal or turn its writing direction."""
    return "".join(c if c.isprintable() or c == "\n" else "·" for c in text)


class Wall:
    """Every draft's canvas at its latest frame, side by side."""

    def __init__(self, words: Mapping[int, str], seeds: Sequence[int], eos_ids: Sequence[int]) -> None:
        self._words = words
        self._seeds = seeds
        self._eos_ids = eos_ids
        self._committed = [Text() for _ in seeds]  # the text of the blocks before the one shown
        self._frames: dict[int, Frame] = {}

    def show(self, frame: Frame) -> None:
        before = self._frames.get(frame.draft)
        if before is not None and before.block < frame.block:
            self._committed[frame.draft] += self._canvas(before)
        self._frames[frame.draft] = frame

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width // max(1, options.max_width // MIN_CARD)
        yield Columns([self._card(frame, width) for _, frame in sorted(self._frames.items())], padding=0)

    def _card(self, frame: Frame, width: int) -> Panel:
        title = f"{frame.draft + 1} · seed {self._seeds[frame.draft]} · step {frame.step}"
        text = self._committed[frame.draft] + self._canvas(frame)
        return Panel(text, title=title, width=width, border_style="grey37")

    def _canvas(self, frame: Frame) -> Text:
        """Noise pale, kept words in ink by confidence; a canvas that ended is its best guess."""
        text = Text()
        if frame.best_ids is None or frame.confidence is None or frame.accepted is None:
            for token in frame.canvas_ids.tolist():
                text.append(visible(self._words[token]), NOISE)
            return text
        ended = frame.ended in ("stable", "steps")
        ids = until_end(frame.best_ids, self._eos_ids) if ended else frame.canvas_ids
        planes = zip(ids.tolist(), frame.confidence.tolist(), frame.accepted.tolist(), strict=False)
        for token, confidence, accepted in planes:
            if not (ended and token in self._eos_ids):
                text.append(visible(self._words[token]), _ink(confidence) if ended or accepted else NOISE)
        return text


def _ink(confidence: float) -> Style:
    red, green, blue = (UNSURE + (SURE - UNSURE) * confidence).round().astype(int).tolist()
    return Style(color=Color.from_rgb(red, green, blue))
