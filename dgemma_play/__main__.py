"""A run in a terminal: python -m dgemma_play "Write a haiku about a frog." --drafts 4 --save run.dgemma"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from . import checkpoints, codec, settings, terminal
from .errors import PlayError, TraceError
from .page import player
from .trace import Trace


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dgemma_play", description=__doc__)
    parser.add_argument("prompt", nargs="?", help="What the drafts should be about.")
    parser.add_argument(
        "--system",
        help="Said before the prompt: a role, a voice, a rule. The embedded model takes it for prompt.",
    )
    parser.add_argument("--model", default="embedded", help='"embedded", a folder or a name on the Hub.')
    parser.add_argument("--precision", default="auto", help="How weights are kept: auto, fp32, bf16, ...")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    parser.add_argument("--rows", type=int, help="Most drafts that go through the model at once.")
    parser.add_argument(
        "--save",
        metavar="FILE",
        help="Keep the run: as a trace file, or for a name ending in .html as a page that replays it.",
    )
    parser.add_argument("--replay", metavar="FILE", help="Play a trace file instead of running a prompt.")
    settings.add_arguments(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 for a run that failed half-way; 2 for what was refused (a sentence on stderr).

    Ctrl-C in mid-run keeps the drafts and is 0; before that it is 130. It skips what is left of a replay.
    """
    options = parser().parse_args(arguments)
    try:
        if options.save is not None:
            _check_place(options.save)
        if options.replay:
            trace = Trace.load(options.replay)
            with contextlib.suppress(KeyboardInterrupt):
                terminal.replay(Console(), trace)
        else:
            trace = _denoise(options)
        try:
            if options.save:
                _save(trace, options.save)
        finally:
            terminal.summary(Console(), trace)
        if options.save and sys.stdout.isatty():
            way = "open it in a browser" if _is_page(options.save) else "play it with --replay"
            print(f"Saved to {options.save}; {way}.")
    except PlayError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return int(any(track.ended == "failed" for track in trace.tracks))


def _check_place(file: str) -> None:
    """Raises `TraceError` where a run could not be saved, before it is computed."""
    path = Path(file).absolute()
    try:
        folder, there = path.is_dir(), path.parent.is_dir()
    except OSError:  # a name that is too long, a folder that is not ours
        folder = there = False
    if not file:
        raise TraceError("--save takes the name of a file, as in run.dgemma.")
    if folder or file.endswith(("/", os.sep)):
        raise TraceError(f"{file} is a folder: name the file in it, as in run.dgemma.")
    if not there:
        raise TraceError(f"{file} lies in no folder that is there: make it, or save elsewhere.")
    if not os.access(path.parent, os.W_OK):
        raise TraceError(f"{file} lies in a folder that you may not write to: save elsewhere.")


def _save(trace: Trace, file: str) -> None:
    """Raises `TraceError` if the place can't be written."""
    if _is_page(file):
        asked = trace.prompt[-1]["content"]
        codec.write(player.standalone(codec.encode(trace), title=asked).encode(), file)
    else:
        trace.save(file)


def _is_page(file: str) -> bool:
    return file.lower().endswith((".html", ".htm"))


def _denoise(options: argparse.Namespace) -> Trace:
    asked = settings.from_arguments(options)
    prompt = settings.behind_system(options.prompt or "", options.system)
    settings.check_prompt(prompt)
    checkpoints.look_at(options.model)
    from . import denoise, load  # after the checks: importing torch takes seconds

    loaded = load(options.model, options.precision, options.device)
    return terminal.run(Console(), denoise(loaded, prompt, asked, rows=options.rows))


if __name__ == "__main__":
    sys.exit(main())
