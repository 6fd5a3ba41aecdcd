"""Every module stays in its room, and every public name is documented."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dgemma_play
from dgemma_play.checkpoints import ASSETS

NO_TORCH = (
    *("errors", "settings", "trace", "codec", "analysis", "terminal", "__main__"),
    *("recipes", "plan", "disk", "checkpoints", "hub", "plan_table", "quantize"),
)


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        *((name, {"torch", "transformers", "gradio"}) for name in NO_TORCH),
        ("sampler", {"gradio"}),
        ("loading", {"gradio"}),
        ("engine", {"gradio"}),
    ],
)
def test_module_stays_in_its_room(module: str, forbidden: set[str]) -> None:
    code = f"import sys, dgemma_play.{module}; print(*{forbidden!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_modules_header_imports_only_from_those_above_it_in_the_readme() -> None:
    package = ASSETS.parent / "dgemma_play"
    listed = re.findall(r"(?m)^  (\w+)(?:\.py|/) ", (ASSETS.parent / "README.md").read_text("utf-8"))
    modules = [name for name in listed if (package / f"{name}.py").is_file()]
    for place, name in enumerate(modules):
        header = ast.parse((package / f"{name}.py").read_text("utf-8")).body
        imports = [node for node in header if isinstance(node, ast.ImportFrom) and node.level == 1]
        for node in imports:
            used = {node.module.partition(".")[0]} if node.module else {alias.name for alias in node.names}
            assert used <= set(listed[:place]), f"{name} imports {used}"


@pytest.mark.parametrize("command", ["app.py", "-m dgemma_play A_prompt.", "-m dgemma_play.quantize"])
def test_what_is_wrong_with_a_model_is_told_before_torch_takes_its_seconds(
    command: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(ASSETS / "embedded", tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    model = [folder, tmp_path / "copy"] if "quantize" in command else ["--model", folder]
    blocked = (
        f"import sys, runpy; sys.modules['torch'] = None; sys.argv = {[*command.split(), *map(str, model)]};"
    )
    run = "sys.argv.pop(0); runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    script = "runpy.run_path('app.py', run_name='__main__')"
    code = blocked + (run if command.startswith("-m") else script)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ASSETS.parent)
    assert "model.safetensors has" in done.stderr
    assert "torch" not in done.stderr


@pytest.mark.parametrize("name", dgemma_play.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(dgemma_play, name))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'denoize'"):
        _ = dgemma_play.denoize  # pyright: ignore[reportAttributeAccessIssue]
