"""The model as the engine sees it: encode a prompt, decode canvases, make one draft's logits.

The only module that touches the inside of `DiffusionGemmaForBlockDiffusion`. It runs transformers' own
modules unchanged; what differs from `generate()` is that a prompt is encoded once for all drafts, and that a
draft's logits are made, used and dropped before the next draft's, instead of being held for the whole batch.

Shapes: n rows, C positions, D hidden size, V tokens, P tokens of context.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from .memory import memory_errors

#: What has been read so far, as keys and values per layer; one row.
Context = Cache
#: Positions per softmax of a soft embedding: all 256 at once take three [C, V] tensors beside the logits.
AT_ONCE = 64


class Denoiser(Protocol):
    """What the engine needs of a model; tests script it."""

    canvas_length: int
    vocab_size: int
    device: torch.device

    def encode(self, ids: Tensor) -> Any:
        """The context of prompt ids [P]."""
        ...

    def extend(self, contexts: Sequence[Any], canvases: Tensor) -> list[Any]:
        """Each context with its committed canvas, canvases [n, C], read too."""
        ...

    def batch(self, contexts: Sequence[Any]) -> Any:
        """n contexts of equal length as one of n rows."""
        ...

    def decode(self, context: Any, canvases: Tensor, soft: Tensor) -> Tensor:
        """Hidden states [n, C, D] of canvases [n, C], given the last guesses as soft embeddings [n, C, D]."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Soft-capped logits [C, V] float32 of one draft's hidden states [C, D]."""
        ...

    def soft_embedding(self, logits: Tensor) -> Tensor:
        """[C, D]: the self-conditioning signal of cooled logits [C, V]."""
        ...

    def no_guess(self) -> Tensor:
        """[C, D]: the signal before the first pass."""
        ...


class TransformersDenoiser:
    """A loaded `DiffusionGemmaForBlockDiffusion` as a `Denoiser`."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._encoder, self._decoder = model.model.encoder, model.model.decoder
        self.canvas_length: int = model.config.canvas_length
        self.vocab_size: int = model.config.text_config.vocab_size
        self.device: torch.device = self._decoder.embed_tokens.weight.device

    @memory_errors()
    def encode(self, ids: Tensor) -> Context:
        cache = DynamicCache(config=self._model.config.get_text_config(decoder=True))
        self._read(cache, ids[None])
        return cache

    @memory_errors()
    def extend(self, contexts: Sequence[Context], canvases: Tensor) -> list[Context]:
        cache = self.batch(contexts)
        self._read(cache, canvases)
        return [_row(cache, row) for row in range(len(contexts))]

    def _read(self, cache: Context, ids: Tensor) -> None:
        seen = cache.get_seq_length()
        positions = torch.arange(seen, seen + ids.shape[1], device=ids.device)[None]
        self._encoder(input_ids=ids, past_key_values=cache, position_ids=positions)

    @memory_errors()
    def batch(self, contexts: Sequence[Context]) -> Context:
        first, rows = contexts[0], len(contexts)
        if all(context is first for context in contexts):  # one prompt for all: seen n times, stored once
            return _changed(first, lambda i, name: getattr(first.layers[i], name).expand(rows, -1, -1, -1))
        return _changed(first, lambda i, name: torch.cat([getattr(c.layers[i], name) for c in contexts]))

    @memory_errors()
    def decode(self, context: Context, canvases: Tensor, soft: Tensor) -> Tensor:
        seen = context.get_seq_length()
        positions = torch.arange(seen, seen + self.canvas_length, device=canvases.device, dtype=torch.int32)
        thread = threading.get_ident()

        # The decoder makes its signal from logits [n, C, V]; ours is ready-made, so those need not exist.
        # Another run of the same model, in another thread, has a hook of its own.
        def signal(_: Any, args: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor] | None:
            return (args[0], soft) if threading.get_ident() == thread else None

        handle = self._decoder.self_conditioning.register_forward_pre_hook(signal)
        try:
            return self._decoder(
                decoder_input_ids=canvases,
                past_key_values=context,
                # Nothing is padded: a canvas sees its whole context and all of itself.
                decoder_attention_mask={"full_attention": None, "sliding_attention": None},
                decoder_position_ids=positions[None],
            ).last_hidden_state
        finally:
            handle.remove()

    @memory_errors()
    def logits(self, hidden: Tensor) -> Tensor:
        cap = self._model.final_logit_softcapping
        # In place: a [C, V] tensor is 268 MB in the released model.
        return self._model.lm_head(hidden[None])[0].to(torch.float32).div_(cap).tanh_().mul_(cap)

    @memory_errors()
    def soft_embedding(self, logits: Tensor) -> Tensor:
        embedding = self._decoder.embed_tokens
        weight = embedding.weight
        probs = torch.empty_like(logits, dtype=weight.dtype)
        for some, out in zip(logits.split(AT_ONCE), probs.split(AT_ONCE), strict=True):
            out.copy_(some.to(weight.dtype).softmax(dim=-1, dtype=torch.float32))
        return torch.matmul(probs[None], weight)[0] * embedding.embed_scale.to(weight.dtype)

    def no_guess(self) -> Tensor:
        weight = self._decoder.embed_tokens.weight
        return weight.new_zeros(self.canvas_length, weight.shape[1])


def _changed(cache: Context, change: Callable[[int, str], Tensor]) -> Context:
    """A copy of `cache` with `change(i, "keys")` and `change(i, "values")` in layer i."""
    changed = copy.copy(cache)
    layers: list[Any] = [copy.copy(layer) for layer in cache.layers]
    for i, layer in enumerate(layers):
        layer.keys, layer.values = change(i, "keys"), change(i, "values")
    changed.layers = layers
    return changed


def _row(cache: Context, row: int) -> Context:
    return _changed(cache, lambda i, name: getattr(cache.layers[i], name)[row : row + 1])
