"""Quantized weights under transformers' own modules: codes at rest, matrices for as long as a product takes.

Why not `BitsAndBytesConfig`: it quantizes `nn.Linear` only, and 88 % of this model are experts,
three-dimensional parameters; it skips what is tied, and here all text weights are tied from encoder to
decoder. Its int8 layers, forced onto both, quantize the shared weight twice. So:

* `QuantizedExperts` is transformers' experts module with its two weights turned into properties that unpack
  one layer's stack. The forward is inherited: grouped_mm, batched_mm and eager run unchanged.
* `Int8Linear` multiplies by the codes and applies the row scales to the output.
* `skeleton` gives encoder and decoder the *same module objects*, stored and quantized once. The vision tower
  is left out: nothing here reads images.

Shapes: E experts, R rows, C columns of a matrix.
"""

from __future__ import annotations

import functools
import logging
import math
from typing import Any

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion
from transformers.models.diffusion_gemma.modeling_diffusion_gemma import DiffusionGemmaTextExperts

from .errors import LoadError
from .recipes import BLOCK, Recipe

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
#: Buffers of a packed weight are named after it: its name, then one of these.
CODES, SCALES = "_codes", "_scales"


@functools.cache
def _bitsandbytes() -> Any:
    """Its operators. They are registered by an import that only those who need them wait for."""
    # It would report that a kernel which nothing here calls could not be downloaded.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    import bitsandbytes  # noqa: F401

    return torch.ops.bitsandbytes


