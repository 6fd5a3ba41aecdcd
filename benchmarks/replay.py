"""The player's cost and calm: slider event → page, and how far words move, in the system's headless Chromium.

    python -m benchmarks.replay [--events 150] [--trace run.dgemma]

The trace is 8 drafts × 256 positions × 48 steps, made up (`tests/synthetic.py`), unless a file is given.
Latency is the time from dispatching the slider's `input` event to the end of every change of the page, then
with the browser's style and layout too; `cpu` is the processor time of the scripts alone, which neighbours on
the machine disturb least. Movement is the mean way of a word that can be read, from one step to the next, at
1440 px.
Ends in one line of JSON.
"""

from __future__ import annotations

import argparse
import base64
import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from dgemma_play import codec
from dgemma_play.trace import Trace
from tests.app.player_host import serve
from tests.browser import launch
from tests.synthetic import live_records, synthetic

OPEN = """async (data) => {
  await player.restored;
  const { buffer } = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  await player.openTrace(buffer, { name: "benchmark", source: "run" });
}"""
SCRUB = """async (events) => {
  const slider = document.querySelector("[aria-label=Step]");
  const slots = Number(slider.max) + 1;
  const [changed, laidOut] = [[], []];
  for (let k = 0; k < events; k++) {
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    slider.value = (k * 17) % slots;
    const start = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    changed.push(performance.now() - start);
    document.body.offsetHeight;
    laidOut.push(performance.now() - start);
  }
  return { changed, laidOut };
}"""
ONE = """(k) => {
  const slider = document.querySelector("[aria-label=Step]");
  slider.value = (k * 17) % (Number(slider.max) + 1);
  slider.dispatchEvent(new Event("input", { bubbles: true }));
}"""
MOVEMENT = (Path(__file__).parents[1] / "tests" / "app" / "movement.js").read_text(encoding="utf-8")


def quantile(values: list[float], share: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))], 2)


def scrub(browser: Browser, url: str, trace: Trace, events: int) -> dict[str, Any]:
    """Milliseconds per slider event on the wall and in focus, and the replay's movement in px."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(url)
    page.evaluate(OPEN, base64.b64encode(codec.encode(trace)).decode())
    page.wait_for_timeout(500)
    found: dict[str, Any] = {"replay_px": round(page.evaluate(MOVEMENT, None)["mean"], 2)}
    for view in ("wall", "focus"):
        if view == "focus":
            page.locator(".card").first.click()
        times = page.evaluate(SCRUB, events)
        for name, key in (("dom", "changed"), ("dom_and_layout", "laidOut")):
            found[f"{view}_{name}_ms"] = [quantile(times[key], share) for share in (0.5, 0.95)]
        cpu = cpu_times(page, events)
        found[f"{view}_dom_cpu_ms"] = [quantile(cpu, share) for share in (0.5, 0.95)]
    page.close()
    return found


def cpu_times(page: Page, events: int) -> list[float]:
    """Milliseconds of processor time in scripts per slider event: what a busy machine disturbs least."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(1000 * metric["value"] for metric in metrics if metric["name"] == "ScriptDuration")

    times = []
    for k in range(events):
        before = spent()
        page.evaluate(ONE, k)
        times.append(spent() - before)
    return times


def live(browser: Browser, url: str, trace: Trace) -> float:
    """The movement of words, in px, while the run that left `trace` is live."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(url)
    page.wait_for_timeout(500)
    moved = page.evaluate(MOVEMENT, live_records(trace))
    page.close()
    return round(moved["mean"], 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=150, help="slider events that are timed")
    parser.add_argument("--trace", help="a trace file instead of the made-up one")
    options = parser.parse_args()
    trace = (
        codec.load(options.trace) if options.trace else synthetic(drafts=8, canvas=256, steps=48, early=False)
    )
    with serve() as host, sync_playwright() as playwright:
        browser = launch(playwright)
        result = scrub(browser, host.url, trace, options.events)
        print(result, flush=True)
        result["live_px"] = live(browser, host.url, trace)
        browser.close()
    print("milliseconds are [median, 95th percentile]")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
