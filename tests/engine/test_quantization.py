"""Quantized weights on a small random model: exact bytes, bounded errors, one module for both sides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import DiffusionGemmaForBlockDiffusion

from dgemma_play import LoadError, Settings, Trace, checkpoints, denoise, loading, quantization
from dgemma_play.denoiser import TransformersDenoiser
from dgemma_play.plan import plan
from dgemma_play.quantization import pack, unpack
from dgemma_play.recipes import BLOCK, RECIPES, Recipe
from tests.engine.checkpoints import VOCAB, save_checkpoint
from tests.engine.memory import peak_bytes

CPU = torch.device("cpu")
LAYERS, EXPERTS, HIDDEN, INNER = 4, 32, 128, 64
EXPERT_VALUES = LAYERS * EXPERTS * 3 * HIDDEN * INNER
EVERY = {f"{r.precision}-{r.linears}": r for recipes in RECIPES.values() for r in recipes}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_checkpoint(tmp_path_factory.mktemp("moe") / "small")


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Any]:
    """The checkpoint at every recipe."""
    checkpoint = checkpoints.find(str(folder))
    return {name: loading.assemble(checkpoint, recipe, CPU) for name, recipe in EVERY.items()}


@pytest.fixture(scope="module")
def reference(folder: Path) -> Tensor:
    """transformers' own logits of the unquantized checkpoint in fp32."""
    model = DiffusionGemmaForBlockDiffusion.from_pretrained(folder, dtype=torch.float32).eval()
    return logits_of(model)


