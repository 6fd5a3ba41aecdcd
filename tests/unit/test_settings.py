"""The table of knobs: every entry is walked, everything outside it is refused by name."""

from __future__ import annotations

import argparse

import pytest

from dgemma_play.errors import InputError
from dgemma_play.settings import FALLBACKS, KNOBS, Settings, add_arguments, check_prompt, from_arguments

NO_NUMBERS = [float("nan"), float("inf"), float("-inf"), True, "1", [1], {}, 1j, 10**400, 10**5000]


@pytest.mark.parametrize("name", KNOBS)
def test_every_knob_accepts_both_ends_of_its_range(name: str) -> None:
    knob = KNOBS[name]
    low = knob.low + 1e-9 if knob.above else knob.low
    for value in (low, knob.high):
        assert getattr(Settings.from_dict({name: value}), name) == value


@pytest.mark.parametrize("name", KNOBS)
def test_every_knob_refuses_what_lies_outside_and_says_so(name: str) -> None:
    knob = KNOBS[name]
    beyond = [
        knob.low - 1,
        knob.high + 1,
        *([knob.low] if knob.above else []),
        *([2.5] if knob.whole else []),
    ]
    for value in [*NO_NUMBERS, *beyond]:
        with pytest.raises(InputError) as refusal:
            Settings.from_dict({name: value})
        assert str(refusal.value).startswith(f"{name} must be {knob.range}, got ")
        assert len(str(refusal.value)) < 250


@pytest.mark.parametrize("name", KNOBS)
def test_every_knob_explains_itself_in_a_sentence(name: str) -> None:
    assert KNOBS[name].help[0].isupper()
    assert KNOBS[name].help.endswith(".")


def test_a_whole_number_may_come_as_a_float() -> None:
    settings = Settings(steps=12.0)  # pyright: ignore[reportArgumentType]: as JSON and sliders send it
    assert settings.steps == 12
    assert isinstance(settings.steps, int)


def test_drafts_always_have_a_number() -> None:
    with pytest.raises(InputError, match="drafts must be"):
        Settings(drafts=None)  # pyright: ignore[reportArgumentType]


def test_the_schedule_never_rises() -> None:
    with pytest.raises(InputError, match=r"t_min must not be above t_max, got t_min 0.9 and t_max 0.5"):
        Settings(t_min=0.9, t_max=0.5)
    assert Settings(t_min=0.5, t_max=0.5).t_max == 0.5


def test_unset_fields_take_the_checkpoint_then_transformers() -> None:
    resolved = Settings(steps=9).resolve({"steps": 20, "t_max": 1.0, "t_min": 0.6})
    assert (resolved.steps, resolved.t_max, resolved.t_min) == (9, 1.0, 0.6)
    assert resolved.entropy_bound == FALLBACKS["entropy_bound"]


def test_the_fallbacks_are_those_of_transformers() -> None:
    from transformers.models.diffusion_gemma.generation_diffusion_gemma import DiffusionGemmaGenerationConfig

    theirs = DiffusionGemmaGenerationConfig._get_default_generation_params()
    theirs["entropy_bound"] = theirs.pop("sampler_config").entropy_bound
    theirs["steps"] = theirs.pop("max_denoising_steps")
    assert theirs == FALLBACKS


def test_one_end_of_the_schedule_moves_the_other_rather_than_refusing() -> None:
    assert Settings(t_max=0.3).resolve({"t_min": 0.6, "t_max": 1.0}).t_min == 0.3
    assert Settings(t_min=1.5).resolve({"t_min": 0.6, "t_max": 1.0}).t_max == 1.5


def test_draft_k_has_seed_plus_k_and_no_seed_is_drawn_twice() -> None:
    assert Settings(seed=40, drafts=3).resolve({}).seeds() == (40, 41, 42)
    assert Settings().resolve({}).seed != Settings().resolve({}).seed


def test_a_misspelt_setting_is_refused_not_ignored() -> None:
    with pytest.raises(InputError, match="There is no setting called 'step'"):
        Settings.from_dict({"step": 3})


def test_settings_survive_the_command_line() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    given = parser.parse_args(["--drafts", "3", "--t-max", "0.9", "--seed", "4294967295"])
    assert from_arguments(given) == Settings(drafts=3, t_max=0.9, seed=2**32 - 1)
    with pytest.raises(InputError, match="steps must be a whole number from 1 to 128, got 'many'"):
        from_arguments(parser.parse_args(["--steps", "many"]))


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("", "The prompt is empty"),
        (" \n\t", "The prompt is empty"),
        (None, "must be text"),
        (b"bytes", "must be text"),
        (7, "must be text"),
        ([], "must be text"),
        (["hello"], "needs a role"),
        ([{"role": "wizard", "content": "x"}], "needs a role"),
        ([{"role": "user", "content": 3}], "content must be text"),
        ([{"role": "user", "content": ""}], "The prompt is empty"),
        ("half a \ud83d", "half a character"),
    ],
)
def test_a_prompt_without_text_is_refused(prompt: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        check_prompt(prompt)


def test_a_string_is_one_user_message() -> None:
    assert check_prompt("hi") == ({"role": "user", "content": "hi"},)
