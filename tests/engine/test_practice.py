"""The model's own drafts as training rows: which are kept, what a row says, and that training takes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dgemma_play import Settings, Trace, denoise
from dgemma_play.trace import PLANES, RIVALS, Track
from dgemma_play.training import corpus, objective, passes, practice, tokenizer, train
from dgemma_play.training.evaluate import Draft
from dgemma_play.training.forward import TrainingForward
from dgemma_play.training.model import CANVAS
from dgemma_play.training.passes import Passes
from dgemma_play.training.probes import Probe
from dgemma_play.training.tokenizer import EOS, PAD

PROMPT = "Write a short story about a fox."
SHORT, LONG = (prompt for prompt, canvas, _ in corpus.SHAPES if canvas == CANVAS)


def made_track(*blocks: Sequence[list[int]], skip: int | None = None) -> Track:
    """A track whose guess after a pass is the canvas that it leaves: each canvas a few ids, then filler.

    Of the steps `skip` is not recorded.
    """
    rows = [
        (block, step, [*ids, *[50] * (CANVAS - len(ids))])
        for block, canvases in enumerate(blocks)
        for step, ids in enumerate(canvases)
        if step != skip
    ]
    canvas_ids = np.array([ids for _, _, ids in rows], np.int32)
    planes: dict[str, Any] = {
        name: np.zeros((*canvas_ids.shape, RIVALS) if per_rival else canvas_ids.shape, dtype)
        for name, (dtype, per_rival) in PLANES.items()
    }
    planes["best_ids"] = canvas_ids
    return Track(
        seed=0,
        settings=Settings(),
        ended="eos",
        text="",
        steps_used=len(rows),
        block=np.array([block for block, _, _ in rows], np.int32),
        step=np.array([step for _, step, _ in rows], np.int32),
        temperature=np.array([1 - step / 10 for _, step, _ in rows], np.float32),
        seconds=np.zeros(len(rows), np.float32),
        canvas_ended=("",) * len(rows),
        canvas_ids=canvas_ids,
        **planes,
    )


def starts(ids: torch.Tensor, count: int = 2) -> list[list[int]]:
    return ids[:, :count].tolist()


def test_a_pass_reads_a_canvas_and_is_fed_back_the_guess_about_the_one_before() -> None:
    track = made_track([[90, 91], [11, 92], [11, 93], [11, 12]])
    (found,) = passes.of_track(track, [7, 8, 9])
    assert starts(found.previous) == [[90, 91], [11, 92]]
    assert starts(found.canvases) == [[11, 92], [11, 93]]
    assert starts(found.targets) == [[11, 12]] * 2
    assert found.temperatures.tolist() == pytest.approx([0.9, 0.8])
    assert found.prompts.tolist() == [[PAD] * (SHORT - 3) + [7, 8, 9]] * 2


def test_a_pass_that_was_fed_back_the_whole_text_has_nothing_to_learn() -> None:
    track = made_track([[90, 91], [11, 92], [11, 12], [11, 12], [11, 12]])
    (found,) = passes.of_track(track, [7])
    assert starts(found.canvases) == [[11, 92]]


def test_nothing_counts_behind_the_end_of_the_text() -> None:
    track = made_track([[90, 91, 92], [93, EOS, 94], [11, EOS, 95], [11, EOS, 96]])
    (found,) = passes.of_track(track, [7])
    assert found.targets.tolist() == [[11] + [EOS] * (CANVAS - 1)]
    assert starts(found.canvases) == [[93, EOS]]


def test_where_a_step_was_not_recorded_no_pass_is_made_up() -> None:
    track = made_track([[90, 91], [11, 92], [11, 93], [11, 94], [11, 12]], skip=2)
    (found,) = passes.of_track(track, [7])
    assert starts(found.canvases) == [[11, 92]]


def test_a_second_canvas_has_the_first_in_its_prompt() -> None:
    track = made_track([[90], [91], [11]], [[92], [93], [12]])
    first, second = passes.of_track(track, [7, 8])
    assert (first.width, second.width) == (SHORT, LONG)
    assert second.prompts[0].tolist() == [PAD] * (LONG - 2 - CANVAS) + [7, 8, 11] + [50] * (CANVAS - 1)


def test_a_prompt_that_no_bucket_holds_is_left_out() -> None:
    assert not list(passes.of_track(made_track([[90], [91], [11]]), [7] * (LONG + 1)))


def test_a_pass_is_the_engines(loaded: Any) -> None:
    """The first guess of a real draft, which had no feedback, comes from the row that the track became."""
    (track,) = Trace.record(denoise(loaded, PROMPT, Settings(drafts=1, seed=3))).tracks
    found = next(passes.of_track(track, tokenizer.encode_prompt(loaded.tokenizer, PROMPT)))
    first = found.select(torch.tensor([0]))
    forward = TrainingForward(loaded.model)
    with torch.no_grad():
        hidden = forward(first.prompts, first.previous, first.prompts == PAD)
    assert forward.logits(hidden).argmax(-1)[0].tolist() == track.best_ids[1].tolist()


@pytest.mark.parametrize(
    ("text", "familiar", "good"),
    [
        ("A fox sat. A hen came. They ate. They slept.", 1.0, True),
        ("A fox sat. A hen came. They ate. They slept.", 0.98, False),
        ("A hen sat. A crow came. They ate. They slept.", 1.0, False),  # the fox is missing
        ("A fox sat. A fox came. They ate. They slept.", 1.0, False),  # it meets itself
        ("A fox sat. A owl came. They ate. They slept.", 1.0, False),  # an owl
        ("A fox sat.", 1.0, False),  # no story yet
    ],
)
def test_only_faultless_drafts_are_learnt_from(text: str, familiar: float, good: bool) -> None:
    assert practice.faultless(Draft(Probe("practice", "story", PROMPT, ("fox",)), text, 9, familiar)) is good


def test_signs_between_the_words_and_words_spelt_in_characters_are_not_learnt(loaded: Any) -> None:
    encode = loaded.tokenizer.encode
    text = "The fox sat."
    ids = encode(text, add_special_tokens=False)
    assert practice.spelt_plainly(loaded, text, [*ids, EOS])
    assert not practice.spelt_plainly(loaded, text, ids)
    assert not practice.spelt_plainly(loaded, text, [ids[0], PAD, *ids[1:], EOS])
    spelt = encode(" f", add_special_tokens=False) + loaded.tokenizer.convert_tokens_to_ids(["o", "x"])
    assert loaded.tokenizer.decode(spelt).strip() == "fox"
    assert not practice.spelt_plainly(loaded, text, [ids[0], *spelt, *ids[2:], EOS])


def test_drafts_are_written_and_judged(loaded: Any) -> None:
    familiar: Any = SimpleNamespace(share=lambda text, form: float("." in text))
    written = list(islice(practice.write(loaded, familiar, seed=1), 2))
    assert [one.drafts for one in written] == [8] * 2
    for one in written:
        assert one.faultless <= one.drafts
        assert bool(one.passes) == bool(one.faultless)
        assert len({group.targets[0].numpy().tobytes() for group in one.passes}) <= one.faultless
    nothing: Any = SimpleNamespace(share=lambda text, form: 0.5)
    assert not next(practice.write(loaded, nothing, seed=1)).passes


def made_passes(fast: Any, count: int, width: int = SHORT) -> Passes:
    generator = torch.Generator().manual_seed(count)
    ids = torch.randint(10, len(fast), (3, count, CANVAS), generator=generator).short()
    before = ids[0, :, :1].repeat(1, width)
    return Passes(before, ids[0], ids[1], ids[2], torch.rand(count, generator=generator))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    corpus.prepare(folder, 300, 0)
    return folder


def test_passes_come_back_from_their_files(run_folder: Path, tmp_path: Path) -> None:
    fast, _, _ = corpus.load(run_folder)
    wide, narrow = made_passes(fast, 2, LONG), made_passes(fast, 5)
    passes.save(tmp_path / "a.pt", fast, [wide, narrow])
    passes.save(tmp_path / "b.pt", fast, [wide])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.pt", "b.pt"]
    first, second = passes.load([tmp_path / "a.pt", tmp_path / "b.pt"], fast)
    for name, value in vars(narrow).items():
        assert torch.equal(getattr(first, name), value)
    for name, value in vars(wide).items():
        assert torch.equal(getattr(second, name), torch.cat([value, value]))


def test_in_another_vocabulary_passes_keep_their_words(tmp_path: Path) -> None:
    old = tokenizer.build(tokenizer.vocabulary([" a", " fox", " gone"]))
    new = tokenizer.build(tokenizer.vocabulary([" new", " fox", " a"]))

    def canvas(word: str, length: int = CANVAS) -> torch.Tensor:
        return torch.tensor([old.convert_tokens_to_ids([word] * length)]).short()

    prompts = canvas(" a", SHORT)
    noise = Passes(prompts, canvas(" a"), canvas(" gone"), canvas(" fox"), torch.ones(1))
    lost = Passes(prompts, canvas(" a"), canvas(" a"), canvas(" gone"), torch.ones(1))
    passes.save(tmp_path / "own.pt", old, [noise, lost])
    (found,) = passes.load([tmp_path / "own.pt"], new)
    assert len(found) == 1
    assert set(new.convert_ids_to_tokens(found.previous[0].tolist())) == {" a"}
    assert set(new.convert_ids_to_tokens(found.targets[0].tolist())) == {" fox"}
    assert len(found.canvases.unique()) > 10


def test_where_no_pass_of_a_width_is_in_the_vocabulary_that_width_is_left_out(tmp_path: Path) -> None:
    old = tokenizer.build(tokenizer.vocabulary([" a", " gone"]))
    new = tokenizer.build(tokenizer.vocabulary([" a"]))
    known, gone = (tokenizer.tokens(old).index(word) for word in (" a", " gone"))

    def of(width: int, target: int) -> Passes:
        prompts, canvas = torch.full((1, width), known).short(), torch.full((1, CANVAS), known).short()
        return Passes(prompts, canvas, canvas, torch.full_like(canvas, target), torch.ones(1))

    passes.save(tmp_path / "own.pt", old, [of(SHORT, known), of(LONG, gone)])
    (found,) = passes.load([tmp_path / "own.pt"], new)
    assert (found.width, len(found)) == (SHORT, 1)


def test_a_file_without_passes_or_of_another_shape_is_refused(run_folder: Path, tmp_path: Path) -> None:
    fast, _, _ = corpus.load(run_folder)
    passes.save(tmp_path / "empty.pt", fast, [])
    with pytest.raises(ValueError, match="no passes"):
        passes.load([tmp_path / "empty.pt"], fast)
    passes.save(tmp_path / "wide.pt", fast, [made_passes(fast, 1, SHORT + 1)])
    with pytest.raises(ValueError, match="another shape"):
        passes.load([tmp_path / "wide.pt"], fast)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_steps_practises(
    share: float, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, _, _ = corpus.load(run_folder)
    passes.save(tmp_path / "own.pt", fast, [made_passes(fast, 30), made_passes(fast, 30, LONG)])
    plan = train.Plan(
        out=run_folder,
        compiled=False,
        practice=[tmp_path / "own.pt"],
        recipe=objective.Recipe(practice=share),
    )
    trainer = train.Trainer(plan, 0, torch.device("cpu"))
    widths: list[int] = []

    def remember(_: Any, own: Passes, *rest: Any) -> torch.Tensor:
        widths.append(own.width)
        return torch.zeros((), requires_grad=True)

    monkeypatch.setattr(objective, "practice_loss", remember)
    monkeypatch.setattr(objective, "loss", lambda *_: torch.zeros((), requires_grad=True))
    for _ in range(60):
        trainer.train_step()
    assert abs(len(widths) - 60 * share) < 15
    assert not widths or 0.4 < widths.count(LONG) / len(widths) < 0.9  # two batches of three


def test_files_of_passes_may_be_named_together_or_one_by_one() -> None:
    one, other = Path("one.pt"), Path("other.pt")
    assert train.parse(["--practice", "one.pt", "other.pt"]).practice == [one, other]
    assert train.parse(["--practice", "one.pt", "--practice", "other.pt"]).practice == [one, other]
    assert train.parse([]).practice == []


def test_training_learns_what_it_practises(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One made-up pass over and over: the network then says its target."""
    fast, _, _ = corpus.load(run_folder)
    one = made_passes(fast, 1)
    passes.save(tmp_path / "own.pt", fast, [one] * 24)
    plan = train.Plan(
        out=run_folder,
        minutes=10,
        warmup=3,
        compiled=False,
        practice=[tmp_path / "own.pt"],
        recipe=objective.Recipe(practice=1.0),
    )
    trainer = train.Trainer(plan, 0, torch.device("cpu"))
    trainer.warm_up_shapes()
    losses = [trainer.train_step() for _ in range(12)]
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])
