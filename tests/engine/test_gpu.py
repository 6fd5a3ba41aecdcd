"""What only a GPU can show, where there is one: the same promises there, at every precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dgemma_play import Settings, Trace, checkpoints, denoise, load, loading
from dgemma_play.recipes import Recipe
from tests.conftest import FOX
from tests.engine.checkpoints import save_checkpoint
from tests.engine.test_engine import assert_equals_generate
from tests.engine.test_quantization import EVERY, logits_of, stored_bytes

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

GPU = torch.device("cuda", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("gpu") / "small")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_draft_k_is_what_generate_writes_with_seed_plus_k(precision: str) -> None:
    loaded = load("embedded", precision=precision, device="cuda")
    trace = assert_equals_generate(loaded, FOX, Settings(drafts=4, seed=100, max_new_tokens=128))
    assert len(set(trace.steps_used)) > 1, "the drafts should stop at different steps"


@pytest.mark.parametrize("recipe", EVERY.values(), ids=EVERY)
def test_a_gpu_holds_and_computes_what_a_processor_does(folder: Path, recipe: Recipe) -> None:
    checkpoint = checkpoints.find(str(folder))
    here, there = (loading.assemble(checkpoint, recipe, device) for device in (torch.device("cpu"), GPU))
    assert stored_bytes(there) == stored_bytes(here)
    expected, logits = logits_of(here), logits_of(there).cpu()
    assert (logits - expected).norm() / expected.norm() < 0.06  # other kernels round otherwise


@pytest.mark.parametrize("precision", ["bf16", "int8", "nf4"])
def test_drafts_are_written_side_by_side_and_repeat_with_their_seed(folder: Path, precision: str) -> None:
    loaded = load(str(folder), precision=precision, device="cuda")
    settings = Settings(drafts=6, seed=3, steps=8, max_new_tokens=64)
    first, again = (Trace.record(denoise(loaded, FOX, settings, rows=4)) for _ in range(2))
    assert [track.ended for track in first.tracks] == [track.ended for track in again.tracks]
    assert first.texts == again.texts
    assert len(set(first.texts)) == 6
