"""The embedded model's architecture, and how a checkpoint folder is written."""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion, PreTrainedTokenizerFast
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    DiffusionGemmaGenerationConfig,
    EntropyBoundSamplerConfig,
)

from dgemma_play.training.tokenizer import BOI, BOS, EOI, EOS, IMAGE, PAD

CANVAS = 64
LAYERS = 6
EXPERTS, TOP_EXPERTS, EXPERT_WIDTH = 2, 1, 32
_LAYER = re.compile(r"(?<=layers\.)\d+(?=\.)")
# The norms behind attention and feed-forward: with zeros there, both add nothing.
_ENDS_A_LAYER = ("post_attention_layernorm.weight", "post_feedforward_layernorm.weight")
_ROUTER_SPREAD = 0.05  # of the trained router's own spread, see `_grown`

#: The class has a vision tower; ours is a dummy, a few hundred weights that text never reaches.
NO_VISION: Mapping[str, Any] = {
    "model_type": "gemma4_vision",
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "patch_size": 4,
    "position_embedding_size": 8,
    "pooling_kernel_size": 1,
}


def config(vocabulary: int) -> DiffusionGemmaConfig:
    """Hidden 128, six layers, one of two small experts per token.

    A laptop's seconds bound width and depth: 8 drafts of 48 passes in 8 s. More and wider experts would cost
    those little, and the training's hours more: `take_over` grows them from weights that have fewer.
    One chosen expert has a share of one however sure its router was, so that only the balance loss teaches
    the choice; where several are chosen, the task does too.
    """
    return DiffusionGemmaConfig(
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "num_global_key_value_heads": 2,
            "head_dim": 32,
            "global_head_dim": 32,
            "max_position_embeddings": 2048,
            "sliding_window": 512,
            "layer_types": ["sliding_attention"] * (LAYERS - 1) + ["full_attention"],
            "num_experts": EXPERTS,
            "top_k_experts": TOP_EXPERTS,
            "moe_intermediate_size": EXPERT_WIDTH,
            "pad_token_id": PAD,
            "eos_token_id": EOS,
            "bos_token_id": BOS,
            "use_bidirectional_attention": "vision",
        },
        vision_config=dict(NO_VISION),
        canvas_length=CANVAS,
        boi_token_id=BOI,
        eoi_token_id=EOI,
        image_token_id=IMAGE,
    )


def generation_config() -> DiffusionGemmaGenerationConfig:
    """The released model's sampler, but bolder at first (0.9, not 0.8), so that drafts differ more.

    The card's table has what others write.
    """
    return DiffusionGemmaGenerationConfig(
        max_new_tokens=2 * CANVAS,
        max_denoising_steps=48,
        sampler_config=EntropyBoundSamplerConfig(entropy_bound=0.1),
        t_max=0.9,
        t_min=0.4,
        stability_threshold=1,
        confidence_threshold=0.005,
        pad_token_id=PAD,
        eos_token_id=EOS,
        bos_token_id=BOS,
    )


def create(vocabulary: int) -> Any:
    """A randomly initialised model in fp32 (seed it before)."""
    return DiffusionGemmaForBlockDiffusion(config(vocabulary))


@torch.no_grad()
def take_over(model: Any, tokens: Sequence[str], trained: Any, trained_tokens: Sequence[str]) -> None:
    """Copy a trained checkpoint's weights; a token keeps its row wherever it stands in the new vocabulary.

    Rows of new tokens are drawn like the trained rows, with their mean and spread per dimension. Layers
    that the checkpoint lacks stand before its last one and change nothing yet; it can't have more. Nor do
    more and wider experts, see `_grown`.
    """
    rows = trained.get_input_embeddings().weight
    old = {token: index for index, token in enumerate(trained_tokens)}
    taken = rows.mean(0) + rows.std(0) * torch.randn(len(tokens), rows.shape[1])
    for index, token in enumerate(tokens):
        if token in old:
            taken[index] = rows[old[token]]
    tables = [key for key, weight in trained.state_dict(keep_vars=True).items() if weight is rows]
    old_last, new_last = (len(network.model.decoder.layers) - 1 for network in (trained, model))
    state = model.state_dict()
    for key, weight in (trained.state_dict() | dict.fromkeys(tables, taken)).items():
        moved = "vision" not in key and f"layers.{old_last}." in key
        key = _LAYER.sub(str(new_last), key) if moved else key
        state[key] = _grown(key, weight, state[key])
    new = [f"layers.{index}." for index in range(old_last, new_last)]
    for key in state:
        if key.endswith(_ENDS_A_LAYER) and "vision" not in key and any(layer in key for layer in new):
            state[key] = torch.zeros_like(state[key])
    model.load_state_dict(state)


def _grown(key: str, weight: Tensor, drawn: Tensor) -> Tensor:
    """A trained weight in the shape of the one `drawn` for its place: the copies of an expert stand together.

    A token whose router chose an expert now takes copies of it, which say the same together. What is new
    inside an expert has drawn rows in and zeros out. Only the router's copies differ a little, so that
    each is chosen by some tokens and learns its own.
    """
    if weight.shape == drawn.shape:
        return weight
    copied = weight.repeat_interleave(len(drawn) // len(weight), 0)
    if key.endswith("router.proj.weight"):
        return copied + _ROUTER_SPREAD * copied.std() * torch.randn_like(copied)
    if copied.shape == drawn.shape:
        return copied
    if key.endswith("down_proj"):
        return functional.pad(copied, (0, drawn.shape[-1] - copied.shape[-1]))
    halves = zip(copied.chunk(2, 1), drawn.chunk(2, 1), strict=True)  # gate, up
    return torch.cat([torch.cat([old, new[:, old.shape[1] :]], 1) for old, new in halves], 1)


def parameters(model: Any) -> dict[str, torch.nn.Parameter]:
    """The parameters that text training reaches, by name."""
    return {name: weight for name, weight in model.named_parameters() if "vision" not in name}


def export(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a checkpoint in bf16 that plain transformers can load; each file is replaced at once."""
    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).eval().to("cpu", torch.bfloat16)
    half.generation_config = generation_config()
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        half.save_pretrained(scratch, max_shard_size="9MB")
        tokenizer.save_pretrained(scratch)
        for file in sorted(Path(scratch).iterdir()):
            file.chmod(0o644)
            file.replace(folder / file.name)
