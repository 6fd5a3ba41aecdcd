"""The memory plan: the released config's numbers, what is chosen on which card, and no torch."""

from __future__ import annotations

import io
import math
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dgemma_play import LoadError, plan, plan_table
from dgemma_play.checkpoints import ASSETS, config_of
from dgemma_play.plan import GIB, RESERVE
from dgemma_play.recipes import BLOCK, COPY, FORMAT, RECIPES, RELEASED, Recipe, Weight, copy_recipe, weights

EVERY = [recipe for recipes in RECIPES.values() for recipe in recipes]
NF4_BF16, NF4_INT8 = RECIPES["nf4"]
INT8 = RECIPES["int8"][-1]


@pytest.fixture(scope="module")
def released() -> dict[str, Any]:
    config = plan.released_config(RELEASED)
    assert config is not None
    return config


def test_the_released_config_adds_up_to_the_published_parameters(released: dict[str, Any]) -> None:
    count = Counter[str]()
    for weight in weights(released):
        count[weight.group] += math.prod(weight.shape)
    buffers = 60  # layer_scalar is no parameter
    assert count.total() - buffers == 25_250_986_752
    assert count["experts"] == 22_837_985_280
    assert count["attention"] == 1_110_179_840
    assert count["dense"] == 535_265_280
    assert count["embeddings"] == 738_197_504
    assert plan.active_parameters(released) == pytest.approx(3.84e9, rel=1e-3)


def test_every_tensor_has_a_name_of_its_own(released: dict[str, Any]) -> None:
    names = [weight.name for weight in weights(released)]
    assert len(names) == len(set(names)) == 691  # the release's 1,047 without 356 that see images


@pytest.mark.parametrize(
    ("recipe", "gigabytes"),
    [("bf16", 50.50), ("int8", 26.09), ("nf4", 17.67)],
)
def test_the_model_takes_what_the_byte_table_says(
    released: dict[str, Any], recipe: str, gigabytes: float
) -> None:
    assert plan.plan(released, RECIPES[recipe][0]).model / 1e9 == pytest.approx(gigabytes, abs=0.01)


def test_nf4_experts_with_int8_attention_take_16_gigabytes(released: dict[str, Any]) -> None:
    needs = plan.plan(released, NF4_INT8)
    assert needs.groups["experts"] == 22_837_985_280 // 2 + 22_837_985_280 // BLOCK * 4
    assert needs.model / 1e9 == pytest.approx(16.03, abs=0.01)


def test_logits_are_three_tensors_whatever_the_rows(released: dict[str, Any]) -> None:
    needs = plan.plan(released, NF4_INT8)
    assert needs.logits == 3 * 4 * 256 * 262_144
    assert needs.needs(5) - needs.needs(4) == needs.draft + needs.context


def test_the_context_is_counted_as_the_cache_keeps_it(released: dict[str, Any]) -> None:
    short, long = (plan.plan(released, NF4_INT8, context=tokens).context for tokens in (1024, 8192))
    assert short == 1024 * (204_800 + 20_480)
    assert long - short == (8192 - 1024) * 20_480  # the sliding layers' window is full


@pytest.mark.parametrize(
    ("card", "precision", "experts", "linears"),
    [
        (24, "nf4", "nf4", "int8"),
        (28, "nf4", "nf4", "bf16"),
        (32, "int8", "int8", "int8"),
        (48, "int8", "int8", "int8"),
        (80, "bf16", "bf16", "bf16"),
    ],
)
def test_auto_takes_the_most_exact_precision_that_leaves_room(
    released: dict[str, Any], card: int, precision: str, experts: str, linears: str
) -> None:
    recipe, rows, reason = plan.choose(released, "auto", card * GIB)
    assert (recipe.precision, recipe.experts, recipe.linears) == (precision, experts, linears)
    assert rows >= plan.AUTO_ROWS
    assert f"{rows} drafts at once" in reason


def test_a_24_gigabyte_card_takes_the_wall_in_rows_of_seven(released: dict[str, Any]) -> None:
    assert plan.choose(released, "auto", 24 * GIB)[1] == 7


def test_what_fits_grows_with_the_card_and_never_overflows_it(released: dict[str, Any]) -> None:
    for recipe in EVERY:
        needs = plan.plan(released, recipe)
        rows = [needs.rows_in(card * GIB - RESERVE) for card in (8, 16, 24, 32, 48, 80, 141)]
        assert rows == sorted(rows)
        for card, count in zip((8, 16, 24, 32, 48, 80, 141), rows, strict=True):
            assert not count or needs.needs(count) <= card * GIB - RESERVE


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_too_small_a_card_is_told_the_options(released: dict[str, Any], precision: str) -> None:
    with pytest.raises(LoadError, match=r"12.0 GiB of free memory.* nf4 20.9 GiB.*close what else"):
        plan.choose(released, precision, 12 * GIB)


def test_a_precision_that_does_not_fit_names_one_that_does(released: dict[str, Any]) -> None:
    with pytest.raises(LoadError, match=r"too little for bf16.*Please choose --precision nf4"):
        plan.choose(released, "bf16", 24 * GIB)


