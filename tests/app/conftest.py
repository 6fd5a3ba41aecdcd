"""The system's Chromium for every browser test: one process, a fresh context per test, and no patience for errors."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for the session."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "the browser tests need the system's chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
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
            context = chromium.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
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
