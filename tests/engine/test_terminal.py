"""The terminal: live, replayed, piped, interrupted, and with bad input."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import dgemma_play
from dgemma_play import InputError, Trace, __main__, codec, terminal
from dgemma_play.trace import Frame, ModelFacts
from tests.unit.test_trace import Scripted, guess, noise


def console(width: int = 100) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, width=width, height=50, color_system="truecolor"), out


def drafts() -> list[Frame]:
    first = [noise(), guess(1, [1, 2, 3, 4]), guess(2, [1, 2, 3, 9], ended="stable")]
    second = [noise(1), guess(1, [5, 6, 7, 8], draft=1, ended="steps")]
    return [*first, *second]


class Broken(Scripted):
    """Two drafts whose frames end with an error: after one it is all noise, after two a draft has a step."""

    notes: tuple[str, ...] = ()

    def __init__(self, error: BaseException, after: int = 2) -> None:
        super().__init__(*drafts(), drafts=2)
        self._error, self._after = error, after

    def __iter__(self) -> Iterator[Frame]:
        yield from self._frames[: self._after]
        raise self._error


def test_a_live_run_shows_every_draft_and_returns_its_trace() -> None:
    screen, out = console()
    trace = terminal.run(screen, Scripted(*drafts(), drafts=2))
    assert trace.texts == ["1 2 3", "5 6 7 8"]
    assert "seed 40" in out.getvalue()


def test_ctrl_c_keeps_what_is_there() -> None:
    screen, out = console()
    trace = terminal.run(screen, Broken(KeyboardInterrupt()))
    assert trace.texts == ["1 2 3 4"]
    assert trace.tracks[0].ended == "stopped"
    assert "Stopped" in out.getvalue()


def test_a_replay_shows_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "STEP_SECONDS", 0)
    screen, out = console()
    terminal.replay(screen, Trace.record(Scripted(*drafts(), drafts=2)))
    for step in range(3):
        assert f"step {step}" in out.getvalue()


def test_the_summary_says_why_each_draft_stopped() -> None:
    screen, out = console()
    terminal.summary(screen, Trace.record(Scripted(*drafts(), drafts=2)))
    assert "stable, end of text" in out.getvalue()
    assert "step cap, answer length" in out.getvalue()


def test_words_of_a_stranger_cannot_steer_the_terminal() -> None:
    trace = Trace.record(Scripted(*drafts(), drafts=2))
    hostile = dict.fromkeys(trace.words, "\x1b[2J\x07\u202e[red]")
    screen, out = console()
    wall = terminal.Wall(hostile, trace.seeds, trace.eos_ids)
    wall.show(trace.tracks[0].frame(1))
    screen.print(wall)
    assert "\x1b[2J" not in out.getvalue()
    assert "\u202e" not in out.getvalue()
    assert "[red]" in out.getvalue()


def test_names_of_a_stranger_cannot_either() -> None:
    trace = Trace.record(Scripted(*drafts(), drafts=2))
    hostile = ModelFacts("[/x][link=file:///etc/passwd]\x1bc", "", "\x1b[2J", "\u202e", 8)
    screen, out = console()
    terminal.summary(screen, dataclasses.replace(trace, model=hostile))
    assert "\x1bc" not in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()
    assert "\x1b]8" not in out.getvalue()
    assert "[/x]" in out.getvalue()


def test_an_error_in_mid_run_keeps_what_is_there_and_says_why() -> None:
    screen, out = console()
    trace = terminal.run(screen, Broken(InputError("This run needs more memory than cuda has.")))
    assert trace.texts == ["1 2 3 4"]
    assert trace.tracks[0].ended == "failed"
    assert "more memory" in out.getvalue()


def test_an_error_of_nobodys_making_keeps_the_drafts_too(caplog: pytest.LogCaptureFixture) -> None:
    screen, out = console()
    trace = terminal.run(screen, Broken(RuntimeError("out of luck")))
    assert [track.ended for track in trace.tracks] == ["failed"]
    assert "what was written is kept" in out.getvalue()
    assert "out of luck" in caplog.text
    assert "out of luck" not in out.getvalue()


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (InputError("No memory."), 2)])
def test_a_run_that_ends_before_its_first_step_leaves_an_earlier_file_alone(
    error: BaseException, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dgemma_play, "denoise", lambda *given, **options: Broken(error, after=1))
    file = tmp_path / "run.dgemma"
    file.write_bytes(b"an earlier run")
    assert __main__.main(["hi", "--save", str(file)]) == code
    assert file.read_bytes() == b"an earlier run"


def test_what_the_engine_has_to_say_is_said_of_a_stopped_run_too() -> None:
    stopped = Broken(KeyboardInterrupt())
    stopped.notes = ("Memory ran out with 2 drafts at once.",)
    screen, out = console()
    terminal.run(screen, stopped)
    assert "Memory ran out" in out.getvalue()


def test_a_run_is_saved_though_nobody_reads_what_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "again.dgemma"
    fox = Path(__file__).parents[2] / "assets" / "examples" / "fox.dgemma"
    command = [sys.executable, "-m", "dgemma_play", "--replay", str(fox), "--save", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.close()
    assert Trace.load(file).texts == Trace.load(fox).texts


def test_a_replay_that_is_skipped_is_saved_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def skipped(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "replay", skipped)
    fox = Path(__file__).parents[2] / "assets" / "examples" / "fox.dgemma"
    page = tmp_path / "fox.html"
    assert __main__.main(["--replay", str(fox), "--save", str(page)]) == 0
    assert "data-trace" in page.read_text(encoding="utf-8")
    assert "Draft 8" in capsys.readouterr().out


def test_a_run_that_cannot_be_saved_is_still_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "run.dgemma"

    def begin(*given: object, **options: object) -> Scripted:
        place.mkdir()  # after the place was looked at
        return Scripted(*drafts(), drafts=2)

    monkeypatch.setattr(dgemma_play, "denoise", begin)
    assert __main__.main(["hi", "--save", str(place)]) == 2
    shown = capsys.readouterr()
    assert "5 6 7 8" in shown.out
    assert "could not be written" in shown.err


def test_a_folder_that_may_not_be_written_to_is_told_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dgemma_play, "denoise", lambda *given, **options: pytest.fail("it was begun"))
    monkeypatch.setattr(__main__.os, "access", lambda place, mode: (place, mode) != (tmp_path, os.W_OK))
    assert __main__.main(["hi", "--save", str(tmp_path / "run.dgemma")]) == 2
    assert "a folder that you may not write to: save elsewhere." in capsys.readouterr().err


def test_a_piped_run_is_plain_text_and_can_be_saved_and_replayed(tmp_path: Path) -> None:
    file = tmp_path / "run.dgemma"
    command = [sys.executable, "-m", "dgemma_play"]
    ask = [*command, "Write a haiku about rain.", "--drafts", "2", "--seed", "5", "--save", str(file)]
    first = subprocess.run(ask, capture_output=True, text=True, check=True)
    assert first.stderr == ""
    assert "\x1b" not in first.stdout
    again = subprocess.run([*command, "--replay", str(file)], capture_output=True, text=True, check=True)
    assert again.stdout == first.stdout
    for text in Trace.load(file).texts:
        assert text in first.stdout


def test_a_run_can_be_saved_as_a_page_that_replays_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fox = Path(__file__).parents[2] / "assets" / "examples" / "fox.dgemma"
    file = tmp_path / "run.html"
    assert __main__.main(["--replay", str(fox), "--save", str(file)]) == 0
    page = file.read_text()
    assert "<title>Write a short story about a fox.</title>" in page
    inside = re.search('data-trace="([^"]+)"', page)
    assert inside
    assert codec.decode(base64.b64decode(inside[1])).texts == Trace.load(fox).texts
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "The prompt is empty"),
        (["hi", "--steps", "0"], "steps must be a whole number from 1 to 128, got 0"),
        (["hi", "--t-max", "nan"], "t_max must be a number from 0.01 to 5, got nan"),
        (["hi", "--drafts", "many"], "drafts must be a whole number from 1 to 32, got 'many'"),
        (["hi", "--save", "no-such-folder/run.dgemma"], "lies in no folder"),
        (["hi", "--save", f"{'long' * 100}/run.dgemma"], "lies in no folder"),
        (["hi", "--save", "."], ". is a folder: name the file in it"),
        (["hi", "--save", "/"], "/ is a folder"),
        (["hi", "--save", "new/"], "new/ is a folder"),
        (["hi", "--save", ""], "--save takes the name of a file"),
        (["hi", "--model", "~nobody-of-that-name/model"], "There is no folder ~nobody-of-that-name/model"),
        (["--replay", "no-such-file.dgemma"], "could not be read"),
        (["--replay", __file__], "not a DGemma Play trace"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(arguments) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert shown.err.count("\n") == 1
