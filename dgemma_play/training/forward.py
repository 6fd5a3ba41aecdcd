"""One-pass training forward of a `DiffusionGemmaForBlockDiffusion`, text only.

transformers runs an encoder over the prompt (causal) and then a decoder over the canvas
(bidirectional, sees the prompt's keys and values). Both share their weights, so training can run
[prompt ; canvas] as one sequence under a block mask. The tokens are sorted by expert, for one grouped
product (torch 2.10 or newer). A test holds this forward against the transformers modules.

Shapes: B examples, P prompt positions (left-padded), C canvas positions, D hidden, V tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_MASKED = -1e30


@dataclass(frozen=True)
class Hidden:
    """What one pass gives: `canvas [B, C, D]` before the head, and the router's balance loss."""

    canvas: Tensor
    balance: Tensor


def rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """RMS norm in fp32, as Gemma does it."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return (wide if weight is None else wide * weight.float()).to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding; x `[B, S, heads, d]`, cos and sin `[S, 1, d]`."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def _attention(
    x: Tensor,
    mask: Tensor,
    cos: Tensor,
    sin: Tensor,
    w: dict[str, Any],
    heads: tuple[int, int, int],
    eps: float,
) -> Tensor:
    """Grouped-query attention without scaling (queries and keys are normed); mask `[B or 1, 1, 1, S, S]`."""
    batch, length, _ = x.shape
    query_heads, kv_heads, size = heads
    q = functional.linear(x, w["q"]).view(batch, length, query_heads, size)
    k = functional.linear(x, w["k"]).view(batch, length, kv_heads, size)
    v = k if w["v"] is None else functional.linear(x, w["v"]).view(batch, length, kv_heads, size)
    q = rotate(rms_norm(q, w["q_norm"], eps), cos, sin).transpose(1, 2)
    k = rotate(rms_norm(k, w["k_norm"], eps), cos, sin).transpose(1, 2)
    v = rms_norm(v, None, eps).transpose(1, 2)
    groups = query_heads // kv_heads
    q = q.reshape(batch * kv_heads, groups * length, size)
    scores = torch.bmm(q, k.reshape(batch * kv_heads, length, size).transpose(1, 2))
    scores = scores.view(batch, kv_heads, groups, length, length).float() + mask
    weights = torch.softmax(scores, -1).to(v.dtype).view(batch * kv_heads, groups * length, length)
    mixed = torch.bmm(weights, v.reshape(batch * kv_heads, length, size))
    mixed = mixed.view(batch, kv_heads, groups, length, size).permute(0, 3, 1, 2, 4)
    return functional.linear(mixed.reshape(batch, length, query_heads * size), w["o"])


def _dispatch(tokens: Tensor, order: Tensor, top_k: int) -> Tensor:
    return tokens[order // top_k]


def _combine(rows: Tensor, order: Tensor, top_k: int) -> Tensor:
    return rows[order.argsort()].view(-1, top_k, rows.shape[-1]).sum(1)


class Dispatch(torch.autograd.Function):
    """Tokens `[N, D]` to rows by expert `[N x top_k, D]`.

    Each of the two is the other's gradient. Told so, both are gathers in both directions; left to
    autograd, the gradient of a gather adds up row after row.
    """

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, order: Tensor, top_k: int) -> Tensor:
        ctx.order, ctx.top_k = order, top_k
        return _dispatch(tokens, order, top_k)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _combine(gradients[0], ctx.order, ctx.top_k), None, None


class Combine(torch.autograd.Function):
    """Rows by expert back to tokens, each the sum of its `top_k` rows: see `Dispatch`."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, order: Tensor, top_k: int) -> Tensor:
        ctx.order, ctx.top_k = order, top_k
        return _combine(rows, order, top_k)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _dispatch(gradients[0], ctx.order, ctx.top_k), None, None


