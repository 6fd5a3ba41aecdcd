"""README's front matter makes the checkout a Space: what it pins is what requirements.txt allows."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def front_matter() -> dict[str, str]:
    text = (ROOT / "README.md").read_text("utf-8")
    assert text.startswith("---\n"), "README.md begins with the Space's front matter"
    lines = text.split("---\n", 2)[1].splitlines()
    return dict(re.split(r":\s*", line, maxsplit=1) for line in lines if re.match(r"\w+:", line))


def test_the_space_runs_the_app_with_gradio() -> None:
    facts = front_matter()
    assert facts["sdk"] == "gradio"
    assert (ROOT / facts["app_file"]).is_file()
    assert facts["license"] == "apache-2.0"
    assert facts["python_version"].strip('"') >= "3.11"
    assert {"title", "emoji", "colorFrom", "colorTo", "short_description", "tags"} <= facts.keys()
    assert len(facts["short_description"]) <= 60


def test_the_spaces_gradio_is_exact_and_allowed_by_the_requirements() -> None:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    wanted = next(Requirement(line.split("#")[0]) for line in lines if line.startswith("gradio"))
    version = front_matter()["sdk_version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert version in wanted.specifier
