"""app.py: its options, and what it says where they make no sense."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

import app
import dgemma_play
from dgemma_play.errors import PlayError
from dgemma_play.page import layout
from dgemma_play.runs import Runner
from tests.replayed import Replayed
from tests.synthetic import synthetic


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page was launched with; nothing is loaded or served."""
    said: dict[str, Any] = {}
    monkeypatch.setattr(app.checkpoints, "look_at", lambda name: None)
    monkeypatch.setattr(dgemma_play, "load", lambda *what: said.update(load=what), raising=False)
    monkeypatch.setattr(app, "runner", lambda loaded: None)
    monkeypatch.setattr(layout, "build", lambda runner: None)
    monkeypatch.setattr(layout, "serve", lambda demo, *where, **options: said.update(options, at=where))
    return said


def test_without_options_the_embedded_model_is_served_to_this_machine_only(launched: dict[str, Any]) -> None:
    app.main([])
    assert launched == {
        "load": ("embedded", "auto", "auto"),
        "at": (None, None),
        "share": False,
        "auth": None,
    }


def test_every_option_arrives(launched: dict[str, Any]) -> None:
    line = "--model m --precision bf16 --device cpu --host 0.0.0.0 --port 80 --auth ada:love:lace"
    app.main(line.split())
    assert launched["load"] == ("m", "bf16", "cpu")
    assert launched["at"] == ("0.0.0.0", 80)
    assert launched["auth"] == ("ada", "love:lace")


def test_where_nobody_can_give_options_the_environment_names_model_and_precision(
    launched: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGEMMA_PLAY_MODEL", "somebody/copy")
    monkeypatch.setenv("DGEMMA_PLAY_PRECISION", "nf4")
    app.main([])
    assert launched["load"] == ("somebody/copy", "nf4", "auto")


def test_a_public_link_without_a_password_says_what_that_means(
    launched: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    app.main(["--share"])
    assert "whoever has the link" in capsys.readouterr().out
    app.main(["--share", "--auth", "ada:lovelace"])
    assert "whoever has the link" not in capsys.readouterr().out


def test_ctrl_c_while_the_model_loads_ends_the_app_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app.play, "load", interrupted)
    with pytest.raises(SystemExit) as ended:
        app.main([])
    assert ended.value.code == 130


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


@pytest.fixture
def page() -> Iterator[Any]:
    """A page on recorded frames, not launched yet, and nobody who would press Ctrl-C."""
    runner = Runner(lambda job: Replayed(synthetic(drafts=1)), model={"canvas_length": 64}, defaults={})
    demo = layout.build(runner)
    demo.block_thread = lambda: None
    yield demo
    demo.close(verbose=False)
    with warnings.catch_warnings():  # Gradio leaves its event loop to the garbage collector
        warnings.simplefilter("ignore")
        gc.collect()


def test_all_that_is_printed_is_where_the_page_is(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    layout.serve(page, "127.0.0.1", None)
    said = capsys.readouterr()
    assert said.out == f"DGemma Play is at {page.local_url} (Ctrl-C ends it).\n"
    assert urllib.request.urlopen(page.local_url).status == 200


def test_a_password_guards_page_endpoint_and_files(page: Any) -> None:
    layout.serve(page, "127.0.0.1", None, auth=("ada", "love:lace"))
    for path in ("config", "gradio_api/info", "gradio_api/file=run.dgemma"):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(page.local_url + path)
        assert refusal.value.code == 401
    client = Client(page.local_url, auth=("ada", "love:lace"), verbose=False)
    assert len(client.predict("a fox", api_name="/generate")[0]["texts"]) == 1


def test_a_port_in_use_ends_with_a_sentence(page: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PlayError, match=f"port {port}: the port is taken or not allowed"):
            layout.serve(page, None, port)


@pytest.mark.parametrize(
    ("host", "port"),
    [(None, 99_999), (None, 0), ("nowhere.invalid", None), ("127.0.0..1", None), ("a" * 70, None)],
)
def test_an_address_that_is_none_ends_with_a_sentence(page: Any, host: str | None, port: int | None) -> None:
    with pytest.raises(PlayError, match="Choose another --port or --host"):
        layout.serve(page, host, port)


def test_a_card_that_is_no_size_ends_with_a_sentence() -> None:
    with pytest.raises(SystemExit, match="--memory must be a card's size"):
        app.main(["--plan", "--memory", "much"])


def test_the_entry_point_stays_small() -> None:
    assert len(Path(app.__file__).read_text("utf-8").splitlines()) < 70


def test_the_page_knows_no_torch() -> None:
    import subprocess

    code = "import sys, dgemma_play.page.layout, dgemma_play.messages; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    code = "import sys, dgemma_play.runs; print({'torch', 'gradio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
