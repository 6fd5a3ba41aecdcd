"""The README tells what there is."""

from __future__ import annotations

import re
from pathlib import Path

from dgemma_play.plan import GIB, choose, gib, plan, released_config
from dgemma_play.recipes import RELEASED

ROOT = Path(__file__).resolve().parents[2]


def test_the_house_in_the_readme_names_every_module() -> None:
    house = (ROOT / "README.md").read_text("utf-8").split("## The house")[1].split("## ")[0]
    named = set(re.findall(r"^  (\w+\.py)", house, re.MULTILINE))
    there = {path.name for path in (ROOT / "dgemma_play").glob("*.py") if not path.name.startswith("_")}
    assert named == there


def test_every_picture_in_the_readme_is_there() -> None:
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", (ROOT / "README.md").read_text("utf-8"))
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_the_drafts_that_the_readme_promises_a_card_are_those_of_the_plan() -> None:
    section = (ROOT / "README.md").read_text("utf-8").split("## A workstation GPU")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) GiB \| (\w+).*? \| ([\d.]+ GiB) \| (\d+) \|", section, re.MULTILINE)
    assert len(rows) >= 4
    config = released_config(RELEASED)
    assert config is not None
    for free, precision, weights, drafts in rows:
        recipe, at_once, _ = choose(config, "auto", int(free) * GIB)
        planned = (recipe.precision, gib(plan(config, recipe).model), str(at_once))
        assert (precision, weights, drafts) == planned


def test_every_command_in_the_readme_runs_in_its_own_environment() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    bare = re.findall(r"(?:^|`)(?:python|pip|hf) [^`\n]+", text, re.MULTILINE)
    assert bare == []
