"""Fixtures for every folder: the embedded model, a recorded run, and small random models of another shape."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import pytest

from dgemma_play.settings import Settings
from dgemma_play.trace import Trace

# Each worker looks for its ports in a range of its own: two that look at once may find the same one free.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
os.environ.setdefault("GRADIO_SERVER_PORT", str(7860 + 100 * _WORKER))

FOX = "Write a short story about a fox."


@pytest.fixture(scope="session")
def loaded() -> Any:
    """The embedded model on the CPU, in fp32, on one thread."""
    import torch

    from dgemma_play import load

    torch.set_num_threads(1)
    return load("embedded", precision="fp32", device="cpu")


@pytest.fixture(scope="session")
def loaded_bf16() -> Any:
    """The embedded model as above, in bf16."""
    from dgemma_play import load

    return load("embedded", precision="bf16", device="cpu")


@pytest.fixture(scope="session")
def trace(loaded: Any) -> Trace:
    """Three drafts of a fox story."""
    from dgemma_play import denoise

    return Trace.record(denoise(loaded, FOX, Settings(drafts=3, seed=7)))


@pytest.fixture(scope="session")
def random_loaded(loaded: Any) -> Callable[..., Any]:
    """A factory of small random models: another vocabulary, canvas, window and number of experts."""
    import torch
    from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

    from dgemma_play.training.model import NO_VISION

    def make(dtype: torch.dtype = torch.float32, **text: Any) -> Any:
        shape = {
            "vocab_size": len(loaded.tokenizer) + 200,
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "num_global_key_value_heads": 2,
            "head_dim": 16,
            "global_head_dim": 16,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
            "sliding_window": 24,  # shorter than prompt and canvas together
            "max_position_embeddings": 512,
            "num_experts": 8,
            "top_k_experts": 2,
            "moe_intermediate_size": 32,
        }
        special = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
        config = DiffusionGemmaConfig(
            text_config=shape | special | text,
            vision_config=dict(NO_VISION),
            canvas_length=16,
            boi_token_id=3,
            eoi_token_id=4,
            image_token_id=5,
        )
        torch.manual_seed(0)
        model = DiffusionGemmaForBlockDiffusion(config).eval()
        # Sharp enough that positions differ in entropy: some are accepted early, some late.
        model.model.decoder.embed_tokens.weight.data.mul_(40)
        model.to(dtype)  # pyright: ignore[reportArgumentType]: torch's stub of Module.to
        model.generation_config.pad_token_id = 0
        # So many end-of-text tokens that some drafts meet one by chance, in one block or another.
        model.generation_config.eos_token_id = [1, *range(100, 150)]
        return dataclasses.replace(loaded, model=model, name="random")

    return make
