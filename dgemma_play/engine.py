"""denoise(): a prompt in, frames out. Encodes once, then runs N drafts block by block and pass by pass.

    prompt ──encode──► context ─┬─ draft 0: canvas, generator, last guess ─┐
                                ├─ draft 1                                 ├─► one decoder pass over the rows,
                                └─ draft 2 (waits for a free row)          ┘   then each draft's own step
                                                                              │
    Frame, Frame, Frame … ◄───────────── one copy to the host per pass ───────┘

A draft that ends its canvas leaves the batch at once, and one that waits takes its row. Blocks go in
lockstep: every draft ends block b before any begins b + 1, so all rows share one context length and nothing
is padded.

The engine knows nothing of pages, files or threads; its frames are NumPy. Exactness, draft by draft:

1. One step equals transformers' bit for bit (see `sampler`).
2. Draft k has the seed `seed + k`. With `rows=1` it equals `model.generate(…)` at batch 1 after
   `torch.manual_seed(seed + k)`, token for token and step for step, on a CPU in fp32 and bf16.
3. With more rows the law is the same, and the logits (-30 to 30) of one pass from the same state differ by at
   most 1e-4 in fp32 and 0.5 in bf16 on a CPU: matrix products over more rows, another thread count, experts
   with few tokens or a GPU can move the last bit, and with it, now and then, a token.

Where memory runs out, the run goes on with half the rows and says so in `Run.notes`: a step is taken whole or
not at all, so a draft that has to wait in mid-canvas writes what it would have written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import sampler, tokens
from .denoiser import Denoiser, TransformersDenoiser
from .errors import InputError
from .loading import Loaded
from .settings import Knob, Message, Resolved, Settings, check_prompt
from .tokens import TokenizerVocabulary
from .trace import RIVALS, Frame, ModelFacts, RunFacts, Vocabulary

ROWS = Knob(1, 2**16, True, "Most drafts that go through the model at once.")
STEP = Knob(0, 2**16, True, "The pass after which a start goes on.")


@dataclass(frozen=True, eq=False)
class Start:
    """What a draft begins from; the default is pure noise.

    `canvas_ids` [C] is the first canvas it begins with and `pinned` [C] bool the positions of it that never
    change (infill); the others begin as noise. `step` is the pass after which it goes on, `settings` and
    `seed` its own: `denoise` refuses these three so far.
    """

    canvas_ids: np.ndarray | None = None
    pinned: np.ndarray | None = None
    step: int = 0
    settings: Settings | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        canvas_ids = _plain(self.canvas_ids, "iu", "A start's canvas_ids must be one row of token ids.")
        pinned = _plain(
            self.pinned, "b", "A start's pinned must say True or False for each of its canvas_ids."
        )
        if pinned is not None and (canvas_ids is None or len(pinned) != len(canvas_ids)):
            raise InputError(
                "A start with pinned positions needs the canvas_ids that they hold, one for each."
            )
        STEP.check("step", self.step)
        if self.settings is not None and not isinstance(self.settings, Settings):
            raise InputError(f"A start's settings must be Settings, got {type(self.settings).__name__}.")
        if self.seed is not None:
            Settings(seed=self.seed)


def _plain(row: Any, kinds: str, refusal: str) -> np.ndarray | None:
    """`row` as an array of one dimension and one of the NumPy `kinds`; `None` stays. Raises `InputError`."""
    if row is None:
        return None
    try:
        array = np.asarray(row)
    except ValueError as error:
        raise InputError(refusal) from error
    if array.ndim != 1 or array.dtype.kind not in kinds or (kinds == "iu" and (array < 0).any()):
        raise InputError(refusal)
    return array


def denoise(
    loaded: Loaded,
    prompt: str | Sequence[Message],
    settings: Settings | None = None,
    starts: Sequence[Start] | None = None,
    rows: int | None = None,
) -> Run:
    """Denoise `settings.drafts` answers to `prompt`: one user message, or chat messages.

    `starts` say what each draft begins from (default: noise). At most `rows` drafts go through the model at
    once (default: what `loaded` says fits). Nothing is computed before the first frame is asked for, but all
    input is checked here: raises `InputError`.
    """
    messages = check_prompt(prompt)
    if not isinstance(settings, Settings | None):
        raise InputError(f"settings must be Settings, got {type(settings).__name__}: use Settings.from_dict.")
    resolved = (settings or Settings()).resolve(loaded.sampler_defaults)
    denoiser = TransformersDenoiser(loaded.model)
    if starts is not None:
        _check_starts(starts, resolved.drafts, denoiser)
    at_once: int = ROWS.check("rows", loaded.rows if rows is None else rows)
    facts = RunFacts(
        prompt=messages,
        model=ModelFacts(loaded.name, loaded.revision, loaded.precision, str(loaded.device), at_once),
        settings=resolved,
        canvas_length=loaded.canvas_length,
        eos_ids=loaded.eos_ids,
    )
    ids = tokens.encode_prompt(loaded.tokenizer, messages)
    answer = facts.blocks * facts.canvas_length
    if len(ids) + answer > loaded.context_length:
        raise InputError(
            f"The prompt has {len(ids)} tokens and the answer takes up to {answer}; together they must fit"
            f" the model's context of {loaded.context_length}. Shorten the prompt or lower max_new_tokens."
        )
    return Run(facts, ids, denoiser, TokenizerVocabulary(loaded.tokenizer), starts)


def _check_starts(starts: Sequence[Start], drafts: int, denoiser: Denoiser) -> None:
    """Raises `InputError` unless there is a supported start for every draft."""
    if len(starts) != drafts:
        raise InputError(f"starts must hold one for each of the {drafts} drafts, got {len(starts)}.")
    for start in starts:
        if start.step or start.settings is not None or start.seed is not None:
            raise InputError("A start can pin positions; leave out its step, settings and seed.")
        if start.canvas_ids is None:
            continue
        if start.pinned is None:
            raise InputError(
                "A start with canvas_ids must say which of them are pinned; the others are noise."
            )
        length, vocab_size = denoiser.canvas_length, denoiser.vocab_size
        if len(start.canvas_ids) != length:
            raise InputError(
                f"A start's canvas_ids must hold {length} token ids, got {len(start.canvas_ids)}."
            )
        if (start.canvas_ids >= vocab_size).any():
            raise InputError(f"A start's canvas_ids must be below {vocab_size}, the size of the vocabulary.")


class Run:
    """The frames of one run, as an iterator, with its facts and words; `Trace.record(run)` keeps them.

    `notes` are sentences on what happened on the way; `facts.model.rows` is what the run came down to.
    """

    def __init__(
        self,
        facts: RunFacts,
        prompt_ids: Sequence[int],
        denoiser: Denoiser,
        vocabulary: Vocabulary,
        starts: Sequence[Start] | None = None,
    ) -> None:
        self.facts = facts
        self.vocabulary = vocabulary
        self.notes: list[str] = []
        self._starts = starts or [Start()] * facts.settings.drafts
        self._stopped: set[int] = set()
        self._frames = self._denoise(denoiser, prompt_ids)

    def __iter__(self) -> Run:
        return self

    def __next__(self) -> Frame:
        return next(self._frames)

    def stop(self, draft: int | None = None) -> None:
        """From any thread: no pass of `draft` (`None`: of any draft) begins once this has been seen.

        It is looked for right before each pass; one that is just beginning is still made.
        """
        drafts = range(self.facts.settings.drafts)
        self._stopped.update(drafts if draft is None else {draft} & set(drafts))

    def close(self) -> None:
        """End the run and free what it holds; not while another thread is inside `next`."""
        self._frames.close()

    @torch.inference_mode()
    def _denoise(self, denoiser: Denoiser, prompt_ids: Sequence[int]) -> Generator[Frame]:
        """Block after block, each of them for all drafts that go on."""
        facts = self.facts
        try:
            context = denoiser.encode(torch.tensor(prompt_ids, device=denoiser.device))
        except torch.OutOfMemoryError as error:
            raise self._too_large() from error
        drafts = [
            _Draft(index, torch.Generator(denoiser.device).manual_seed(seed), context, start)
            for index, (seed, start) in enumerate(zip(facts.settings.seeds(), self._starts, strict=True))
        ]
        for block in range(facts.blocks):
            yield from self._denoise_block(denoiser, drafts, block)
            drafts = [d for d in drafts if d.goes_on(facts.eos_ids) and d.index not in self._stopped]
            if not drafts or block == facts.blocks - 1:
                return
            self._commit(denoiser, drafts)

    def _commit(self, denoiser: Denoiser, drafts: Sequence[_Draft]) -> None:
        """Each draft reads the canvas that it ended with."""
        done = 0
        while done < len(drafts):
            group = drafts[done : done + self.facts.model.rows]
            try:
                committed = torch.stack([draft.last.best for draft in group])
                contexts = denoiser.extend([draft.context for draft in group], committed)
            except torch.OutOfMemoryError:
                contexts = []
            if not contexts:
                self._make_room(len(group), denoiser.device)
            for draft, context in zip(group, contexts, strict=False):
                draft.context = context
                done += 1

    def _denoise_block(self, denoiser: Denoiser, drafts: Sequence[_Draft], block: int) -> Generator[Frame]:
        """Pass after pass until every draft's canvas has ended; free rows go to the drafts that wait."""
        active, waiting = list[_Draft](), deque(drafts)
        batched, context = tuple[_Draft, ...](), None
        for draft in drafts:
            draft.ended = ""
        while True:
            for draft in drafts:
                if not draft.ended and draft.index in self._stopped:
                    draft.ended = "stopped"
            active = [draft for draft in active if not draft.ended]
            waiting = deque(draft for draft in waiting if not draft.ended)
            if waiting and len(active) < self.facts.model.rows:
                active.append(waiting.popleft())
                if active[-1].block == block:
                    continue  # it was put off in mid-canvas
                active[-1].begin(denoiser, self.facts.settings, block)
                yield active[-1].noise_frame()
                continue  # somebody may have pressed stop while that frame was looked at
            if not active:
                return
            advanced = list[_Draft]()
            try:
                if tuple(active) != batched:
                    batched, context = tuple(active), denoiser.batch([draft.context for draft in active])
                self._denoise_pass(denoiser, context, active, advanced)
            except torch.OutOfMemoryError:
                batched, context = (), None
            if not batched:
                self._make_room(len(active), denoiser.device)
                waiting.extendleft(reversed(active[self.facts.model.rows :]))
                active = active[: self.facts.model.rows]
            yield from self._frames_of(advanced)

    def _denoise_pass(
        self, denoiser: Denoiser, context: Any, drafts: Sequence[_Draft], advanced: list[_Draft]
    ) -> None:
        """One decoder pass over the canvases of `drafts`, then each draft's own step: `advanced` took it."""
        canvases = torch.stack([draft.canvas for draft in drafts])
        hidden = denoiser.decode(context, canvases, torch.stack([draft.soft for draft in drafts]))
        for draft, row in zip(drafts, hidden, strict=True):
            draft.advance(denoiser, row, self.facts.settings)
            advanced.append(draft)

    def _make_room(self, at_once: int, device: torch.device) -> None:
        """After memory ran out with `at_once` drafts: half as many from now on. Raises `InputError` at 1."""
        if at_once == 1:
            raise self._too_large()
        rows = at_once // 2
        self.facts = replace(self.facts, model=replace(self.facts.model, rows=rows))
        self.notes.append(
            f"Memory ran out with {at_once} drafts at once: this run goes on with {rows}, the others wait."
        )
        if device.type == "cuda":
            torch.cuda.empty_cache()

    def _too_large(self) -> InputError:
        return InputError(
            f"This run needs more memory than {self.facts.model.device} has, even with one draft at a time:"
            " shorten the prompt, lower max_new_tokens, or load the model at a smaller precision."
        )

    def _frames_of(self, drafts: Sequence[_Draft]) -> Generator[Frame]:
        """The frames of a pass."""
        if not drafts:
            return
        for draft, planes in zip(drafts, _to_host(drafts), strict=True):
            if planes.pop("stable"):
                draft.ended = "stable"
            elif draft.step == self.facts.settings.steps:
                draft.ended = "steps"
            elif draft.index in self._stopped:
                draft.ended = "stopped"
            draft.best_ids = planes["best_ids"]
            yield draft.frame(**planes)


