"""What visitors see when something goes wrong, and what none of them ever sees: paths, traces, each other."""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, Route, expect

from dgemma_play import codec
from dgemma_play.errors import InputError, TraceError
from dgemma_play.page import events
from dgemma_play.runs import FAILED, Job, Runner
from dgemma_play.settings import KNOBS
from dgemma_play.trace import Frame
from tests.app.conftest import Site
from tests.app.test_page import LONG, SMALL, creep, generate, progress, texts
from tests.app.test_runs import wait_until
from tests.replayed import Breaking, Replayed
from tests.synthetic import HOSTILE

Visit = Callable[..., Page]
Make = Callable[..., Site]
PARAMETERS = 2 + len(KNOBS)  # of the endpoint: prompt, system prompt, settings
LAST = str(max(len(track.step) for track in SMALL.tracks) - 1)


def post(url: str, **body: Any) -> tuple[int, str]:
    """Status and text of the answer to a JSON request."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def get(url: str) -> tuple[int, str]:
    """Status and text of a page."""
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode("utf-8", "replace")


def join(site: Site, visitor: str) -> None:
    """Ask for a run as `visitor`, and never listen to what becomes of it."""
    dependencies = json.loads(get(f"{site.url}config")[1])["dependencies"]
    number = next(each["id"] for each in dependencies if each["api_name"] == "generate")
    data = ["a fox", *[None] * (PARAMETERS - 1)]
    status, _ = post(f"{site.url}gradio_api/queue/join", fn_index=number, session_hash=visitor, data=data)
    assert status == 200


# --- the engine breaks, the disk is full ---------------------------------------------------------


def test_an_engine_that_breaks_is_one_sentence_and_the_next_run_works(
    serve: Callable[[Runner], str], visit: Visit
) -> None:
    kinds: Iterator[type[Replayed]] = iter([Breaking, Replayed, Breaking])
    model = {"name": "recorded", "precision": "fp32", "device": "cpu", "rows": 8, "canvas_length": 16}
    url = serve(Runner(lambda job: next(kinds)(SMALL, None, job), model=model, defaults={}))
    page = visit(url)
    generate(page)
    expect(page.get_by_role("alert")).to_have_text(FAILED)
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    expect(page.get_by_label("Step", exact=True)).to_have_attribute("max", "2")  # what was written is kept
    assert "secret" not in page.content()
    generate(page)
    expect(progress(page)).to_contain_text("Finished")
    expect(page.locator("#notice")).to_be_hidden()
    answer, file = Client(url, verbose=False).predict("a fox", api_name="/generate")
    assert answer["endings"] == ["failed"] * len(SMALL.tracks)
    assert answer["notes"] == [FAILED]
    assert file


def test_a_run_that_breaks_in_its_first_step_is_an_error_of_the_api(
    serve: Callable[[Runner], str],
) -> None:
    class Unbegun(Replayed):
        def __iter__(self) -> Iterator[Frame]:
            yield from (frame for frame in super().__iter__() if frame.step == 0)
            raise InputError("This run needs more memory than cuda has.")

    url = serve(Runner(lambda job: Unbegun(SMALL, None, job), model={"canvas_length": 16}, defaults={}))
    with pytest.raises(AppError, match="more memory"):
        Client(url, verbose=False).predict("a fox", api_name="/generate")


def test_a_run_whose_end_never_comes_leaves_what_had_arrived_and_the_page_ready(
    scripted: Make, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, stream = threading.Event(), events.Events.stream

    def broken(*given: Any) -> Iterator[Any]:
        for record in stream(*given):
            yield record
            if seen.is_set():
                raise gr.Error("The way is broken.", print_exception=False)

    monkeypatch.setattr(events.Events, "stream", broken)
    site = scripted(SMALL)
    page = visit(site.url)
    generate(page)
    site.release(2)
    expect(progress(page)).to_contain_text("step 2 of")
    seen.set()
    site.release(1)
    expect(page.locator("#notice")).to_contain_text("This run broke off on its way here")
    expect(progress(page)).not_to_contain_text("Denoising")
    expect(page.get_by_label("Step", exact=True)).to_have_attribute("max", "3")
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    site.release()


def test_a_seed_of_many_digits_is_refused_with_a_sentence(scripted: Make, visit: Visit) -> None:
    page = visit(scripted(SMALL).url)
    page.get_by_label("Lock", exact=True).check()
    page.locator("#seed :is(input, textarea)").fill("9" * 5000)
    generate(page)
    expect(page.get_by_role("alert")).to_contain_text("seed must be")


def test_an_end_and_what_there_is_to_say_of_it_are_one_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    runner = Runner(lambda job: Breaking(SMALL), model={}, defaults={})
    *_, (last, _) = events.Events(runner, events.Files()).stream("ada", "a fox", {})
    assert [json.loads(record[1:])["state"] for record in last.split("\n")] == ["finished", "failed"]


def test_an_engine_that_cannot_even_begin_is_one_sentence(serve: Callable[[Runner], str]) -> None:
    def start(job: Job) -> Any:
        raise RuntimeError("/secret/path")

    url = serve(Runner(start, model={"canvas_length": 16}, defaults={}))
    with pytest.raises(AppError) as refusal:
        Client(url, verbose=False).predict("a fox", api_name="/generate")
    assert str(refusal.value) == events.WRONG


@pytest.fixture
def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for Gradio's files in which nothing can be written."""
    (tmp_path / "full").write_text("not a folder")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "full"))
    return tmp_path


