"""Every module stays in its room, and every public name is documented."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import dgemma_play

NO_TORCH = (
    *("errors", "settings", "trace", "codec", "analysis", "terminal", "__main__"),
    *("recipes", "plan", "checkpoints", "hub", "plan_table", "quantize"),
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


@pytest.mark.parametrize("name", dgemma_play.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(dgemma_play, name))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'denoize'"):
        _ = dgemma_play.denoize  # pyright: ignore[reportAttributeAccessIssue]
