"""What a checkpoint holds, tensor by tensor, and how each precision keeps it. Decided here; no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import LoadError

RELEASED = "google/diffusiongemma-26B-A4B-it"
#: Values that share one nf4 scale.
BLOCK = 64
#: The key of config.json under which a quantized copy says what it is, and the version of what it says.
COPY, FORMAT = "dgemma_play", 1
#: Bytes of a value that is not quantized.
WIDTH = {"fp32": 4, "bf16": 2}
#: Sizes that a config may give for layers that see the full context, and for single layers.
GLOBAL = ("num_global_key_value_heads", "global_head_dim")
OWN = {"num_key_value_heads", "head_dim"}
GROUPS = ("experts", "attention", "dense", "embeddings", "other")


@dataclass(frozen=True)
class Recipe:
    """How weights are kept. Embeddings, router, norms and all arithmetic are of `dtype`, always.

    `experts` and `linears` (attention and dense layers) are fp32, bf16, int8 or nf4.
    """

    precision: str
    dtype: str
    experts: str
    linears: str
    why: str

    @property
    def key(self) -> str:
        """A name for files, e.g. nf4-int8."""
        return f"{self.experts}-{self.linears}-{self.dtype}"

    def kind(self, group: str) -> str:
        """The format of a group's matrices."""
        return {"experts": self.experts, "attention": self.linears, "dense": self.linears}.get(
            group, self.dtype
        )


#: Measured on random weights: nf4 experts cost 0.13 relative logit error, nf4 attention on top of them 0.33,
#: int8 attention nothing. So no recipe puts attention or dense layers in nf4.
RECIPES: Mapping[str, tuple[Recipe, ...]] = {
    "fp32": (Recipe("fp32", "fp32", "fp32", "fp32", "the quickest and most exact on a processor"),),
    "bf16": (Recipe("bf16", "bf16", "bf16", "bf16", "as the weights were released"),),
    "int8": (Recipe("int8", "bf16", "int8", "int8", "nearly as exact as bf16 in half the memory"),),
    # Best first: the later ones are for when memory asks for them.
    "nf4": (
        Recipe("nf4", "bf16", "nf4", "bf16", "experts in 4 bits; attention as released, memory allows it"),
        Recipe("nf4", "bf16", "nf4", "int8", "experts in 4 bits; attention in 8, where 4 would cost quality"),
    ),
}


def copy_recipe(config: Mapping[str, Any]) -> Recipe | None:
    """The recipe of a quantized copy, by its config; `None` for weights as they were released.

    Raises `LoadError` for a copy that this version can't read.
    """
    said = config.get(COPY)
    if said is None:
        return None
    known = {recipe.key: recipe for recipes in RECIPES.values() for recipe in recipes}
    if isinstance(said, Mapping) and (said.get("format"), said.get("block")) == (FORMAT, BLOCK):
        recipe = known.get(str(said.get("recipe")))
        if recipe is not None:
            return recipe
    raise LoadError("This quantized copy was made by another version of DGemma Play: make a new one.")