def test_a_full_disk_costs_the_file_and_no_text(scripted: Make, visit: Visit, full_disk: Path) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    generate(page)
    site.release()
    expect(page.get_by_role("alert")).to_have_text(events.UNKEPT)
    expect(page.get_by_label("Step", exact=True)).to_have_attribute("max", LAST)
    assert str(full_disk) not in page.content()
    assert any(texts(page))
    answer, file = Client(site.url, verbose=False).predict("a fox", api_name="/generate")
    assert answer["texts"] == SMALL.texts
    assert answer["notes"] == [events.UNKEPT]
    assert file is None


def test_what_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, data: bytes) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", write)
    files = events.Files()
    with pytest.raises(TraceError, match="no room for it"):
        files.keep(SMALL)
    assert list(tmp_path.iterdir()) == []
    assert files.paths == set()


def test_trace_files_take_no_more_than_their_share_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    size = len(codec.encode(SMALL))
    files = events.Files(most=3 * size)
    kept = [files.keep(SMALL) for _ in range(5)]
    assert [path.exists() for path in kept] == [False, False, True, True, True]
    assert files.paths == {str(path) for path in kept[2:]}
    kept[2].unlink()  # as Gradio does after some hours, leaving the folder and the name
    files.keep(SMALL)
    assert len(list(tmp_path.iterdir())) == 3
    assert files.keep(SMALL).exists()
    assert events.Files(most=0).keep(SMALL).exists(), "the newest one is always served"


# --- the line ------------------------------------------------------------------------------------


def test_the_seventeenth_in_line_is_told_that_it_is_full(scripted: Make, visit: Visit) -> None:
    site = scripted(SMALL)
    for visitor in range(16):
        join(site, f"visitor{visitor}")
    wait_until(lambda: len(site.runs) == 16, 30)
    page = visit(site.url)
    generate(page)
    expect(page.get_by_role("alert")).to_have_text("16 runs are waiting already: try again in a few minutes.")
    with pytest.raises(AppError, match="16 runs are waiting already"):
        Client(site.url, verbose=False).predict("a fox", api_name="/generate")
    assert sum(run.passes > 0 for run in site.runs) == 1
    site.release()


def test_page_and_endpoint_share_one_line(scripted: Make, visit: Visit) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    generate(page)
    expect(progress(page)).to_contain_text("Denoising")
    client = Client(site.url, verbose=False)
    job = client.submit("a bear", api_name="/generate")
    wait_until(lambda: job.status().progress_data is not None or len(job.outputs()) > 0, 30)
    assert job.outputs()[0] == ({"state": "queued", "place": 1, "seconds": None}, None)
    assert site.runs[1].passes == 0
    with pytest.raises(AppError, match="You have a run already"):
        client.predict("a second bear", api_name="/generate")
    site.release()
    expect(progress(page)).to_contain_text("Finished")
    assert len(job.result(30)[0]["texts"]) == 2


def test_a_visitor_who_closes_the_browser_while_waiting_leaves_the_line(scripted: Make, visit: Visit) -> None:
    site = scripted(SMALL)
    ada, bob, cleo = visit(site.url), visit(site.url), visit(site.url)
    for number, page in enumerate((ada, bob, cleo), 1):
        generate(page)
        wait_until(lambda number=number: len(site.runs) == number, 30)
    expect(progress(cleo)).to_contain_text("Waiting 2 runs")
    bob.context.close()
    expect(progress(cleo)).to_contain_text("Waiting 1 run")
    site.release()
    expect(progress(cleo)).to_contain_text("Finished")
    assert site.runs[1].passes == 0


