"""The README's picture of the wall, taken from the page as it is: python -m benchmarks.picture

A run of the embedded model is generated in the served page, in headless Chromium; then the slider goes to the
step from which half of all positions are settled, and the window is written to `assets/page/wall.png`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import app
from dgemma_play import load
from dgemma_play.page import layout
from tests.browser import launch

TARGET = Path(__file__).resolve().parents[1] / "assets" / "page" / "wall.png"
HALF = """() => {
  const slider = document.querySelector("[aria-label=Step]");
  const settled = (step) => {
    slider.value = step;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    return Number(/(\\d+) % settled/.exec(slider.getAttribute("aria-valuetext"))[1]);
  };
  let step = 0;
  while (step < Number(slider.max) && settled(step) < 50) step++;
  return step;
}"""


def take(page: Page, url: str, prompt: str, seed: str, target: Path) -> int:
    """Writes the picture; returns the step that it shows."""
    page.set_default_timeout(300_000)
    page.goto(url)
    page.wait_for_selector("#player-root .card")
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_label("Seed", exact=True).fill(seed)
    page.get_by_label("Lock", exact=True).check(force=True)
    page.get_by_role("button", name="Generate").click()
    page.wait_for_function("document.querySelector('.progress').textContent.startsWith('Finished')")
    step = page.evaluate(HALF)
    page.get_by_label("Step", exact=True).fill(str(step))
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    page.wait_for_timeout(600)  # words fade in
    page.screenshot(path=target)
    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--prompt", default="Write a short story about a fox.")
    parser.add_argument("--seed", default="40")
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args()
    demo = layout.build(app.runner(load()))
    _, url, _ = layout.launch(demo, prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        step = take(page, url, options.prompt, options.seed, options.out)
        browser.close()
    demo.close(verbose=False)
    print(f"{options.out}: step {step} of {options.prompt!r}, seed {options.seed}")


if __name__ == "__main__":
    main()
