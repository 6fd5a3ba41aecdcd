"""Train the embedded checkpoint: `python -m dgemma_play.training.train --minutes 90 --out runs/embedded`.

One command, fixed seeds. It uses a GPU where there is one, else one thread per process on the CPU.
Two processes may train side by side and *gossip*: every few steps each publishes its weights and moves
half-way to the other's latest. Nobody waits, so a busy core does not stall the other.

The run folder holds the corpus, `state.<process>.pt` (weights, optimisers, clock, generators) and
`checkpoint/`: on the way the weights of the first process, at the end the mean of all.
`--resume` goes on from the state; with larger `--minutes` it trains further. `--from` starts from the
weights of a finished checkpoint, whose tokens keep their rows wherever they stand in the new vocabulary. With
`--practice` a part of the steps is on passes of a model's own drafts: see `practice`.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.multiprocessing.spawn import spawn
from transformers import DiffusionGemmaForBlockDiffusion, PreTrainedTokenizerFast

from dgemma_play.training import corpus, model, objective, passes, tokenizer
from dgemma_play.training.forward import TrainingForward
from dgemma_play.training.gossip import Gossip
from dgemma_play.training.optim import Muon
from dgemma_play.training.passes import Passes

_REPORT_STEPS = 250
_GOSSIP_STEPS = 10
_GPU_BATCH = 24  # see `Plan.batch`: smaller ones leave a GPU waiting for its launches


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run."""

    out: Path
    minutes: float = 90.0
    examples: int = 240_000
    processes: int = 1
    seed: int = 0
    matrix_lr: float = 0.012
    other_lr: float = 4e-3
    peak: float = 1.0  # of these learning rates: less for a run that only finishes another's weights
    warmup: int = 100  # steps
    hold: float = 0.25  # share of the time at full learning rate, before it falls linearly
    save_minutes: float = 5.0
    batch: int | None = None  # times the batches of `corpus.SHAPES`; by default 1, on a GPU 24
    compiled: bool = True
    resume: bool = False
    start: Path | None = None
    practice: Sequence[Path] = ()  # files of passes: see `practice`
    recipe: objective.Recipe = field(default_factory=objective.Recipe)

    def rate(self, progress: float, step: int) -> float:
        """Learning rate as a share of its full value: warm-up, hold, linear to one hundredth."""
        falling = 1.0 if progress < self.hold else (1 - progress) / (1 - self.hold)
        return self.peak * min(1.0, (step + 1) / self.warmup) * max(0.01, falling)


