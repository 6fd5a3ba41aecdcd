"""The corpus: an own generative grammar, no outside text.

`sample(rng)` draws one `Example`, a prompt and its answer. What makes a tiny uniform-diffusion model
readable is alignment (see `elastic`): in one form every alternative of a slot has the same number of
tokens, so each sentence is one clean choice and its place on the canvas is certain.
"""

from dgemma_play.training.grammar.example import Example
from dgemma_play.training.grammar.forms import FORMS, sample

__all__ = ["FORMS", "Example", "sample"]