@dataclass(eq=False)
class _Draft:
    """A draft between two passes: everything it needs to go on, in any batch."""

    index: int
    generator: torch.Generator
    context: Any
    start: Start
    block: int = -1  # none begun yet
    step: int = 0
    ended: str = ""
    temperature: float = 0.0
    pins: tuple[Tensor, Tensor] | None = None  # [C] ids and [C] bool of this canvas
    canvas: Tensor = field(init=False)  # [C] int64
    soft: Tensor = field(init=False)  # [C, D] self-conditioning signal of the last guess
    last: sampler.Step = field(init=False)
    stable: Tensor = field(init=False)  # 0-d bool, on the device
    best_ids: np.ndarray = field(init=False)  # [C] the last guess, on the host
    stop_rule: sampler.StopRule = field(init=False)

    def begin(self, denoiser: Denoiser, settings: Resolved, block: int) -> None:
        """A canvas of fresh noise around the pinned positions, and no guess yet."""
        self.block, self.step = block, 0
        self.temperature = settings.t_max
        self.canvas = sampler.noise(denoiser.canvas_length, denoiser.vocab_size, self.generator)
        self.pins = None
        if block == 0 and self.start.canvas_ids is not None:
            given = (self.start.canvas_ids.astype(np.int64), self.start.pinned)
            ids, pinned = (torch.as_tensor(row, device=denoiser.device) for row in given)
            self.pins, self.canvas = (ids, pinned), torch.where(pinned, ids, self.canvas)
        self.soft = denoiser.no_guess()
        self.stop_rule = sampler.StopRule(settings.stability_threshold, settings.confidence_threshold)

    def advance(self, denoiser: Denoiser, hidden: Tensor, settings: Resolved) -> None:
        """One step from hidden states [C, D], or none if memory runs out. The logits live and die here."""
        step = self.step + 1
        temperature = sampler.temperature_at(step, settings.steps, settings.t_max, settings.t_min)
        drawn = self.generator.get_state()
        try:
            logits = denoiser.logits(hidden)
            logits.div_(temperature.to(logits.device))
            if self.pins is not None:
                sampler.pin(logits, *self.pins)
            last = sampler.decide(
                logits, entropy_bound=settings.entropy_bound, rivals=RIVALS, generator=self.generator
            )
            soft = denoiser.soft_embedding(logits)
            stable = self.stop_rule(last)
        except torch.OutOfMemoryError:
            self.generator.set_state(drawn)
            raise
        self.step, self.temperature = step, float(temperature)
        self.last, self.canvas, self.soft, self.stable = last, last.canvas, soft, stable

    def goes_on(self, eos_ids: Sequence[int]) -> bool:
        """Whether another block follows the one that ended."""
        return self.ended in ("stable", "steps") and not np.isin(self.best_ids, eos_ids).any()

    def noise_frame(self) -> Frame:
        return self.frame(canvas_ids=self.canvas.cpu().numpy())

    def frame(self, **planes: np.ndarray) -> Frame:
        return Frame(
            draft=self.index,
            block=self.block,
            step=self.step,
            temperature=self.temperature,
            ended=self.ended,
            **planes,
        )