class Trainer:
    """One training process: model, optimisers, batches, clock."""

    def __init__(self, plan: Plan, rank: int, device: torch.device) -> None:
        """Load the corpus, make the model (or take it from `plan.start` or the state)."""
        self.plan, self.rank, self.device = plan, rank, device
        self.tokenizer, buckets, held_out = corpus.load(plan.out)
        times = plan.batch or (_GPU_BATCH if device.type == "cuda" else 1)
        self.buckets = [_on(device, bucket, times) for bucket in buckets]
        self.held_out = _on(device, held_out, times)
        self.worth = corpus.worth(self.buckets, len(self.tokenizer)).to(device)
        self.practice = [group.to(device) for group in passes.load(plan.practice, self.tokenizer)]
        torch.manual_seed(plan.seed)  # the same start in every process
        self.model: Any = model.create(len(self.tokenizer))
        if plan.start is not None:
            trained = DiffusionGemmaForBlockDiffusion.from_pretrained(plan.start, dtype=torch.float32)
            known = tokenizer.tokens(PreTrainedTokenizerFast.from_pretrained(plan.start))
            model.take_over(self.model, tokenizer.tokens(self.tokenizer), trained, known)
        self.model.to(device)
        self.forward = TrainingForward(self.model, torch.bfloat16, plan.compiled)
        self.muon, self.adam = optimisers(self.model, plan)
        self.weights = list(model.parameters(self.model).values())
        self.step, self.seconds, self.seen = 0, 0.0, 0
        torch.manual_seed(plan.seed + 1000 * rank)
        self.rng = random.Random(plan.seed + 1000 * rank)
        if plan.resume:
            self._restore()
        self._order = [torch.empty(0, dtype=torch.long) for _ in self.buckets]

    @property
    def progress(self) -> float:
        """Share of the planned time that is used, 0-1."""
        return min(1.0, self.seconds / (60 * self.plan.minutes))

    def warm_up_shapes(self) -> None:
        """Compile every shape with and without self-conditioning, without changing a weight."""
        for bucket in self.buckets:
            rows = bucket.rows[: bucket.batch].long()
            for self_conditioned in (False, True):
                objective.loss(
                    self.forward, rows, bucket.prompt, self.plan.recipe, self_conditioned, self.worth
                ).backward()
        for group in self.practice:
            objective.practice_loss(self.forward, self._some(group), self.plan.recipe).backward()
        self._clear()

    def train_step(self) -> Tensor:
        """One step on one batch; returns its loss in nats, 0-d on the device: nobody waits for it here."""
        rate = self.plan.rate(self.progress, self.step)
        for optimiser in (self.muon, self.adam):
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * rate
        loss, seen = self._loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.muon.step()
        self.adam.step()
        self._clear()
        self.step += 1
        self.seen += seen
        return loss.detach()

    def _loss(self) -> tuple[Tensor, int]:
        """Loss of the next batch, and of how many examples it is."""
        recipe = self.plan.recipe
        if self.practice and self.rng.random() < recipe.practice:
            shares = [len(group) / self._batch_of(group) for group in self.practice]
            own = self._some(*self.rng.choices(self.practice, shares))
            return objective.practice_loss(self.forward, own, recipe), len(own)
        bucket, rows = self._batch()
        self_conditioned = self.rng.random() < recipe.self_conditioning
        loss = objective.loss(self.forward, rows, bucket.prompt, recipe, self_conditioned, self.worth)
        return loss, len(rows)

    def scores(self) -> str:
        """Cross-entropy and accuracy on held-out canvases at four noise levels, as one line."""
        bucket = self.held_out
        whole = len(bucket.rows) // bucket.batch * bucket.batch  # for a smaller last batch we would compile
        rows = bucket.rows[:whole]
        results = {
            level: objective.held_out(self.forward, rows, bucket.prompt, level, bucket.batch)
            for level in (0.3, 0.6, 0.9, 1.0)
        }
        told = [f"noise {level}: {ce:.3f}/{hit:.3f}" for level, (ce, hit) in results.items()]
        return "  ".join([*told, f"bf16 gradient: {self.gradient_agreement():.2f}"])

    def gradient_agreement(self) -> float:
        """Cosine of the matrices' gradients in bf16 with those in fp32, on one held-out batch.

        A sound trained model has 1.00 (a random one less). Weights that too high a learning rate has
        blown up answer a rounding with another gradient: their steps are noise, and lower rates do not
        heal them.
        """
        bucket, matrices, found = self.held_out, self.muon.param_groups[0]["params"], []
        rows = bucket.rows[: bucket.batch].long()
        # Named, for torch would ask the current accelerator, which may be a backend without generators.
        cards = [self.device] if self.device.type == "cuda" else []
        for dtype in (torch.float32, torch.bfloat16):
            with torch.random.fork_rng(cards):
                torch.manual_seed(5)
                forward = TrainingForward(self.model, dtype)
                loss = objective.loss(
                    forward, rows, bucket.prompt, self.plan.recipe, self_conditioned=False, worth=self.worth
                )
            gradients = torch.autograd.grad(loss, matrices, allow_unused=True)
            found.append(torch.cat([part.flatten() for part in gradients if part is not None]))
        return torch.nn.functional.cosine_similarity(*found, dim=0).item()

    def save(self) -> None:
        """Write the state of this process, and from rank 0 the checkpoint; each file replaced at once."""
        state = {
            "model": self.model.state_dict(),
            "muon": self.muon.state_dict(),
            "adam": self.adam.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "seen": self.seen,
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all(),
            "python_rng": self.rng.getstate(),
        }
        target = self.plan.out / f"state.{self.rank}.pt"
        torch.save(state, target.with_suffix(".part"))
        target.with_suffix(".part").replace(target)
        if self.rank == 0:
            model.export(self.model, self.tokenizer, self.plan.out / "checkpoint")

    def _restore(self) -> None:
        state = torch.load(self.plan.out / f"state.{self.rank}.pt", weights_only=False)
        self.model.load_state_dict(state["model"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.step, self.seconds, self.seen = state["step"], state["seconds"], state["seen"]
        torch.set_rng_state(state["torch_rng"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        self.rng.setstate(state["python_rng"])

    def _batch(self) -> tuple[corpus.Bucket, Tensor]:
        """The next batch; rows are shuffled anew in every epoch.

        Buckets come in proportion to their batches, short canvases more often: they cost little and
        teach best what all need, to carry a word over from the prompt.
        """
        shares = [len(b.rows) / b.batch * corpus.CANVAS / b.canvas for b in self.buckets]
        index = self.rng.choices(range(len(self.buckets)), shares)[0]
        bucket = self.buckets[index]
        if len(self._order[index]) < bucket.batch:
            self._order[index] = torch.randperm(len(bucket.rows)).to(self.device)
        chosen, self._order[index] = self._order[index].tensor_split([bucket.batch])
        return bucket, bucket.rows[chosen].long()

    def _some(self, group: Passes) -> Passes:
        """A batch of passes, drawn at random."""
        size = (self._batch_of(group),)
        return group.select(torch.randint(len(group), size, device=self.device))

    def _batch_of(self, group: Passes) -> int:
        """As many passes as the corpus has rows of their shape in a batch."""
        shape = (group.width, group.canvases.shape[1])
        return next(bucket.batch for bucket in self.buckets if (bucket.prompt, bucket.canvas) == shape)

    def _clear(self) -> None:
        # None rather than zero: a weight that a step does not reach keeps its momentum untouched.
        self.muon.zero_grad(set_to_none=True)
        self.adam.zero_grad(set_to_none=True)


def _on(device: torch.device, bucket: corpus.Bucket, times: int) -> corpus.Bucket:
    """The bucket's rows on the device, in batches so many times larger, though none larger than all rows."""
    return replace(bucket, rows=bucket.rows.to(device), batch=min(times * bucket.batch, len(bucket.rows)))


def optimisers(network: Any, plan: Plan) -> tuple[Muon, torch.optim.AdamW]:
    """Muon for the matrices inside the layers; AdamW for embedding, norms and router."""
    matrices, others = [], []
    for name, weight in model.parameters(network).items():
        inner = weight.ndim >= 2 and not any(part in name for part in ("embed", "lm_head", "router"))
        (matrices if inner else others).append(weight)
    muon = Muon(matrices, lr=plan.matrix_lr)
    adam = torch.optim.AdamW(others, lr=plan.other_lr, betas=(0.9, 0.98), weight_decay=0.0)
    for optimiser in (muon, adam):
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return muon, adam


def run(rank: int, plan: Plan, gossip: Gossip) -> None:
    """Train until the planned time is used; rank 0 reports."""
    if rank > 0:
        os.nice(10)  # the second process takes only what others leave
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    torch._dynamo.config.recompile_limit = 64  # three shapes, with and without gradient
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(plan, rank, device)
    console = Console(log_path=False)
    if rank == 0:
        shapes = [(b.prompt, b.canvas, len(b.rows)) for b in trainer.buckets]
        count = sum(weight.numel() for weight in trainer.weights)
        console.log(f"{count:,} parameters, {len(trainer.tokenizer)} tokens, rows per bucket {shapes}")
    trainer.warm_up_shapes()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=rank > 0 or not console.is_terminal) as bar:
        task = bar.add_task("training", total=1.0)
        losses: list[Tensor] = []
        saved = trainer.seconds
        begun = time.monotonic() - trainer.seconds
        while trainer.progress < 1:
            loss = trainer.train_step()
            if rank == 0:
                losses.append(loss)
            trainer.seconds = time.monotonic() - begun
            bar.update(task, completed=trainer.progress)
            if plan.processes > 1 and trainer.step % _GOSSIP_STEPS == 0:
                gossip.publish(rank, trainer.weights)
                gossip.approach(rank, trainer.weights)
            if trainer.step % _REPORT_STEPS == 0 and rank == 0:
                mean, cpu = torch.stack(losses).mean().item(), time.process_time() / 60
                bar.update(task, description=f"loss {mean:.3f}")
                console.log(
                    f"step {trainer.step}  {trainer.seconds / 60:.1f} min (cpu {cpu:.1f})"
                    f"  examples {trainer.seen:,}  loss {mean:.3f}"
                )
                losses.clear()
            if trainer.seconds - saved > 60 * plan.save_minutes:
                saved = trainer.seconds
                trainer.save()
                if rank == 0:
                    console.log(trainer.scores())
    gossip.publish(rank, trainer.weights)
    trainer.save()
    if rank == 0:
        console.log(f"{trainer.scores()}  steps {trainer.step}  examples {trainer.seen:,}")


def export_mean(plan: Plan) -> None:
    """Make the checkpoint of a run that is done: the mean of its processes' last weights."""
    words, _, _ = corpus.load(plan.out)
    files = [plan.out / f"state.{rank}.pt" for rank in range(plan.processes)]
    states = [torch.load(file, map_location="cpu", weights_only=False)["model"] for file in files]
    network = model.create(len(words))
    network.load_state_dict({name: sum(state[name] for state in states) / len(states) for name in states[0]})
    model.export(network, words, plan.out / "checkpoint")


def parse(arguments: list[str] | None = None) -> Plan:
    """The plan that a command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m dgemma_play.training.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/embedded"), help="run folder")
    parser.add_argument("--minutes", type=float, default=Plan.minutes, help="wall time of the whole run")
    parser.add_argument("--examples", type=int, default=Plan.examples, help="size of the corpus")
    parser.add_argument("--processes", type=int, default=Plan.processes, help="gossiping processes")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--save-minutes", type=float, default=Plan.save_minutes)
    parser.add_argument("--peak", type=float, default=Plan.peak, help="share of the usual learning rates")
    parser.add_argument("--batch", type=int, help="times the usual batches, by default 1, on a GPU 24")
    parser.add_argument("--no-compile", dest="compiled", action="store_false")
    parser.add_argument("--resume", action="store_true", help="go on from the run folder's state")
    parser.add_argument(
        "--practice",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        help="files of own passes, see `practice`; again with --resume",
    )
    parser.add_argument("--from", dest="start", type=Path, help="start from this checkpoint's weights")
    return Plan(**vars(parser.parse_args(arguments)))


def main() -> None:
    """Prepare the corpus, then train with the planned number of processes."""
    plan = parse()
    words, _, _ = corpus.prepare(plan.out, plan.examples, plan.seed)
    size = sum(weight.numel() for weight in model.parameters(model.create(len(words))).values())
    gossip = Gossip(plan.processes, size)
    if plan.processes == 1:
        run(0, plan, gossip)
    else:
        spawn(run, (plan, gossip), nprocs=plan.processes)
        export_mean(plan)


if __name__ == "__main__":
    main()