def pack(weight: Tensor, kind: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Codes and float32 scales, on `device`, of weight [..., R, C].

    int8: codes [..., R, C], a scale per row. nf4: codes [..., R·C/2] of two values each, a scale per block.
    Matrix by matrix, from wherever the weight lies: blocks never straddle experts, and the device holds one
    matrix beside the codes. A whole stack, 1 GB in the released model, would leave gaps in its memory.
    """
    if weight.dim() > 2:
        codes, scales = (part.new_empty(len(weight), *part.shape) for part in pack(weight[0], kind, device))
        for number, matrix in enumerate(weight):  # each into its place: a list to stack would hold all twice
            codes[number], scales[number] = pack(matrix, kind, device)
        return codes, scales
    weight = weight.to(device)
    if kind == "nf4":
        quantize = _bitsandbytes().quantize_4bit.default
        codes, scales = quantize(weight.contiguous(), BLOCK, "nf4", torch.uint8)
        return codes.flatten(), scales
    values = weight.float()
    # Rounded to bfloat16, so that unpacking into it adds no error that a whole row shares.
    scales = (values.abs().amax(-1) / 127).bfloat16().float().clamp(min=torch.finfo(torch.bfloat16).tiny)
    codes = (values / scales[:, None]).round().clamp(-127, 127).to(torch.int8)
    return codes, scales


def unpack(codes: Tensor, scales: Tensor, kind: str, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """The weight of `shape` in `dtype` that `pack` made codes and scales of."""
    if kind == "nf4":
        dequantize = _bitsandbytes().dequantize_4bit.default
        return dequantize(codes.view(-1, 1), scales.view(-1), BLOCK, "nf4", shape, dtype)
    return codes.to(dtype).mul_(scales.to(dtype)[..., None])


class QuantizedExperts(DiffusionGemmaTextExperts):
    """The experts of one layer as nf4 or int8 codes."""

    def __init__(self, experts: DiffusionGemmaTextExperts, kind: str, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        machinery = set(vars(self))
        for name, value in vars(experts).items():  # sizes, config and flags, whatever the library adds
            if name not in machinery:
                setattr(self, name, value)
        self.act_fn = experts.act_fn
        self.kind = kind
        self.dtype = dtype
        self.shapes = {name: weight.shape for name, weight in experts.named_parameters()}
        for name in self.shapes:
            self.register_buffer(name + CODES, None)
            self.register_buffer(name + SCALES, None)

    def put(self, name: str, weight: Tensor, device: torch.device) -> None:
        """Take the weight [E, R, C] called `name`, packed, to `device`."""
        if math.prod(weight.shape[1:]) % BLOCK and self.kind == "nf4":
            raise LoadError(
                f"nf4 needs experts whose sizes are multiples of {BLOCK}, not {tuple(weight.shape[1:])}:"
                " choose another precision."
            )
        codes, scales = pack(weight, self.kind, device)
        setattr(self, name + CODES, codes)
        setattr(self, name + SCALES, scales)

    def _unpacked(self, name: str) -> Tensor:
        codes, scales = getattr(self, name + CODES), getattr(self, name + SCALES)
        return unpack(codes, scales, self.kind, self.shapes[name], self.dtype)

    @property
    def gate_up_proj(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._unpacked("gate_up_proj")

    @property
    def down_proj(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._unpacked("down_proj")


class Int8Linear(nn.Module):
    """A linear layer as int8 codes: x · codesᵀ, then the scale of each output row."""

    weight_codes: Tensor
    weight_scales: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.shapes = {"weight": linear.weight.shape}
        self.register_buffer("weight" + CODES, None)
        self.register_buffer("weight" + SCALES, None)
        self.bias = linear.bias

    def put(self, name: str, weight: Tensor, device: torch.device) -> None:
        """Take the weight [R, C], packed, to `device`."""
        codes, scales = pack(weight, "int8", device)
        setattr(self, name + CODES, codes)
        setattr(self, name + SCALES, scales)

    def forward(self, x: Tensor) -> Tensor:
        # Codes are whole numbers up to 127: exact in bfloat16, unlike codes times scales.
        out = nn.functional.linear(x, self.weight_codes.to(x.dtype)) * self.weight_scales.to(x.dtype)
        return out if self.bias is None else out + self.bias


def skeleton(config: DiffusionGemmaConfig, recipe: Recipe) -> Any:
    """The model of a recipe without weights: parameters on the meta device, packed buffers `None`."""
    with init_empty_weights(include_buffers=False):  # rotary frequencies and scales are computed, not loaded
        model: Any = DiffusionGemmaForBlockDiffusion(config)
    encoder, decoder = model.model.encoder.language_model, model.model.decoder
    for mine, theirs in zip(encoder.layers, decoder.layers, strict=True):
        if recipe.experts in ("int8", "nf4"):
            theirs.experts = QuantizedExperts(theirs.experts, recipe.experts, DTYPES[recipe.dtype])
        if recipe.linears == "int8":
            for part in (theirs.self_attn, theirs.mlp):
                for name, module in list(part.named_children()):
                    if type(module) is nn.Linear:
                        setattr(part, name, Int8Linear(module))
        _share(mine, theirs)
    encoder.norm, encoder.embed_tokens = decoder.norm, decoder.embed_tokens
    model.model.encoder.vision_tower = model.model.encoder.embed_vision = None
    # What the library would tie is one module already.
    model.all_tied_weights_keys = {}
    model._tied_weights_keys = model.model._tied_weights_keys = None
    return model.eval()


def _share(encoder_layer: Any, decoder_layer: Any) -> None:
    """Give an encoder layer the decoder layer's modules; each keeps its own `layer_scalar`.

    Their attentions differ in what they do with the cache, not in what they hold.
    """
    for name, module in decoder_layer.named_children():
        if name == "self_attn":
            for inner, part in module.named_children():
                setattr(encoder_layer.self_attn, inner, part)
        else:
            setattr(encoder_layer, name, module)


def put(model: Any, name: str, tensor: Tensor, dtype: torch.dtype, device: torch.device) -> None:
    """Give `model` the tensor of that name, as a recipe's module wants it."""
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    # Copied in any case: a view would keep the file that it was read from.
    if leaf.endswith((CODES, SCALES)):
        module._buffers[leaf] = tensor.to(device, copy=True)
    elif leaf in getattr(module, "shapes", {}):
        module.put(leaf, tensor.to(dtype), device)
    elif leaf in module._buffers:
        module._buffers[leaf] = tensor.to(device, dtype, copy=True)
    else:
        module._parameters[leaf] = nn.Parameter(tensor.to(device, dtype, copy=True), requires_grad=False)


def finish(model: Any, device: torch.device) -> Any:
    """Tie the head and move what was computed, not loaded. Raises `LoadError` if something is missing."""
    model.lm_head.weight = model.model.decoder.embed_tokens.weight
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.to(device)
            elif name.endswith((CODES, SCALES)):
                raise LoadError(f"The checkpoint is incomplete: {type(module).__name__} got no {name}.")
    missing = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    if missing:
        raise LoadError(f"The checkpoint is incomplete: {missing[0]} is missing.")
    return model


def check_kernels(recipe: Recipe, device: torch.device) -> None:
    """Raises `LoadError` where this device can't unpack what it packed."""
    for kind in {recipe.experts, recipe.linears} & {"int8", "nf4"}:
        _check_kernel(kind, device)


def _check_kernel(kind: str, device: torch.device) -> None:
    weight = torch.linspace(-1, 1, 2 * BLOCK, device=device).view(2, BLOCK).bfloat16()
    try:
        again = unpack(*pack(weight, kind, device), kind, weight.shape, weight.dtype)
    except (RuntimeError, NotImplementedError, AttributeError, ImportError, OSError) as error:
        raise LoadError(
            f"{kind} can't be computed on {device}: bitsandbytes is missing, or its build does not match the"
            " driver or PyTorch. See `python -m bitsandbytes`, update with `pip install -U bitsandbytes`, or"
            " choose --precision bf16."
        ) from error
    if not torch.allclose(again.float(), weight.float(), atol=0.2):
        raise LoadError(
            f"{kind} comes out wrong on {device}: update bitsandbytes, or choose --precision bf16."
        )