def _experts(residual: Tensor, x: Tensor, w: dict[str, Any], top_k: int, eps: float) -> tuple[Tensor, Tensor]:
    """The experts that the router chooses, each over its own tokens; and the router's balance loss."""
    count, _, width = w["expert_in"].shape
    routed = rms_norm(residual, None, eps) * w["router_scale"] * width**-0.5
    odds = torch.softmax(functional.linear(routed.float(), w["router"].float()), -1).view(-1, count)
    top, chosen = torch.topk(odds, top_k, -1)
    picked = functional.one_hot(chosen.flatten(), count)  # [tokens x top_k, experts]
    share = top / top.sum(-1, keepdim=True) * w["expert_scale"].float()[chosen]
    order = chosen.flatten().argsort(stable=True)  # rows by expert
    ends = picked.sum(0).cumsum(0).to(torch.int32)
    rows = Dispatch.apply(x.view(-1, width), order, top_k)
    gate, up = functional.grouped_mm(rows, w["expert_in"].mT, offs=ends).chunk(2, -1)
    inner = functional.gelu(gate, approximate="tanh") * up * share.flatten()[order].to(x.dtype).unsqueeze(-1)
    outer = functional.grouped_mm(inner, w["expert_out"].mT, offs=ends)
    mixed = Combine.apply(outer, order, top_k)
    balance = (picked.float().mean(0) * odds.mean(0)).sum() * count
    return mixed.view_as(x), balance


