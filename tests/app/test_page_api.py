"""The endpoint /generate, the one public door besides the page; and what no door lets in."""

from __future__ import annotations

import gzip
import inspect
import json
import math
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect

from dgemma_play import __main__ as terminal
from dgemma_play import codec
from dgemma_play.analysis import changes
from dgemma_play.errors import InputError, TraceError
from dgemma_play.page import api, events
from dgemma_play.settings import KNOBS, Settings, behind_system, check_prompt
from dgemma_play.trace import Trace
from tests.app.conftest import Site
from tests.app.test_runs import wait_until
from tests.bad_inputs import BAD_PROMPTS, BAD_SETTINGS
from tests.conftest import FOX
from tests.synthetic import synthetic

WANTED: dict[str, Any] = {"drafts": 2, "seed": 5, "steps": 30}


@pytest.fixture(scope="package")
def client(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Client(site.url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def test_generate_is_the_only_public_endpoint(client: Any) -> None:
    described: Any = client.view_api(return_format="dict", print_info=False)
    assert set(described["named_endpoints"]) == {"/generate"}
    assert described["unnamed_endpoints"] == {}


def test_its_parameters_are_the_settings_and_all_but_the_prompt_are_optional(client: Any) -> None:
    described: Any = client.view_api(return_format="dict", print_info=False)
    parameters = described["named_endpoints"]["/generate"]["parameters"]
    assert {each["parameter_name"] for each in parameters} == {"prompt", "system", *KNOBS}
    assert [each["parameter_name"] for each in parameters if not each["parameter_has_default"]] == ["prompt"]
    function = api.endpoint(None, events.Files())  # pyright: ignore[reportArgumentType]: it isn't called
    assert set(inspect.signature(function).parameters) == {"request", "prompt", "system", *KNOBS}


def test_a_prompt_alone_is_enough(client: Any, site: Site) -> None:
    answer, _ = client.predict("Write a haiku about winter.", api_name="/generate")
    assert len(answer["texts"]) == Settings().drafts
    assert answer["model"]["name"] == "embedded"


@pytest.fixture(scope="module")
def answered(client: Any) -> tuple[dict[str, Any], str]:
    """The endpoint's answer and file of two drafts of a fox story."""
    return client.predict(FOX, **WANTED, api_name="/generate")


def test_it_returns_texts_facts_and_the_trace_file(answered: tuple[dict[str, Any], str], loaded: Any) -> None:
    from dgemma_play import denoise

    answer, path = answered
    trace = Trace.load(path)
    assert Path(path).suffix == ".dgemma"
    assert answer["texts"] == trace.texts
    assert answer["seeds"] == [5, 6]
    assert answer["steps_used"] == trace.steps_used
    assert answer["tokens"] == [len(ids) for ids in trace.token_ids]
    assert set(answer["endings"]) <= {"eos", "length"}
    assert 0 < max(answer["seconds"]) == answer["total_seconds"] < 60
    direct = Trace.record(denoise(loaded, FOX, Settings(**WANTED)))
    assert direct.texts == answer["texts"]


def test_it_tells_what_became_of_the_tokens_on_the_way(answered: tuple[dict[str, Any], str]) -> None:
    answer, path = answered
    trace = Trace.load(path)
    for draft, (track, length) in enumerate(zip(trace.tracks, answer["tokens"], strict=True)):
        told = {name: answer[name][draft] for name in ("revisions", "lost", "settled")}
        assert told == vars(changes(track, length))
    assert answer["notes"] == []


def test_the_readmes_program_runs_as_it_stands(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
    programs = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    program = next(each for each in programs if "gradio_client" in each)
    exec(program.replace("http://127.0.0.1:7860", site.url))
    assert ".dgemma" in capsys.readouterr().out


def test_the_page_explains_the_endpoint(site: Site, visit: Callable[..., Page]) -> None:
    page = visit(site.url)
    page.get_by_role("button", name="API").click()
    sheet = page.locator("#api-sheet")
    for name in KNOBS:
        expect(sheet.locator("td code", has_text=name).first).to_be_visible()
    program = sheet.locator("pre").inner_text()
    assert f'Client("{site.url}")' in program
    names: dict[str, Any] = {}
    exec(program, names)
    assert set(api.KEYS) <= names["result"].keys()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


@pytest.mark.parametrize(("name", "value", "sentence"), BAD_SETTINGS)
def test_a_bad_setting_is_refused_by_the_table(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Settings.from_dict({name: value})


@pytest.mark.parametrize(("name", "value", "sentence"), BAD_SETTINGS)
def test_a_bad_setting_is_refused_by_the_endpoint(client: Any, name: str, value: Any, sentence: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)  # JSON has no such number
    with pytest.raises(AppError) as refusal:
        client.predict("A fox.", **{name: value}, api_name="/generate")
    assert str(refusal.value).startswith(sentence)
    assert "Traceback" not in str(refusal.value)


@pytest.mark.parametrize(("name", "value", "sentence"), BAD_SETTINGS)
def test_a_bad_setting_is_refused_by_the_command_line(
    capsys: pytest.CaptureFixture[str], name: str, value: Any, sentence: str
) -> None:
    assert terminal.main(["a fox", f"--{name.replace('_', '-')}={value}"]) == 2
    assert capsys.readouterr().err.startswith(sentence)


@pytest.mark.parametrize(("name", "value", "sentence"), BAD_SETTINGS)
def test_a_bad_setting_is_refused_in_a_file(name: str, value: Any, sentence: str) -> None:
    line, _, planes = gzip.decompress(codec.encode(synthetic(drafts=1))).partition(b"\n")
    header = json.loads(line)
    header["tracks"][0]["settings"][name] = value
    with pytest.raises(TraceError, match="damaged"):
        codec.decode(gzip.compress(json.dumps(header).encode() + b"\n" + planes))


@pytest.mark.parametrize(("prompt", "sentence"), BAD_PROMPTS)
def test_a_bad_prompt_is_refused_by_the_endpoint(client: Any, prompt: str, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(prompt, api_name="/generate")


@pytest.mark.parametrize(("prompt", "sentence"), BAD_PROMPTS)
def test_a_bad_prompt_is_refused_by_package_and_command_line(
    capsys: pytest.CaptureFixture[str], prompt: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        check_prompt(prompt)
    assert terminal.main([prompt]) == 2
    assert capsys.readouterr().err.startswith(sentence)


def test_a_system_prompt_goes_before_the_prompt(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    _, path = client.predict("a fox", drafts=1, steps=2, system="Be brief.", api_name="/generate")
    asked = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a fox"},
    ]
    assert list(Trace.load(path).prompt) == asked
    assert list(behind_system("a fox", "Be brief.")) == asked
    assert behind_system("a fox", " \n") == behind_system("a fox", None) == "a fox"
    for wrong in (7, False):
        with pytest.raises(AppError, match="The system prompt must be text"):
            client.predict("a fox", system=wrong, api_name="/generate")
    with pytest.raises(InputError, match="All messages together have 100,001 characters"):
        check_prompt(behind_system("a" * 50_000, "b" * 50_001))
    assert terminal.main(["", "--system", "Be brief."]) == 2
    assert "The prompt is empty" in capsys.readouterr().err


@pytest.mark.parametrize("prompt", [None, 7, ["a"], {"role": "user"}])
def test_a_prompt_that_is_no_text_is_refused(client: Any, prompt: Any) -> None:
    with pytest.raises(AppError, match="The prompt must be text"):
        client.predict(prompt, api_name="/generate")


def test_the_endpoint_cannot_be_called_past_the_line(site: Site) -> None:
    request = urllib.request.Request(
        f"{site.url}gradio_api/run/generate",
        json.dumps({"data": ["a fox"]}).encode(),
        {"Content-Type": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request)
    assert refusal.value.code == 404


@pytest.mark.parametrize("path", ["monitoring", "monitoring/summary", "gradio_api/file=/etc/passwd"])
def test_nothing_else_is_served(site: Site, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(site.url + path)
    assert refusal.value.code in (403, 404)


def test_a_client_that_cancels_frees_the_turn(scripted: Callable[..., Site]) -> None:
    site = scripted(synthetic(drafts=2, canvas=16, steps=12))
    leaving, staying = Client(site.url, verbose=False), Client(site.url, verbose=False)
    job = leaving.submit("a fox", api_name="/generate")
    wait_until(lambda: bool(site.runs))
    second = staying.submit("a bear", api_name="/generate")
    wait_until(lambda: len(site.runs) == 2)
    job.cancel()
    wait_until(lambda: job.cancelled() or job.done())
    site.release()
    assert len(second.result(20)[0]["texts"]) == 2
    assert site.runs[0].closed.is_set()
