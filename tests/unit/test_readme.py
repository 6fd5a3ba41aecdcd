"""The README tells what there is."""

from __future__ import annotations

import re
from pathlib import Path

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