def layer(
    x: Tensor,
    mask: Tensor,
    cos: Tensor,
    sin: Tensor,
    w: dict[str, Any],
    heads: tuple[int, int, int],
    top_k: int,
    eps: float,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """One decoder layer: attention, then a dense feed-forward beside the experts."""
    w = {
        name: weight if weight is None or weight.ndim == 1 else weight.to(dtype) for name, weight in w.items()
    }
    mixed = _attention(rms_norm(x, w["norm_in"], eps).to(dtype), mask, cos, sin, w, heads, eps)
    x = x + rms_norm(mixed, w["norm_attention"], eps)
    dense = rms_norm(x, w["norm_dense_in"], eps).to(dtype)
    dense = functional.gelu(functional.linear(dense, w["gate"]), approximate="tanh") * functional.linear(
        dense, w["up"]
    )
    dense = rms_norm(functional.linear(dense, w["down"]), w["norm_dense_out"], eps)
    sparse, balance = _experts(x, rms_norm(x, w["norm_expert_in"], eps).to(dtype), w, top_k, eps)
    sparse = rms_norm(sparse, w["norm_expert_out"], eps)
    return x + rms_norm(dense + sparse, w["norm_out"], eps), balance


def _layer_weights(module: Any) -> dict[str, Any]:
    """The parameters of one transformers layer, by the names used here (the tensors are shared)."""
    attention, mlp, router = module.self_attn, module.mlp, module.router
    return {
        "norm_in": module.input_layernorm.weight,
        "q": attention.q_proj.weight,
        "k": attention.k_proj.weight,
        "v": None if attention.v_proj is None else attention.v_proj.weight,
        "o": attention.o_proj.weight,
        "q_norm": attention.q_norm.weight,
        "k_norm": attention.k_norm.weight,
        "norm_attention": module.post_attention_layernorm.weight,
        "norm_dense_in": module.pre_feedforward_layernorm.weight,
        "gate": mlp.gate_proj.weight,
        "up": mlp.up_proj.weight,
        "down": mlp.down_proj.weight,
        "norm_dense_out": module.post_feedforward_layernorm_1.weight,
        "router_scale": router.scale,
        "router": router.proj.weight,
        "expert_scale": router.per_expert_scale,
        "norm_expert_in": module.pre_feedforward_layernorm_2.weight,
        "expert_in": module.experts.gate_up_proj,
        "expert_out": module.experts.down_proj,
        "norm_expert_out": module.post_feedforward_layernorm_2.weight,
        "norm_out": module.post_feedforward_layernorm.weight,
    }


def logits_of(hidden: Tensor, embedding: Tensor, cap: float) -> Tensor:
    """Soft-capped fp32 logits `[B, C, V]` through the tied embedding."""
    return cap * torch.tanh(functional.linear(hidden, embedding).float() / cap)


@dataclass(frozen=True)
class Candidates:
    """The tokens that a sampled softmax compares, `ids [K]`, and what their logits gain, `more [K]`."""

    ids: Tensor
    more: Tensor


def draw_candidates(targets: Tensor, vocabulary: int, count: int) -> Candidates:
    """All tokens that occur in `targets`, and others drawn uniformly up to `count` of them.

    Each drawn one also stands for those not drawn, so that the softmax's normaliser is right on average
    (Jean et al. 2015, "On Using Very Large Target Vocabulary", whose proposal is uniform here). `targets`
    must not hold more than `count` different tokens.
    """
    present = torch.zeros(vocabulary, dtype=torch.bool, device=targets.device)
    present[targets.flatten()] = True
    ids = (torch.rand(vocabulary, device=targets.device) + present).topk(count).indices
    known = present.sum()
    stands_for = torch.log((vocabulary - known) / (count - known).clamp(min=1))
    return Candidates(ids, torch.where(present[ids], 0.0, stands_for))


def cross_entropy(
    hidden: Tensor, embedding: Tensor, targets: Tensor, cap: float, more: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy in nats. Apart so that a compiled version never stores the fp32 logits."""
    logits = logits_of(hidden, embedding, cap)
    logits = logits if more is None else logits + more
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def soft_embedding(
    hidden: Tensor, embedding: Tensor, cap: float, temperature: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Expected embedding under the tempered distribution (what self-conditioning feeds back), entropy, pick.

    Returns:
        `[B, C, D]`; `[B, C]` in nats; the likeliest token ids `[B, C]`. `temperature` is `[B, 1, 1]`.
    """
    log_probs = torch.log_softmax(logits_of(hidden, embedding, cap) / temperature, -1)
    probs = log_probs.exp()
    expected = torch.matmul(probs.to(embedding.dtype), embedding)
    return expected, -(probs * log_probs).sum(-1), log_probs.argmax(-1)


class TrainingForward:
    """The one-pass forward over a model's own parameters."""

    def __init__(self, model: Any, dtype: torch.dtype = torch.float32, compiled: bool = False) -> None:
        """Args: the model; the dtype of matrix products (bf16 or fp32); whether to use torch.compile."""
        self.config = model.config.text_config
        self.decoder = model.model.decoder
        self.dtype = dtype
        self.cap: float = self.config.final_logit_softcapping
        self._layers = [
            (
                _layer_weights(module),
                self.config.layer_types[index],
                (
                    self.config.num_attention_heads,
                    self.config.per_layer_config[index].num_key_value_heads,
                    self.config.per_layer_config[index].head_dim,
                ),
            )
            for index, module in enumerate(self.decoder.layers)
        ]
        wrap: Callable[[Any], Any] = (
            (lambda function: torch.compile(function, dynamic=False))
            if compiled
            else lambda function: function
        )
        self._layer, self._entropy, self._soft = wrap(layer), wrap(cross_entropy), wrap(soft_embedding)
        self._tables: dict[tuple[int, int], tuple[dict[str, tuple[Tensor, Tensor]], Tensor]] = {}

    @property
    def embedding(self) -> Tensor:
        """The tied embedding `[V, D]` in the products' dtype."""
        return self.decoder.embed_tokens.weight.to(self.dtype)

    def positions(self, prompt: int, canvas: int, device: torch.device) -> tuple[dict[str, Any], Tensor]:
        """Rotary tables per layer type, and the block mask `[S, S]`: causal prompt, canvas sees all."""
        key = (prompt, canvas)
        if key not in self._tables:
            place = torch.arange(prompt + canvas, device=device)
            rotary = {}
            for kind in set(self.config.layer_types):
                cos, sin = self.decoder.rotary_emb(torch.zeros(1, device=device), place[None], kind)
                rotary[kind] = (cos[0][:, None].to(self.dtype), sin[0][:, None].to(self.dtype))
            seen = (place[None] <= place[:, None]) & (place[:, None] < prompt) | (place[:, None] >= prompt)
            mask = torch.zeros(len(place), len(place), device=device).masked_fill(~seen, _MASKED)
            self._tables[key] = (rotary, mask)
        return self._tables[key]

    def __call__(
        self, prompt: Tensor, canvas: Tensor, padding: Tensor | None = None, soft: Tensor | None = None
    ) -> Hidden:
        """One pass over prompt ids `[B, P]` and canvas ids `[B, C]`.

        Args:
            prompt: ids, padded on the left.
            canvas: ids of the noisy canvas.
            padding: `[B, P]` bool, True where the prompt is padding.
            soft: `[B, C, D]` self-conditioning from `soft`; `None` in the first pass.
        """
        eps, scale = self.config.rms_norm_eps, self.config.hidden_size**0.5
        table = self.decoder.embed_tokens.weight
        noisy = functional.embedding(canvas, table) * scale
        if soft is not None:
            noisy = noisy + self._self_condition(soft * scale, eps)
        noisy = rms_norm(noisy, None, eps)
        x = torch.cat([functional.embedding(prompt, table) * scale, noisy], 1)
        rotary, mask = self.positions(prompt.shape[1], canvas.shape[1], prompt.device)
        mask = mask[None, None, None]
        if padding is not None:
            mask = mask.masked_fill(
                functional.pad(padding, (0, canvas.shape[1]))[:, None, None, None, :], _MASKED
            )
        balance = x.new_zeros(())
        for weights, kind, heads in self._layers:
            cos, sin = rotary[kind]
            x, uneven = self._layer(
                x, mask, cos, sin, weights, heads, self.config.top_k_experts, eps, self.dtype
            )
            balance = balance + uneven / len(self._layers)
        x = rms_norm(x, self.decoder.norm.weight, eps)
        return Hidden(x[:, prompt.shape[1] :].to(self.dtype), balance)

    def _self_condition(self, soft: Tensor, eps: float) -> Tensor:
        w = self.decoder.self_conditioning
        x = rms_norm(soft, w.pre_norm.weight, eps).to(self.dtype)
        gate, up, down = (w.gate_proj.weight, w.up_proj.weight, w.down_proj.weight)
        x = functional.gelu(
            functional.linear(x, gate.to(self.dtype)), approximate="tanh"
        ) * functional.linear(x, up.to(self.dtype))
        return functional.linear(x, down.to(self.dtype))

    def logits(self, hidden: Hidden) -> Tensor:
        """Logits `[B, C, V]` in fp32."""
        return logits_of(hidden.canvas, self.embedding, self.cap)

    def loss(self, hidden: Hidden, targets: Tensor, candidates: int | None = None) -> Tensor:
        """Cross-entropy of the clean tokens `[B, C]` at all canvas positions, in nats.

        With `candidates`, if the vocabulary has more and the targets are fewer, it is an estimate over so
        many tokens, which costs as much less: see `draw_candidates`.
        """
        table, vocabulary = self.decoder.embed_tokens.weight, self.config.vocab_size
        if candidates is None or not targets.numel() < candidates < vocabulary:
            return self._entropy(hidden.canvas, self.embedding, targets, self.cap)
        drawn = draw_candidates(targets, vocabulary, candidates)
        place = targets.new_zeros(vocabulary).scatter(
            0, drawn.ids, torch.arange(candidates, device=targets.device)
        )
        return self._entropy(
            hidden.canvas, table[drawn.ids].to(self.dtype), place[targets], self.cap, drawn.more
        )

    def soft(self, hidden: Hidden, temperature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `soft_embedding`."""
        return self._soft(hidden.canvas, self.embedding, self.cap, temperature)
