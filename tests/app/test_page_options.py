"""app.py: its options, and what it says where they make no sense."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import app
import dgemma_play
from dgemma_play.page import layout


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page was launched with; nothing is loaded or served."""
    said: dict[str, Any] = {}
    monkeypatch.setattr(dgemma_play, "load", lambda *what: said.update(load=what), raising=False)
    monkeypatch.setattr(app, "runner", lambda loaded: None)
    monkeypatch.setattr(layout, "build", lambda runner: None)
    monkeypatch.setattr(layout, "launch", lambda demo, **options: said.update(options))
    return said


def test_without_options_the_embedded_model_is_served_to_this_machine_only(launched: dict[str, Any]) -> None:
    app.main([])
    assert launched == {
        "load": ("embedded", "auto", "auto"),
        "server_name": None,
        "server_port": None,
        "share": False,
        "auth": None,
    }


def test_every_option_arrives(launched: dict[str, Any]) -> None:
    line = "--model m --precision bf16 --device cpu --host 0.0.0.0 --port 80 --auth ada:love:lace"
    app.main(line.split())
    assert launched["load"] == ("m", "bf16", "cpu")
    assert launched["server_name"] == "0.0.0.0"
    assert launched["server_port"] == 80
    assert launched["auth"] == ("ada", "love:lace")


def test_a_public_link_without_a_password_says_what_that_means(
    launched: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    app.main(["--share"])
    assert "whoever has the link" in capsys.readouterr().out
    app.main(["--share", "--auth", "ada:lovelace"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("auth", ["ada", "ada:", ":lovelace"])
def test_half_a_password_is_refused(launched: dict[str, Any], auth: str) -> None:
    with pytest.raises(SystemExit, match="--auth takes a name and a password"):
        app.main(["--auth", auth])
    assert launched == {}


def test_a_model_that_is_not_there_ends_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no checkpoint"):
        app.main(["--model", str(tmp_path)])


def test_the_plan_is_shown_without_torch_or_gradio_and_in_eighty_columns() -> None:
    code = (
        "import sys, atexit, app; seen = sys.modules;"
        "atexit.register(lambda: print(*{'torch', 'gradio'} & set(seen), file=sys.stderr));"
        "app.main(['--plan', '--memory', '24GB'])"
    )
    root = Path(app.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stderr.split() == []
    assert "nf4" in done.stdout
    assert "…" not in done.stdout


def test_a_card_that_is_no_size_ends_with_a_sentence() -> None:
    with pytest.raises(SystemExit, match="--memory must be a card's size"):
        app.main(["--plan", "--memory", "much"])


def test_the_entry_point_stays_small() -> None:
    assert len(Path(app.__file__).read_text("utf-8").splitlines()) < 65


def test_the_page_knows_no_torch() -> None:
    import subprocess

    code = "import sys, dgemma_play.page.layout, dgemma_play.messages; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    code = "import sys, dgemma_play.runs; print({'torch', 'gradio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
