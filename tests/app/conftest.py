"""The system's Chromium for every browser test: one process, a context per test, no patience for errors.

And served pages: the real one with the embedded model, and pages on recorded frames that a test lets through.
"""

from __future__ import annotations

import gc
import os
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from dgemma_play.runs import Job, Runner
from dgemma_play.trace import Trace
from tests.browser import launch
from tests.replayed import Replayed

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for the session."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """A factory of pages, each in a context of its own; `options` are those of a browser context.

    At the end of the test any console error, exception or request to another machine has failed it.
    """
    faults: list[str] = []
    contexts = []

    def watch(page: Page) -> None:
        page.on("console", lambda message: _note(faults, message.type == "error", f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
        page.on("request", lambda request: _note(faults, _is_foreign(request.url), f"foreign: {request.url}"))

    def make(context: Any = None, **options: Any) -> Page:
        if context is None:
            shape: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
            context = chromium.new_context(**(shape | options))
            contexts.append(context)
        page = context.new_page()
        watch(page)
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []


def _note(faults: list[str], wrong: bool, words: str) -> None:
    if wrong:
        faults.append(words)


def _is_foreign(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1"


# --- served pages -------------------------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gradio leaves sockets to the garbage collector and calls deprecated functions: not our warnings."""
    for item in items:
        if "test_page" in item.nodeid:
            for warning in (
                "ResourceWarning",
                "DeprecationWarning",
                "pytest.PytestUnraisableExceptionWarning",
            ):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{warning}"))


@dataclass
class Site:
    """A served page: where it is, its runner, and on scripted pages the frames of each run and their gate."""

    url: str
    runner: Runner
    runs: list[Replayed] = field(default_factory=list)
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def release(self, passes: int = 1000) -> None:
        """Let so many passes of the runs come to their end."""
        self.gate.release(passes)


def _unused_port() -> int:
    """A free port: Gradio tries the same ones in every worker, and two may pick one at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="package")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Runner], str]]:
    """Serves a page for a runner and returns its address."""
    from dgemma_play.page import layout

    os.environ["GRADIO_TEMP_DIR"] = str(tmp_path_factory.mktemp("gradio"))
    demos = []

    def launch(runner: Runner) -> str:
        demos.append(layout.build(runner))
        _, url, _ = layout.launch(
            demos[-1],
            prevent_thread_lock=True,
            quiet=True,
            server_name="127.0.0.1",
            server_port=_unused_port(),
        )
        return url

    yield launch
    for demo in demos:
        demo.close(verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


#: Resolves once all that was to be written to the browser's store is written.
WRITTEN = """async () => {
  const done = (request) => new Promise((resolve) => { request.onsuccess = () => resolve(request.result); });
  for (const { name } of await indexedDB.databases()) {
    const store = await done(indexedDB.open(name));
    const [first, ...rest] = store.objectStoreNames;
    await done(store.transaction([first, ...rest]).objectStore(first).count());
    store.close();
  }
}"""


def drawn(page: Page) -> None:
    """Wait until a change is on the page: the player draws it in the frame after."""
    page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => drawn()))")


def close_tab(page: Page) -> BrowserContext:
    """Close a tab as a visitor does, and wait until a busy browser, too, has let go of it."""
    page.evaluate(WRITTEN)
    context, address = page.context, page.url
    page.close()
    other = context.new_page()
    other.route("**/*", lambda route: route.fulfill(body=""))  # an empty page of the same origin
    other.goto(address)
    other.wait_for_function("navigator.locks.query().then(({ held }) => held.length === 0)")
    other.close()
    return context


@pytest.fixture(scope="package")
def site(serve: Callable[[Runner], str], loaded: Any) -> Site:
    """The page as app.py makes it, with the embedded model."""
    import app

    runner = app.runner(loaded)
    return Site(serve(runner), runner)


@pytest.fixture
def scripted(serve: Callable[[Runner], str]) -> Callable[..., Site]:
    """A factory of pages on recorded frames: `trace` again for every run, pass by pass as the gate opens."""

    def make(trace: Trace) -> Site:
        runs: list[Replayed] = []
        gate = threading.Semaphore(0)

        def start(job: Job) -> Replayed:
            runs.append(Replayed(trace, gate, job))
            return runs[-1]

        model = {"name": "recorded", "precision": "fp32", "device": "cpu", "rows": 8, "reasons": ()}
        runner = Runner(start, model=model | {"canvas_length": trace.canvas_length}, defaults={})
        return Site(serve(runner), runner, runs, gate)

    return make


@pytest.fixture
def visit(open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Opens a served page as a new visitor, and waits until the recorded run of the empty state is there.

    Without motion, unless a test asks for it: pages that play take the processor from the others.
    """

    def go(url: str, **options: Any) -> Page:
        page = open_page(**({"reduced_motion": "reduce"} | options))
        page.set_default_timeout(60_000)
        page.goto(url)
        page.wait_for_selector("#player-root .card", state="attached")
        return page

    return go
