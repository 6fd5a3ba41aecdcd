"""The served page, measured in headless Chromium: python benchmarks/page.py [--runs 50] [--drafts 8]

First frame: from the click on Generate to the first live message in the page. Messages: how many a second.
Memory: of the server's process after the first and after the last run. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import app
from dgemma_play import load
from dgemma_play.page import layout
from tests.browser import launch

LISTEN = """() => {
  window.heard = { clicked: 0, messages: [], ended: 0 };
  document.getElementById("generate").addEventListener("click", () => {
    window.heard = { clicked: performance.now(), messages: [], ended: 0 };
  }, true);
  document.addEventListener("dgemma-sink", (event) => {
    if (event.detail.startsWith("m")) window.heard.messages.push(performance.now());
    else if (/finished/.test(event.detail)) window.heard.ended = performance.now();
  });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--drafts", type=int, default=8)
    options = parser.parse_args()
    demo = layout.build(app.runner(load()))
    _, url, _ = layout.launch(demo, prevent_thread_lock=True, quiet=True)
    first, rates, memory = [], [], []
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(url)
        page.wait_for_selector("#player-root .card")
        page.locator("#knob-drafts input[type=number]").fill(str(options.drafts))
        page.evaluate(LISTEN)
        for run in range(options.runs):
            page.locator("#generate").click()
            page.wait_for_function("window.heard.ended")
            page.wait_for_selector("#generate", state="visible")
            heard = page.evaluate("window.heard")
            first.append(heard["messages"][0] - heard["clicked"])
            rates.append(1000 * len(heard["messages"]) / (heard["ended"] - heard["messages"][0]))
            memory.append(_megabytes())
            print(
                f"run {run + 1}: first frame {first[-1]:.0f} ms, {rates[-1]:.1f} messages/s, {memory[-1]} MB"
            )
        browser.close()
    result = {
        "runs": options.runs,
        "drafts": options.drafts,
        "first_frame_ms": {"median": round(statistics.median(first)), "worst": round(max(first))},
        "messages_per_second": round(statistics.median(rates), 1),
        "server_megabytes": {"after the first run": memory[0], "after the last run": memory[-1]},
    }
    print(json.dumps(result))


def _megabytes() -> int:
    """Resident memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


if __name__ == "__main__":
    main()
