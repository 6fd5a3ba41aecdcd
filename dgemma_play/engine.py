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
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import torch

from . import tokens
from .denoiser import Denoiser, TransformersDenoiser
from .draft import Draft, to_host
from .errors import InputError
from .loading import Loaded
from .settings import Knob, Message, Settings, check_prompt
from .start import Start, check_starts
from .tokens import TokenizerVocabulary
from .trace import Frame, ModelFacts, RunFacts, Vocabulary

ROWS = Knob(1, 2**16, True, "Most drafts that go through the model at once.")


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
        check_starts(starts, resolved.drafts, denoiser)
    at_once: int = ROWS.check("rows", loaded.rows if rows is None else rows)
    facts = RunFacts(
        prompt=messages,
        model=ModelFacts(loaded.public_name, loaded.revision, loaded.precision, str(loaded.device), at_once),
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
        self._all_stopped = False
        self._frames = self._denoise(denoiser, prompt_ids)

    def __iter__(self) -> Run:
        return self

    def __next__(self) -> Frame:
        return next(self._frames)

    def stop(self, draft: int | None = None) -> None:
        """From any thread: no pass of `draft` (`None`: of any draft) begins once this has been seen.

        It is looked for right before each pass; one that is just beginning is still made. A draft that has
        yet to begin shows its noise in its turn and ends there, unless all are stopped: then it never begins.
        """
        drafts = range(self.facts.settings.drafts)
        self._stopped.update(drafts if draft is None else {draft} & set(drafts))
        self._all_stopped |= draft is None

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
            Draft(index, torch.Generator(denoiser.device).manual_seed(seed), context, start)
            for index, (seed, start) in enumerate(zip(facts.settings.seeds(), self._starts, strict=True))
        ]
        for block in range(facts.blocks):
            yield from self._denoise_block(denoiser, drafts, block)
            drafts = [d for d in drafts if d.goes_on(facts.eos_ids) and d.index not in self._stopped]
            if not drafts or block == facts.blocks - 1:
                return
            self._commit(denoiser, drafts)

    def _commit(self, denoiser: Denoiser, drafts: Sequence[Draft]) -> None:
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

    def _denoise_block(self, denoiser: Denoiser, drafts: Sequence[Draft], block: int) -> Generator[Frame]:
        """Pass after pass until every draft's canvas has ended; free rows go to the drafts that wait."""
        active, waiting = list[Draft](), deque(drafts)
        batched, context = tuple[Draft, ...](), None
        for draft in drafts:
            draft.ended = ""
        while True:
            for draft in drafts:
                # One that has yet to begin keeps its turn: without its noise later ones would be renumbered.
                begun = draft.block >= 0 or self._all_stopped
                if begun and not draft.ended and draft.index in self._stopped:
                    draft.ended = "stopped"
            active = [draft for draft in active if not draft.ended]
            waiting = deque(draft for draft in waiting if not draft.ended)
            if waiting and len(active) < self.facts.model.rows:
                draft = waiting.popleft()
                active.append(draft)
                if draft.block == block:
                    continue  # it was put off in mid-canvas
                draft.begin(denoiser, self.facts.settings, block)
                if draft.index in self._stopped:
                    draft.ended = "stopped"
                yield draft.noise_frame()
                continue  # somebody may have pressed stop while that frame was looked at
            if not active:
                return
            advanced = list[Draft]()
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
        self, denoiser: Denoiser, context: Any, drafts: Sequence[Draft], advanced: list[Draft]
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

    def _frames_of(self, drafts: Sequence[Draft]) -> Generator[Frame]:
        """The frames of a pass."""
        if not drafts:
            return
        for draft, planes in zip(drafts, to_host(drafts), strict=True):
            if planes.pop("stable"):
                draft.ended = "stable"
            elif draft.step == self.facts.settings.steps:
                draft.ended = "steps"
            elif draft.index in self._stopped:
                draft.ended = "stopped"
            draft.best_ids = planes["best_ids"]
            yield draft.frame(**planes)