def test_a_client_that_hangs_up_frees_the_turn(scripted: Make) -> None:
    site = scripted(LONG)
    join(site, "rude")
    stream = urllib.request.urlopen(f"{site.url}gradio_api/queue/data?session_hash=rude")
    stream.readline()
    wait_until(lambda: bool(site.runs), 30)
    stream.close()  # as a program does that is killed
    creep(site)
    site.release()
    assert site.runs[0].closed.wait(30)


# --- what is no one's to see ---------------------------------------------------------------------


def test_a_trace_file_has_a_name_nobody_can_guess_and_its_folder_shows_nothing(site: Site) -> None:
    client = Client(site.url, verbose=False, download_files=False)
    _, file = client.predict("<img src=x onerror=1>", drafts=1, steps=2, api_name="/generate")
    folder, name = re.fullmatch(r".*/([0-9a-f]{40})/([a-z0-9-]+\.dgemma)", file["path"]).groups()  # pyright: ignore
    assert get(file["url"])[0] == 200
    for wrong in (file["path"].replace(folder, folder[::-1]), str(Path(file["path"]).parent)):
        assert get(f"{site.url}gradio_api/file={wrong}")[0] in (403, 404)
    assert name.startswith("dgemma-img-src-x-onerror-1-")


@pytest.mark.parametrize("path", ["config", "gradio_api/info", "gradio_api/openapi.json", ""])
def test_no_path_of_this_machine_is_told(site: Site, path: str) -> None:
    status, text = get(site.url + path)
    assert status == 200
    for secret in (str(Path(events.__file__).parents[2]), str(Path.home()), events.get_upload_folder()):
        assert secret not in text


def test_the_server_keeps_no_history_and_takes_no_uploads(site: Site) -> None:
    config = json.loads(get(f"{site.url}config")[1])
    assert config["run_history"] is False
    assert config["show_error"] is False
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        + b"a" * 5000
        + b"\r\n--x--\r\n"
    )
    request = urllib.request.Request(
        f"{site.url}gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=x"}
    )
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request)
    assert refusal.value.code == 413


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ('["fox", 1, NaN]', "steps must be a whole number from 1 to 128, got nan."),
        ('["fox", 1, 2, Infinity]', "t_max must be a number from 0.01 to 5, got inf."),
        (f'["fox", {"9" * 400}]', "drafts must be a whole number from 1 to 32, got 9999"),
        ('["fox", {"a": [1]}]', "drafts must be a whole number from 1 to 32, got {'a': [1]}."),
        ('["\\ud800 fox"]', "The prompt holds half a character"),
        (json.dumps(["fox " * 20_000]), "The prompt has 20003 tokens and the answer takes up to"),
    ],
)
def test_what_no_client_would_send_is_refused_by_the_table_too(
    site: Site, values: str, sentence: str
) -> None:
    body = f'{{"data": {values[:-1]}{", null" * (PARAMETERS - len(json.loads(values)))}]}}'
    request = urllib.request.Request(
        f"{site.url}gradio_api/call/generate", body.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    told = get(f"{site.url}gradio_api/call/generate/{event}")[1]
    assert "event: error" in told
    assert sentence in json.loads(told.split("data: ")[-1])["error"]


def test_a_parameter_that_is_not_there_starts_no_run(scripted: Make) -> None:
    site = scripted(SMALL)
    client = Client(site.url, verbose=False)
    with pytest.raises(TypeError, match="temperature"):
        client.predict("a fox", temperature=0.5, api_name="/generate")
    status, text = post(f"{site.url}gradio_api/call/v2/generate", prompt="a fox", temperature=0.5)
    assert status >= 400
    assert "Traceback" not in text
    assert site.runs == []


def test_a_hostile_trace_cannot_put_markup_into_an_error(scripted: Make, visit: Visit) -> None:
    line, _, planes = gzip.decompress(codec.encode(SMALL)).partition(b"\n")
    header = json.loads(line)
    header["tracks"][0]["settings"] = {HOSTILE[0]: 1}
    hostile = base64.b64encode(gzip.compress(json.dumps(header).encode() + b"\n" + planes)).decode()

    def swap(route: Route) -> None:
        body: Any = route.request.post_data_json
        if isinstance(body.get("event_data"), dict):
            body["event_data"]["trace"] = hostile
        route.continue_(post_data=json.dumps(body))

    site = scripted(SMALL)
    page = visit(site.url)
    page.route("**/queue/join*", swap)
    generate(page)
    site.release()
    expect(progress(page)).to_contain_text("Finished")
    page.locator(".card").first.click()
    page.get_by_role("button", name="Timeline").click()
    toast = page.locator(".toast-body")
    expect(toast).to_contain_text("The trace file is damaged")
    expect(toast).to_contain_text("<img src=x onerror")
    assert toast.locator("img").count() == 0
    assert page.title() == "DGemma Play"
