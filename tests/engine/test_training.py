"""The training code: its forward equals transformers' modules, its run lowers the loss and resumes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DiffusionGemmaForBlockDiffusion, PreTrainedTokenizerFast

from dgemma_play.training import average, corpus, forward, model, objective, optim, tokenizer, train
from dgemma_play.training.forward import TrainingForward


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def network() -> Any:
    """A random model whose norms and scales are not all one."""
    torch.manual_seed(0)
    network = model.create(300).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 1:
                weight.add_(0.2 * torch.randn_like(weight))
    return network


@pytest.fixture(scope="module")
def ids() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randint(10, 300, (2, 12), generator=generator),
        torch.randint(10, 300, (2, model.CANVAS), generator=generator),
    )


@pytest.mark.parametrize("self_conditioned", [False, True])
@torch.no_grad()
def test_forward_equals_the_transformers_modules(
    network: Any, ids: tuple[Tensor, Tensor], self_conditioned: bool
) -> None:
    prompt, canvas = ids
    forward = TrainingForward(network)
    first = forward(prompt, canvas)
    expected = network(input_ids=prompt, decoder_input_ids=canvas).logits
    if self_conditioned:
        feedback = expected / 0.7
        soft, _, _ = forward.soft(first, torch.full((2, 1, 1), 0.7))
        first = forward(prompt, canvas, soft=soft)
        expected = network(
            input_ids=prompt, decoder_input_ids=canvas, self_conditioning_logits=feedback
        ).logits
    assert (forward.logits(first) - expected).abs().max() < 1e-4


def test_rows_by_expert_and_back_have_the_gradients_of_plain_indexing() -> None:
    """Tokens go to rows by expert and back; gradcheck compares with finite differences."""
    chosen = torch.tensor([[0, 2], [1, 2], [0, 1], [2, 0]])
    order = chosen.flatten().argsort(stable=True)
    tokens = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    rows = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: forward.Dispatch.apply(x, order, 2), tokens)
    assert torch.autograd.gradcheck(lambda x: forward.Combine.apply(x, order, 2), rows)
    summed = forward.Combine.apply(forward.Dispatch.apply(tokens, order, 2), order, 2)
    torch.testing.assert_close(summed, 2 * tokens)


def test_a_softmax_over_drawn_candidates_trains_like_the_whole_one(
    network: Any, ids: tuple[Tensor, Tensor]
) -> None:
    """Over sharp guesses: those of a random model are so flat that any drawing would do."""
    torch.manual_seed(0)
    prompt, canvas = ids
    training = TrainingForward(network)
    guessed = forward.Hidden(20 * training(prompt, canvas).canvas.detach(), torch.zeros(()))
    whole = training.loss(guessed, canvas)
    drawn = torch.stack([training.loss(guessed, canvas, candidates=200) for _ in range(100)]).mean()
    assert 0.9 < drawn / whole < 1  # the mean of a normaliser's logarithm is below the mean's logarithm
    table = network.get_input_embeddings().weight
    gradient, expected = (torch.autograd.grad(loss, table)[0].flatten() for loss in (drawn, whole))
    assert torch.cosine_similarity(gradient, expected, dim=0) > 0.985


def test_candidates_are_all_targets_and_stand_for_the_tokens_left_out() -> None:
    targets = torch.tensor([[3, 5, 5, 7]])
    drawn = forward.draw_candidates(targets, vocabulary=103, count=13)
    assert len(set(drawn.ids.tolist())) == 13
    assert {3, 5, 7} <= set(drawn.ids.tolist())
    weights = dict(zip(drawn.ids.tolist(), drawn.more.exp().tolist(), strict=True))
    assert [weights.pop(token) for token in (3, 5, 7)] == [1, 1, 1]
    assert list(weights.values()) == pytest.approx([10.0] * 10)


def test_where_not_every_target_surely_fits_the_whole_vocabulary_is_compared(
    network: Any, ids: tuple[Tensor, Tensor]
) -> None:
    prompt, canvas = ids
    training = TrainingForward(network)
    hidden = training(prompt, canvas)
    for candidates in (canvas.numel(), 300, 2048):
        assert torch.equal(training.loss(hidden, canvas, candidates), training.loss(hidden, canvas))


@torch.no_grad()
def test_padding_on_the_left_changes_nothing(network: Any, ids: tuple[Tensor, Tensor]) -> None:
    prompt, canvas = ids
    forward = TrainingForward(network)
    padded = torch.nn.functional.pad(prompt, (7, 0), value=tokenizer.PAD)
    plain = forward.logits(forward(prompt, canvas))
    assert (forward.logits(forward(padded, canvas, padded == tokenizer.PAD)) - plain).abs().max() < 1e-4


@torch.no_grad()
def test_the_prompt_does_not_see_the_canvas(network: Any) -> None:
    _, mask = TrainingForward(network).positions(3, 4, torch.device("cpu"))
    assert (mask[:3] == 0).sum(1).tolist() == [1, 2, 3]
    assert (mask[3:] == 0).all()


def test_an_infill_keeps_a_span_clean() -> None:
    torch.manual_seed(0)
    targets = torch.zeros(200, 20, dtype=torch.long)
    noisy = objective.noisy_positions(targets, torch.ones(200), infill=1.0)
    assert 0.3 < noisy.float().mean() < 0.7
    assert noisy.int().diff(dim=1).abs().sum(dim=1).max() <= 2
    assert objective.noisy_positions(targets, torch.ones(200), infill=0.0).all()


def test_a_share_of_the_noise_echoes_what_is_shown() -> None:
    torch.manual_seed(0)
    before = torch.tensor([[tokenizer.PAD, 5, 5, 5]]).expand(500, -1)
    canvas = torch.tensor([[6, 7, 7, 7]]).expand(500, -1)
    noisy = torch.tensor([[False, True, True, True]]).expand(500, -1)
    echoes = objective.corrupted(before, canvas, noisy, 10_000, echo=1.0)
    assert (echoes[:, 0] == 6).all()
    assert 0.3 < (echoes[:, 1:] == 5).float().mean() < 0.45  # three places of eight
    assert 0.08 < (echoes[:, 1:] == 6).float().mean() < 0.17  # one
    assert ((echoes == 7) | (echoes == tokenizer.PAD)).float().mean() < 0.01  # hidden, or padding
    plain = objective.corrupted(before, canvas, noisy, 10_000, echo=0.0)
    assert (plain[:, 1:] < 10).float().mean() < 0.01


class Remembering:
    """A forward that keeps what canvases it sees; each place has one entropy `[C]`, and all one choice."""

    config = SimpleNamespace(vocab_size=10_000)

    def __init__(self, entropy: Tensor, choice: int) -> None:
        self.canvases: list[Tensor] = []
        self._entropy, self._choice = entropy, choice

    def __call__(self, _: Tensor, canvas: Tensor, *rest: Any) -> Any:
        self.canvases.append(canvas)
        return SimpleNamespace(balance=0.0)

    def soft(self, *_: Any) -> tuple[None, Tensor, Tensor]:
        shape = self.canvases[-1].shape
        return None, self._entropy.expand(shape), torch.full(shape, self._choice)

    def loss(self, *_: Any) -> float:
        return 0.0


def test_noise_tells_of_the_text_what_the_prompt_does_not() -> None:
    torch.manual_seed(0)
    before, text = torch.arange(100, 140).expand(50, -1), torch.arange(120, 160).expand(50, -1)
    worth = torch.zeros(1000)
    worth[100:150] = 1.0  # 150 to 159 stand in every text

    def told(noise: Tensor) -> float:
        return ((noise >= 140) & (noise < 150)).float().sum(1).mean().item()

    chance = 40 * 10 / 1000
    assert told(objective.telling_noise(before, text, worth, draws=1)) == pytest.approx(chance, abs=0.25)
    telling = objective.telling_noise(before, text, worth, draws=200)
    assert told(telling) > 5 * chance
    assert len(telling.unique()) > 700  # the rest is as uniform as ever
    assert ((telling >= 100) & (telling < 140)).float().sum(1).mean() < 2.5  # by chance 1.6


def test_a_first_pass_is_of_telling_noise_alone_and_the_second_of_other_noise() -> None:
    torch.manual_seed(0)
    rows, worth = torch.arange(5000, 5024).expand(400, -1), torch.ones(10_000)
    forward: Any = Remembering(torch.ones(20), choice=0)
    recipe = objective.Recipe(starts=1.0, pure_noise=1.0, echo=0.0, infill=0.0)
    objective.loss(forward, rows, 4, recipe, self_conditioned=True, worth=worth)
    objective.loss(forward, rows, 4, recipe, self_conditioned=False, worth=worth)
    first, second, only = forward.canvases
    for pure in (first, only):
        shared = torch.isin(pure, rows[0, 4:]).float().sum(1)
        assert 1.0 < shared.mean() < 3.0  # by chance 0.04; the best of 512
    kept = (second == rows[:, 4:]).float().mean()
    assert 0.1 < kept < 0.2  # noise levels from 0.7 to 1
    assert (first == second).float().mean() < 0.01


def test_a_token_of_every_text_tells_nothing() -> None:
    end = tokenizer.EOS
    rows = torch.tensor([[9, 3, 4, end, end], [9, 3, 5, 5, end]], dtype=torch.int16)
    worth = corpus.worth([corpus.Bucket(1, 4, 2, rows)], vocabulary=10)
    assert worth[end] == 0
    assert worth[9] == worth[8] > worth[4] >= 0  # 9 stands in prompts only


def test_where_the_first_pass_is_sure_the_second_canvas_has_its_choice() -> None:
    torch.manual_seed(0)
    target, choice, sure = 7, 5, torch.arange(20) < 10

    forward: Any = Remembering(torch.where(sure, 0.0, 1.0), choice)
    recipe = objective.Recipe(by_confidence=1.0, starts=0.0, echo=0.0, infill=0.0, sure=0.1)
    rows = torch.full((400, 24), target)
    objective.loss(forward, rows, 4, recipe, self_conditioned=True, worth=torch.ones(10_000))
    second = forward.canvases[-1]
    assert (second[:, sure] == choice).float().mean() > 0.3
    assert (second[:, ~sure] == target).float().mean() > 0.05
    assert not (second[:, sure] == target).float().mean() > 0.01
    assert not (second[:, ~sure] == choice).float().mean() > 0.01


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.linalg.svdvals(optim.orthogonalise(torch.randn(3, 24, 64, generator=generator)))
    assert values.min() > 0.5
    assert values.max() < 1.5


def test_training_lowers_the_loss_and_resumes(tmp_path: Path) -> None:
    plan = train.Plan(out=tmp_path, minutes=10, examples=300, warmup=3, compiled=False)
    corpus.prepare(plan.out, plan.examples, plan.seed)
    trainer = train.Trainer(plan, 0, torch.device("cpu"))
    losses = [trainer.train_step() for _ in range(9)]
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    trainer.seconds = 30.0
    trainer.save()
    resumed = train.Trainer(train.Plan(out=tmp_path, resume=True, compiled=False), 0, torch.device("cpu"))
    assert (resumed.step, resumed.seconds) == (9, 30.0)
    for mine, theirs in zip(trainer.weights, resumed.weights, strict=True):
        assert torch.equal(mine, theirs)


def test_a_run_of_several_processes_ends_in_the_mean_of_their_weights(tmp_path: Path) -> None:
    plan = train.Plan(out=tmp_path, processes=2, compiled=False)
    corpus.prepare(plan.out, 300, plan.seed)
    trainers = [train.Trainer(plan, rank, torch.device("cpu")) for rank in range(2)]
    for trainer in trainers:
        trainer.train_step()
        trainer.save()
    train.export_mean(plan)
    ended = DiffusionGemmaForBlockDiffusion.from_pretrained(tmp_path / "checkpoint", dtype=torch.float32)
    first, second, mean = (
        model.parameters(network).values() for network in (*(t.model for t in trainers), ended)
    )
    assert not all(torch.equal(mine, theirs) for mine, theirs in zip(first, second, strict=True))
    for mine, theirs, both in zip(first, second, mean, strict=True):
        torch.testing.assert_close(both, ((mine + theirs) / 2).bfloat16().float())


def test_blown_up_weights_show_in_the_agreement_of_their_gradients(tmp_path: Path) -> None:
    """Attention that saturates answers a rounding with another gradient."""
    corpus.prepare(tmp_path, 300, 0)
    plan = train.Plan(out=tmp_path, start=Path(__file__).parents[2] / "assets" / "embedded", compiled=False)
    trainer = train.Trainer(plan, 0, torch.device("cpu"))
    random_state = torch.get_rng_state()
    assert trainer.gradient_agreement() > 0.95
    assert torch.equal(torch.get_rng_state(), random_state)
    with torch.no_grad():
        for name, weight in trainer.model.named_parameters():
            if name.endswith(("q_norm.weight", "k_norm.weight")):
                weight.mul_(8)
    assert trainer.gradient_agreement() < 0.9


def test_a_corpus_of_several_parts_is_drawn_by_processes_and_is_what_one_would_draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "_PART", 150)
    fast, buckets, _ = corpus.prepare(tmp_path, 250, seed=3)
    parts = ((150, "3.0"), (100, "3.150"))
    encoded = [corpus.encode(fast, corpus.draw(*part), seed=part[1]) for part in parts]
    for bucket, one, two in zip(buckets, *encoded, strict=True):
        assert torch.equal(bucket.rows, torch.cat([one.rows, two.rows]))


def test_layers_that_a_checkpoint_does_not_have_change_nothing_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = tokenizer.vocabulary([" a", " fox", " gone"])
    trained = model.create(len(tokens)).eval()
    monkeypatch.setattr(model, "LAYERS", model.LAYERS + 2)
    taken = model.create(len(tokens)).eval()
    model.take_over(taken, tokens, trained, tokens)
    ids = torch.randint(0, len(tokens), (2, 40), generator=torch.Generator().manual_seed(0))
    grown, known = (TrainingForward(network)(ids[:, :12], ids[:, 12:]).canvas for network in (taken, trained))
    assert len(taken.model.decoder.layers) == len(trained.model.decoder.layers) + 2
    assert torch.equal(grown, known)


def test_more_and_wider_experts_than_a_checkpoint_has_say_the_same_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = tokenizer.vocabulary([" a", " fox", " gone"])
    trained = model.create(len(tokens)).eval()
    for name, value in {"EXPERTS": 8, "TOP_EXPERTS": 2, "EXPERT_WIDTH": 128}.items():
        monkeypatch.setattr(model, name, value)
    taken = model.create(len(tokens)).eval()
    model.take_over(taken, tokens, trained, tokens)
    router = taken.model.decoder.layers[0].router.proj.weight
    assert len(router.unique(dim=0)) == len(router) == 8
    monkeypatch.setattr(model, "_ROUTER_SPREAD", 0.0)  # else a token between two experts takes one of each
    model.take_over(taken, tokens, trained, tokens)
    ids = torch.randint(0, len(tokens), (2, 40), generator=torch.Generator().manual_seed(0))
    grown, known = (TrainingForward(network)(ids[:, :12], ids[:, 12:]).canvas for network in (taken, trained))
    assert (grown - known).abs().max() < 1e-4


def test_a_token_keeps_its_trained_row_wherever_it_stands_in_a_new_vocabulary() -> None:
    old = tokenizer.vocabulary([" a", " fox", " gone"])
    new = tokenizer.vocabulary([" new", " fox", " words", " a", *(f" word_{index}" for index in range(100))])
    trained, taken = model.create(len(old)), model.create(len(new))
    model.take_over(taken, new, trained, old)
    for token in (" a", " fox", "<eos>", "x"):
        assert torch.equal(
            taken.lm_head.weight[new.index(token)], trained.lm_head.weight[old.index(token)]
        ), token
    fresh = [index for index, token in enumerate(new) if token not in old]
    others = {key: w for key, w in trained.state_dict().items() if w.shape != trained.lm_head.weight.shape}
    assert len(others) > 50
    assert all(torch.equal(taken.state_dict()[key], weight) for key, weight in others.items())
    spread = taken.lm_head.weight[fresh].std() / trained.lm_head.weight.std()
    assert spread.item() == pytest.approx(1, rel=0.2)


def test_a_mean_of_checkpoints_goes_by_token_and_by_share(tmp_path: Path) -> None:
    made = {}
    for name, words_known in {"new": [" fox", " a", " new"], "old": [" a", " gone", " fox"]}.items():
        made[name] = model.create(len(tokenizer.vocabulary(words_known)))
        model.export(made[name], tokenizer.build(tokenizer.vocabulary(words_known)), tmp_path / name)
    average.main([f"{tmp_path}/new=3", f"{tmp_path}/old=1", f"--out={tmp_path}/mean"])

    mean, new, old = (
        DiffusionGemmaForBlockDiffusion.from_pretrained(tmp_path / name, dtype=torch.float32)
        for name in ("mean", "new", "old")
    )
    tokens = {
        name: tokenizer.tokens(PreTrainedTokenizerFast.from_pretrained(tmp_path / name))
        for name in ("mean", "new", "old")
    }
    assert tokens["mean"] == tokens["new"]
    rows = {name: network.lm_head.weight for name, network in {"mean": mean, "new": new, "old": old}.items()}
    at = {name: {token: rows[name][index] for index, token in enumerate(tokens[name])} for name in rows}
    for token in (" fox", " a", "<eos>"):
        expected = 0.75 * at["new"][token] + 0.25 * at["old"][token]
        assert torch.allclose(at["mean"][token], expected, atol=1e-3)
    assert torch.equal(at["mean"][" new"], at["new"][" new"])
    inner = "model.decoder.layers.0.mlp.up_proj.weight"
    expected = 0.75 * new.state_dict()[inner] + 0.25 * old.state_dict()[inner]
    assert torch.allclose(mean.state_dict()[inner], expected, atol=1e-3)