@dataclass(frozen=True)
class Weight:
    """A tensor of the checkpoint."""

    name: str
    shape: tuple[int, ...]
    group: str

    @property
    def matrix(self) -> bool:
        """Whether a recipe may quantize it."""
        return len(self.shape) > 1 and self.group in ("experts", "attention", "dense")

    def bytes(self, kind: str) -> int:
        """Its size in a format: codes and scales for int8 (a row each) and nf4 (a block each)."""
        count = math.prod(self.shape)
        if kind in WIDTH or not self.matrix:
            return count * WIDTH.get(kind, 2)
        if kind == "int8":
            return count + 4 * math.prod(self.shape[:-1])
        matrices, values = math.prod(self.shape[:-2]), math.prod(self.shape[-2:])
        return matrices * (-(-values // 2) + 4 * -(-values // BLOCK))


def weights(config: Mapping[str, Any]) -> Iterator[Weight]:
    """Every text tensor of a checkpoint, named as on disk: what encoder and decoder share counts once."""
    text = text_config(config)
    hidden, dense, expert, experts = (
        text[name] for name in ("hidden_size", "intermediate_size", "moe_intermediate_size", "num_experts")
    )
    root = "model.decoder."
    yield Weight(f"{root}embed_tokens.weight", (text["vocab_size"], hidden), "embeddings")
    yield Weight(f"{root}norm.weight", (hidden,), "other")
    yield Weight(f"{root}self_conditioning.pre_norm.weight", (hidden,), "other")
    yield from _gated(f"{root}self_conditioning", hidden, dense, "other")
    for number, (full, heads, head_dim) in enumerate(layers(text)):
        layer = f"{root}layers.{number}."
        shapes = {"q": (text["num_attention_heads"], True), "k": (heads, True), "v": (heads, not full)}
        for name in (name for name, (_, has) in shapes.items() if has):
            rows = shapes[name][0] * head_dim
            yield from _linear(f"{layer}self_attn.{name}_proj", (rows, hidden), text)
        yield from _linear(f"{layer}self_attn.o_proj", (hidden, text["num_attention_heads"] * head_dim), text)
        yield Weight(f"{layer}self_attn.q_norm.weight", (head_dim,), "other")
        yield Weight(f"{layer}self_attn.k_norm.weight", (head_dim,), "other")
        yield from _gated(f"{layer}mlp", hidden, dense, "dense")
        yield Weight(f"{layer}experts.gate_up_proj", (experts, 2 * expert, hidden), "experts")
        yield Weight(f"{layer}experts.down_proj", (experts, hidden, expert), "experts")
        yield Weight(f"{layer}router.proj.weight", (experts, hidden), "other")
        yield Weight(f"{layer}router.scale", (hidden,), "other")
        yield Weight(f"{layer}router.per_expert_scale", (experts,), "other")
        for norm in (
            "input_layernorm",
            "post_attention_layernorm",
            "pre_feedforward_layernorm",
            "pre_feedforward_layernorm_2",
            "post_feedforward_layernorm",
            "post_feedforward_layernorm_1",
            "post_feedforward_layernorm_2",
        ):
            yield Weight(f"{layer}{norm}.weight", (hidden,), "other")
        yield Weight(f"{layer}layer_scalar", (1,), "other")
        yield Weight(f"model.encoder.language_model.layers.{number}.layer_scalar", (1,), "other")


def _gated(name: str, hidden: int, inner: int, group: str) -> Iterator[Weight]:
    yield Weight(f"{name}.gate_proj.weight", (inner, hidden), group)
    yield Weight(f"{name}.up_proj.weight", (inner, hidden), group)
    yield Weight(f"{name}.down_proj.weight", (hidden, inner), group)


def _linear(name: str, shape: tuple[int, int], text: Mapping[str, Any]) -> Iterator[Weight]:
    yield Weight(f"{name}.weight", shape, "attention")
    if text.get("attention_bias"):
        yield Weight(f"{name}.bias", shape[:1], "attention")


def layers(text: Mapping[str, Any]) -> Iterator[tuple[bool, int, int]]:
    """Per layer: whether it sees the full context, its key/value heads and their size."""
    own = {int(number): values for number, values in text.get("per_layer_config", {}).items()}
    for number, kind in enumerate(text["layer_types"]):
        full = kind == "full_attention"
        heads, head_dim = text["num_key_value_heads"], text["head_dim"]
        if "per_layer_config" in text:
            heads = own.get(number, {}).get("num_key_value_heads", heads)
            head_dim = own.get(number, {}).get("head_dim", head_dim)
        elif full:
            heads = text.get("num_global_key_value_heads") or heads
            head_dim = text.get("global_head_dim") or 512
        yield full, heads, head_dim


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The text half of a config. Raises `LoadError` where it is no DiffusionGemma's."""
    kind = config.get("model_type")
    if kind != "diffusion_gemma":
        raise LoadError(
            f"This is a checkpoint of another architecture ({kind!s:.40}): DGemma Play runs diffusion_gemma"
            f" ones, such as {RELEASED}."
        )
    text = config.get("text_config")
    needed = (
        *("vocab_size", "hidden_size", "intermediate_size", "moe_intermediate_size", "num_experts"),
        *("top_k_experts", "num_attention_heads", "num_key_value_heads", "head_dim", "sliding_window"),
    )
    if not isinstance(text, dict) or not isinstance(text.get("layer_types"), list):
        raise LoadError("The checkpoint's config.json has no text_config with layer_types: it is damaged.")
    sizes = {name: text.get(name) for name in needed} | {"canvas_length": config.get("canvas_length")}
    sizes |= {name: text[name] for name in GLOBAL if text.get(name) is not None}
    try:
        for number, own in text.get("per_layer_config", {}).items():
            layer = int(number)
            sizes |= {f"{name} of layer {layer}": own[name] for name in OWN & own.keys()}
    except (AttributeError, TypeError, ValueError):
        sizes["per_layer_config"] = None
    for name, size in sizes.items():
        if type(size) is not int or size < 1:
            raise LoadError(
                f"The checkpoint's config.json gives no usable {name}: it is damaged or not a released one."
            )
    return text
