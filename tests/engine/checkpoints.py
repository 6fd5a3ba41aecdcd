"""A small random mixture of experts, saved as the release is: bf16, several shards, tokenizer, template."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion

from dgemma_play.checkpoints import ASSETS
from dgemma_play.training.model import NO_VISION

VOCAB = 7168  # no fewer than the tokens of the embedded checkpoint, whose tokenizer it has
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")


def save_checkpoint(folder: Path, shard: str = "400KB", **text: Any) -> Path:
    """Write it. Its router is decisive, its attention soft, its embeddings of unit length, as if trained."""
    shape = {
        "vocab_size": VOCAB,
        "hidden_size": 128,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_global_key_value_heads": 1,
        "head_dim": 32,
        "global_head_dim": 64,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "sliding_window": 24,
        "max_position_embeddings": 512,
        "num_experts": 32,
        "top_k_experts": 8,
        "moe_intermediate_size": 64,
        "use_bidirectional_attention": "vision",
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }
    config = DiffusionGemmaConfig(
        text_config=shape | text,
        vision_config=dict(NO_VISION),
        canvas_length=32,
        boi_token_id=3,
        eoi_token_id=4,
        image_token_id=5,
    )
    torch.manual_seed(0)
    model: Any = DiffusionGemmaForBlockDiffusion(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "router.proj" in name:
                parameter.normal_(0, 1.0)
            elif "embed_tokens" in name:
                parameter.normal_(0, shape["hidden_size"] ** -0.5)
            elif "q_norm" in name:
                parameter.fill_(parameter.numel() ** -0.5)
        for layers in (model.model.decoder.layers, model.model.encoder.language_model.layers):
            for number, layer in enumerate(layers):  # each side keeps its own
                layer.layer_scalar.fill_(1 - 0.03125 * number * (layers is model.model.decoder.layers))
    model.to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size=shard)
    for file in TOKENIZER:
        shutil.copyfile(ASSETS / "embedded" / file, folder / file)
    return folder