@torch.no_grad()
def logits_of(model: Any) -> Tensor:
    """Logits after encoding, decoding and self-conditioning, of eight rows."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, VOCAB, (8, 24), generator=generator)
    canvases = torch.randint(3, VOCAB, (8, 32), generator=generator)
    guess = torch.randn(8, 32, VOCAB, generator=generator)
    given = {"input_ids": ids, "decoder_input_ids": canvases, "self_conditioning_logits": guess}
    return model(**{name: value.to(model.device) for name, value in given.items()}).logits.float()


def stored_bytes(model: nn.Module, part: str = "") -> int:
    """Bytes of parameters and kept buffers whose name holds `part`; what is shared counts once."""
    kept = model.state_dict()
    return sum({t.data_ptr(): t.nbytes for name, t in kept.items() if part in name}.values())


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("fp32-fp32", 4 * EXPERT_VALUES),
        ("bf16-bf16", 2 * EXPERT_VALUES),
        ("int8-int8", EXPERT_VALUES + 4 * LAYERS * EXPERTS * (2 * INNER + HIDDEN)),
        ("nf4-bf16", EXPERT_VALUES // 2 + 4 * EXPERT_VALUES // BLOCK),
        ("nf4-int8", EXPERT_VALUES // 2 + 4 * EXPERT_VALUES // BLOCK),
    ],
)
def test_experts_really_take_the_bytes_of_their_format(models: dict[str, Any], name: str, size: int) -> None:
    assert stored_bytes(models[name], ".experts.") == size


@pytest.mark.parametrize("name", EVERY)
def test_the_plan_knows_the_bytes_beforehand(models: dict[str, Any], folder: Path, name: str) -> None:
    planned = plan(checkpoints.config_of(str(folder)), EVERY[name])
    assert stored_bytes(models[name]) == planned.model, "to the byte; the promise is 2 %"
    assert stored_bytes(models[name], ".experts.") == planned.groups["experts"]
    assert stored_bytes(models[name], "embed_tokens") == planned.groups["embeddings"]


@pytest.mark.parametrize(
    ("name", "most_error", "least_agreement"),
    [
        ("fp32-fp32", 0.0, 1.0),
        ("bf16-bf16", 0.06, 0.9),
        ("int8-int8", 0.10, 0.88),
        ("nf4-bf16", 0.20, 0.80),
        ("nf4-int8", 0.20, 0.80),
    ],
)
def test_logits_stay_near_those_of_transformers_in_fp32(
    models: dict[str, Any], reference: Tensor, name: str, most_error: float, least_agreement: float
) -> None:
    logits = logits_of(models[name])
    error = (logits - reference).norm() / reference.norm()
    agreement = (logits.argmax(-1) == reference.argmax(-1)).float().mean()
    assert float(error) <= most_error
    assert float(agreement) >= least_agreement
    if name.startswith("nf4"):
        assert float(error) > 0.02, "4 bits can't be this exact: something was left unquantized"


def test_names_keep_the_word_experts(models: dict[str, Any]) -> None:
    names = [
        name for name in models["nf4-int8"].state_dict() if "gate_up_proj" in name or ".down_proj_" in name
    ]
    assert names
    assert all(".experts." in name for name in names)


@pytest.mark.parametrize("name", EVERY)
def test_encoder_and_decoder_are_the_same_modules(models: dict[str, Any], name: str) -> None:
    encoder, decoder = models[name].model.encoder.language_model, models[name].model.decoder
    x = torch.randn(5, HIDDEN, dtype=decoder.embed_tokens.weight.dtype)
    for mine, theirs in zip(encoder.layers, decoder.layers, strict=True):
        assert mine.experts is theirs.experts
        assert mine.layer_scalar is not theirs.layer_scalar
        q_encoder, q_decoder = mine.self_attn.q_proj, theirs.self_attn.q_proj
        first, second, third = q_decoder(x), q_encoder(x), q_decoder(x)
        assert torch.equal(first, second)
        assert torch.equal(first, third), "a second user must not quantize again"
    assert encoder.layers[1].layer_scalar != decoder.layers[1].layer_scalar
    assert models[name].lm_head.weight is decoder.embed_tokens.weight


def test_the_vision_tower_is_not_there(models: dict[str, Any]) -> None:
    assert not any("vision" in name for name in models["bf16-bf16"].state_dict())


@pytest.mark.parametrize("name", ["int8-int8", "nf4-int8"])
def test_all_experts_kernels_of_transformers_agree(models: dict[str, Any], name: str) -> None:
    model = models[name]
    expected = logits_of(model)
    for kernel in ("batched_mm", "eager", "grouped_mm"):
        model.set_experts_implementation(kernel)
        assert float((logits_of(model) - expected).norm() / expected.norm()) <= 0.05
    assert torch.equal(logits_of(model), expected)


@pytest.mark.parametrize("precision", RECIPES)
def test_denoise_runs_with_rows_and_waiting_drafts(folder: Path, precision: str) -> None:
    loaded = loading.load(str(folder), precision, "cpu")
    settings = Settings(drafts=3, seed=1, steps=3, max_new_tokens=40)
    trace = Trace.record(denoise(loaded, "A fox.", settings, rows=2))
    assert loaded.precision == trace.model.precision == precision
    assert len(trace.tracks) == 3
    assert max(track.block.max() for track in trace.tracks) == 1, "it goes on to a second canvas"


@pytest.mark.parametrize("precision", RECIPES)
def test_the_embedded_checkpoint_goes_at_every_precision(precision: str) -> None:
    loaded = loading.load("embedded", precision, "cpu")
    trace = Trace.record(denoise(loaded, "A haiku about rain.", Settings(drafts=2, seed=3, steps=2)))
    assert trace.model.precision == precision
    assert stored_bytes(loaded.model) == plan(checkpoints.config_of("embedded"), RECIPES[precision][0]).model


@pytest.mark.parametrize("name", ["int8-int8", "nf4-int8", "nf4-bf16"])
def test_transformers_generate_runs_on_it_too(models: dict[str, Any], name: str) -> None:
    written = models[name].generate(torch.tensor([[6, 7, 8]]), max_new_tokens=32, max_denoising_steps=2)
    assert written.sequences.shape == (1, 35)


@pytest.mark.parametrize("name", ["int8-int8", "nf4-int8", "nf4-bf16"])
def test_a_pass_holds_no_more_than_the_plan_says(models: dict[str, Any], folder: Path, name: str) -> None:
    model, rows = models[name], 3
    denoiser = TransformersDenoiser(model)
    needs = plan(checkpoints.config_of(str(folder)), EVERY[name], context=64)
    canvases = torch.randint(VOCAB, (rows, 32))
    with torch.inference_mode():
        context = denoiser.encode(torch.arange(6, 70))
        soft = torch.stack([denoiser.no_guess()] * rows)

        def one_pass() -> None:
            batched = denoiser.batch([context] * rows)
            for hidden in denoiser.decode(batched, canvases, soft):
                denoiser.soft_embedding(denoiser.logits(hidden))

        one_pass()  # what is made once and kept is no temporary
        peak = peak_bytes(one_pass)
    assert peak <= needs.scratch + needs.logits + rows * (needs.draft + needs.context)
    layer = 2 * EXPERT_VALUES // LAYERS
    assert needs.scratch <= 1.05 * layer, "one layer's experts in bf16, and one linear"
    assert peak >= layer // 2, "the experts must have been unpacked within"


@pytest.mark.parametrize("name", EVERY)
def test_loading_holds_the_model_and_no_more_than_a_shard_beside_it(
    models: dict[str, Any], folder: Path, name: str
) -> None:
    checkpoint = checkpoints.find(str(folder))
    shard = max(sum(shard.bytes.values()) for shard in checkpoint.shards)
    peak = peak_bytes(lambda: loading.assemble(checkpoint, EVERY[name], CPU))
    assert peak <= stored_bytes(models[name]) + shard


# --- packing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "error"), [("nf4", 0.10), ("int8", 0.010)])
def test_what_is_packed_comes_back_within_its_error(kind: str, error: float) -> None:
    weight = torch.randn(3, 64, 192, generator=torch.Generator().manual_seed(0)).bfloat16() * 0.02
    again = unpack(*pack(weight, kind, CPU), kind, weight.shape, torch.bfloat16)
    assert float((again - weight).float().norm() / weight.float().norm()) <= error


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_experts_are_packed_one_by_one(kind: str) -> None:
    weight = torch.randn(3, 64, 64).bfloat16()
    codes, scales = pack(weight, kind, CPU)
    for number in range(3):
        alone = pack(weight[number], kind, CPU)
        assert torch.equal(codes[number], alone[0])
        assert torch.equal(scales[number], alone[1])


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_zeros_stay_zeros(kind: str) -> None:
    weight = torch.zeros(2, 64, 64).bfloat16()
    assert not unpack(*pack(weight, kind, CPU), kind, weight.shape, torch.bfloat16).any()


def test_int8_codes_reach_127_and_no_further() -> None:
    codes, _ = pack(torch.randn(50, 64).bfloat16() * 1e3, "int8", CPU)
    assert int(codes.abs().max()) == 127


def test_experts_that_blocks_would_straddle_are_refused(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "odd", moe_intermediate_size=3, hidden_size=8, head_dim=4)
    odd = Recipe("nf4", "bf16", "nf4", "bf16", "")
    with pytest.raises(LoadError, match="multiples of 64"):
        loading.assemble(checkpoints.find(str(folder)), odd, CPU)


def test_bitsandbytes_keeps_quiet_about_what_nothing_here_calls() -> None:
    code = (
        "import torch; from dgemma_play import quantization, recipes;"
        "quantization.check_kernels(recipes.RECIPES['nf4'][0], torch.device('cpu'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_kernels_that_fail_are_found_out_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(
            "Attempted to use bitsandbytes native library functionality but it's not available."
        )

    monkeypatch.setattr(quantization, "pack", broken)
    with pytest.raises(LoadError, match=r"nf4 can't be computed on cpu: bitsandbytes .* --precision bf16"):
        quantization.check_kernels(RECIPES["nf4"][0], CPU)