def test_too_small_a_card_for_a_quantized_copy_names_no_precision_that_it_would_refuse(
    released: dict[str, Any],
) -> None:
    for recipe, way in (
        (NF4_INT8, "close what else uses the GPU"),
        (INT8, "load what it was made from at --precision nf4"),
    ):
        copy = released | {COPY: {"format": FORMAT, "recipe": recipe.key, "block": BLOCK}}
        free = plan.plan(copy, recipe).needs(1)
        with pytest.raises(LoadError, match=f"too little for this quantized copy.*Please {way}"):
            plan.choose(copy, "auto", free, recipe)


def test_a_quantized_copy_leaves_no_choice(released: dict[str, Any]) -> None:
    copy = released | {COPY: {"format": FORMAT, "recipe": NF4_INT8.key, "block": BLOCK}}
    made = copy_recipe(copy)
    assert made == NF4_INT8
    assert plan.choose(copy, "auto", 80 * GIB, made)[0] == NF4_INT8


@pytest.mark.parametrize(
    "said", [{}, "nf4", {"format": 2}, {"format": FORMAT, "block": BLOCK, "recipe": "x"}]
)
def test_a_copy_of_another_version_is_refused(said: Any) -> None:
    with pytest.raises(LoadError, match="another version of DGemma Play: make a new one"):
        copy_recipe({COPY: said})


@pytest.mark.parametrize(
    ("kind", "size"),
    [("fp32", 4 * 3 * 128 * 96), ("bf16", 2 * 3 * 128 * 96), ("int8", 3 * (128 * 96 + 128 * 4))],
)
def test_a_stack_of_experts_is_counted_by_format(kind: str, size: int) -> None:
    assert Weight("w", (3, 128, 96), "experts").bytes(kind) == size


def test_no_recipe_quantizes_what_must_stay_exact() -> None:
    for recipe in EVERY:
        assert {recipe.kind(group) for group in ("embeddings", "other")} <= {"fp32", "bf16"}
        assert recipe.linears != "nf4", "nf4 attention costs 2.5 times the error of nf4 experts"


@pytest.mark.parametrize(
    ("text", "size"), [("24GB", 24 * GIB), ("24 GiB", 24 * GIB), ("24", 24 * GIB), (" 7.5gb ", 7.5 * GIB)]
)
def test_memory_is_read_as_a_card_is_sold(text: str, size: float) -> None:
    assert plan.parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "0", "-3GB", "many", "24TB", "1e9", "nan", "9" * 40])
def test_other_memory_is_refused(text: str) -> None:
    with pytest.raises(LoadError, match="--memory must be a card's size such as 24GB"):
        plan.parse_memory(text)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({}, "another architecture"),
        ({"model_type": "llama"}, r"another architecture \(llama\)"),
        ({"model_type": "diffusion_gemma"}, "damaged"),
        ({"model_type": "diffusion_gemma", "text_config": {"layer_types": ["full_attention"]}}, "vocab_size"),
    ],
)
def test_a_config_that_is_not_ours_is_refused(config: dict[str, Any], why: str) -> None:
    with pytest.raises(LoadError, match=why):
        plan.plan(config, NF4_INT8)


def table(*arguments: Any) -> str:
    out = io.StringIO()
    plan_table.show(Console(file=out, width=200), *arguments)
    return out.getvalue()


def test_the_table_shows_every_recipe_and_the_choice() -> None:
    text = table(RELEASED, "24GB")
    for name in ("fp32", "bf16", "int8", "nf4 + bf16", "nf4 + int8"):
        assert name in text
    assert "drafts, 24 GiB" in text
    assert "nf4: experts in 4 bits; attention in 8" in text
    assert "21.3" in text, "GiB of int8 experts"


def test_the_table_of_too_small_a_card_ends_in_what_to_do() -> None:
    assert "too little for this model" in table(RELEASED, "8GB")


def test_the_plan_of_a_small_model_is_told_in_smaller_units() -> None:
    assert "MiB" in table(str(ASSETS / "embedded"), "8GB")


@pytest.mark.parametrize("name", ["models/[v2]/x", "[/b]", "[red]"])
def test_a_models_name_is_no_markup(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(name)
    folder.mkdir(parents=True)
    shutil.copyfile(ASSETS / "embedded" / "config.json", folder / "config.json")
    assert table(name, "8GB").startswith(f"{name}, MiB by precision")


def test_in_place_of_the_embedded_model_the_released_one_is_planned() -> None:
    assert table("embedded", "24GB") == table(RELEASED, "24GB")


def test_without_a_named_card_the_gpu_that_would_be_used_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text('#!/bin/sh\ncase "$*" in *--id=1) echo 23040;; *) echo 81920;; esac\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert "drafts, 22.5 GiB" in table(RELEASED)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert "drafts, 80 GiB" in table(RELEASED)


def test_the_plan_needs_neither_torch_nor_network() -> None:
    code = (
        "import sys; from rich.console import Console; from dgemma_play.plan_table import show;"
        f"show(Console(), {RELEASED!r}, '24GB');"
        "print(*{'torch', 'transformers', 'huggingface_hub'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


def test_a_plan_is_made_of_a_folder_too() -> None:
    needs = plan.plan(config_of("embedded"), Recipe("fp32", "fp32", "fp32", "fp32", ""))
    assert needs.scratch == 0
    assert needs.model > 0