def _to_host(drafts: Sequence[_Draft]) -> Iterator[dict[str, np.ndarray]]:
    """A frame's planes per draft, and `stable`: all in one copy, 11 KB per draft at C = 256."""
    steps = [draft.last for draft in drafts]
    ids = torch.stack([torch.column_stack([s.canvas, s.best, s.top_ids]) for s in steps]).to(torch.int32)
    values = torch.stack([torch.column_stack([s.confidence, s.entropy, s.top_probs]) for s in steps])
    # Rounding can push an entropy of nothing below nothing.
    values = values.clamp(min=0).to(torch.float16)
    flags = torch.stack(
        [torch.hstack([s.accepted, draft.stable]) for s, draft in zip(steps, drafts, strict=True)]
    )
    parts = [ids.flatten(1), values.flatten(1), flags]
    host = torch.cat([part.contiguous().view(torch.uint8) for part in parts], dim=1).cpu().numpy()
    id_bytes, value_bytes = (part[0].nbytes for part in parts[:2])
    for row in host:
        row_ids = row[:id_bytes].view(np.int32).reshape(-1, 2 + RIVALS)
        row_values = row[id_bytes : id_bytes + value_bytes].view(np.float16).reshape(-1, 2 + RIVALS)
        row_flags = row[id_bytes + value_bytes :].astype(bool)
        yield {
            "canvas_ids": row_ids[:, 0],
            "best_ids": row_ids[:, 1],
            "top_ids": row_ids[:, 2:],
            "confidence": row_values[:, 0],
            "entropy": row_values[:, 1],
            "top_probs": row_values[:, 2:],
            "accepted": row_flags[:-1],
            "stable": row_flags[-1],
        }
