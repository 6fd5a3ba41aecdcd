"""A pass on a device that is no processor: no tensor is left behind, and nothing waits for the host.

There is no GPU here, so the device is a made-up one and its tensors hold no values: PyTorch still refuses to
mix them with a processor's, and to tell a value that only the device knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import DiffusionGemmaConfig

from dgemma_play import checkpoints, quantization, sampler
from dgemma_play.denoiser import TransformersDenoiser
from dgemma_play.quantization import DTYPES
from dgemma_play.recipes import RECIPES, Recipe, weights
from tests.engine.checkpoints import save_checkpoint

NAME = "madeup"
#: All that compute in bfloat16: PyTorch describes its grouped product for no other type.
EVERY = {recipe.key: recipe for recipes in RECIPES.values() for recipe in recipes if recipe.dtype == "bf16"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layers = ["sliding_attention", "full_attention"]
    shape = {"num_hidden_layers": 2, "layer_types": layers, "num_experts": 4, "top_k_experts": 2}
    return save_checkpoint(tmp_path_factory.mktemp("device") / "small", **shape)


@pytest.fixture(scope="module")
def device() -> torch.device:
    if not hasattr(torch, NAME):
        backend_registration._setup_privateuseone_for_python_backend(NAME)
    return torch.device(NAME, 0)


@pytest.fixture
def made_up() -> FakeTensorMode:
    """Inside it tensors have shapes, types and places, but no values."""
    return FakeTensorMode(allow_non_fake_inputs=True)


def model_on(device: torch.device, made_up: FakeTensorMode, folder: Path, recipe: Recipe) -> Any:
    """What `loading.assemble` makes of the folder, from weights without values."""
    model = quantization.skeleton(DiffusionGemmaConfig.from_pretrained(folder), recipe)
    for module in model.modules():
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else made_up.from_tensor(buffer)
    with made_up:
        for weight in weights(checkpoints.config_of(str(folder))):
            values = torch.empty(weight.shape, dtype=torch.bfloat16)
            quantization.put(model, weight.name, values, DTYPES[recipe.dtype], device)
        return quantization.finish(model, device)


def held(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that a module holds: parameters, all buffers and plain attributes."""
    for path, module in model.named_modules():
        for values in (vars(module), module._parameters, module._buffers):
            tensors = ((name, value) for name, value in values.items() if isinstance(value, Tensor))
            yield from ((f"{path}.{name}", tensor) for name, tensor in tensors)


@pytest.mark.parametrize("key", EVERY)
def test_a_pass_stays_on_its_device_from_encoding_to_the_next_canvas(
    folder: Path, device: torch.device, made_up: FakeTensorMode, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_on(device, made_up, folder, EVERY[key])
    assert {name for name, tensor in held(model) if tensor.device != device} == set()
    denoiser = TransformersDenoiser(model)
    length = denoiser.canvas_length

    def noise(*_: object) -> Tensor:  # a made-up device has no generator
        return torch.zeros(length, dtype=torch.int64, device=device)

    tensor = torch.tensor

    def without_values(data: Any, *, device: Any = None, **kind: Any) -> Tensor:
        there = tensor(data, **kind)
        return torch.zeros(there.shape, dtype=there.dtype, device=device)

    monkeypatch.setattr(sampler, "noise", noise)
    monkeypatch.setattr(sampler, "sample", lambda probs, _: probs.argmax(-1))
    monkeypatch.setattr(torch, "tensor", without_values)
    stop = sampler.StopRule(1, 0.005)
    with made_up, torch.inference_mode():
        contexts = [denoiser.encode(torch.zeros(40, dtype=torch.int64, device=device))] * 3
        for _ in range(2):
            canvases = torch.stack([noise()] * 3)
            soft = torch.stack([denoiser.no_guess()] * 3)
            hidden = denoiser.decode(denoiser.batch(contexts), canvases, soft)
            logits = denoiser.logits(hidden[0])
            step = sampler.decide(logits, entropy_bound=0.1, rivals=5, generator=torch.Generator())
            made = (hidden, logits, denoiser.soft_embedding(logits), *vars(step).values(), stop(step))
            assert {tensor.device for tensor in made} == {device}
            contexts = denoiser.extend(contexts, torch.stack([step.best] * 3))


class Largest(TorchDispatchMode):
    """The most bytes of any floating-point tensor that was made on a device."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device, self.bytes = device, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.device == self.device and tensor.is_floating_point():
                self.bytes = max(self.bytes, tensor.nbytes)
        return made


@pytest.mark.parametrize("kind", ["int8", "nf4"])
def test_experts_reach_the_device_one_by_one(
    device: torch.device, made_up: FakeTensorMode, kind: str
) -> None:
    with made_up, Largest(device) as largest:
        stack = torch.empty(16, 128, 64, dtype=torch.bfloat16)
        codes, scales = quantization.pack(stack, kind, device)
    assert codes.device == scales.device == device
    assert 0 < largest.bytes <= stack[0].float().nbytes < stack.nbytes


def test_the_made_up_device_can_tell_on_both(device: torch.device, made_up: FakeTensorMode) -> None:
    with made_up:
        there = torch.zeros(3, device=device)
        with pytest.raises(RuntimeError, match="device"):
            _ = there + torch.zeros(3)
        with pytest.raises(DataDependentOutputException):
            there.sum().item()
