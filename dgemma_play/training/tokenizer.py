"""A word-level tokenizer: every word of the corpus is one token, any other text falls to characters.

A uniform-diffusion model must judge for each token whether it is signal or noise. With whole words a
random token is almost surely out of place, which makes this judgement easy for a tiny model.
"""

from __future__ import annotations

import string
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dgemma_play.training.grammar import elastic

SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<|user>", "<|model>", "<boi>", "<eoi>", "<image>")
PAD, EOS, BOS, UNK, USER, MODEL, BOI, EOI, IMAGE = range(len(SPECIAL))

# Every turn is `<|user>text` or `<|model>text<eos>`; other roles (system) read as the user's words. A text
# in capitals reads as one in small letters, as hardly a word in capitals is one of the vocabulary.
CHAT_TEMPLATE = (
    "{% macro plain(text) %}{{ (text | lower if text.isupper() else text) | trim }}{% endmacro %}"
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|model>' if message['role'] in ('assistant', 'model') else '<|user>' }}"
    "{% if message['content'] is string %}{{ plain(message['content']) }}"
    "{% else %}{{ plain(message['content'] | map(attribute='text', default='') | join) }}{% endif %}"
    "{% if message['role'] in ('assistant', 'model') %}{{ eos_token }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|model>{% endif %}"
)

# Words that people write with capitals, and the corpus without. Only whole ones: `GCD_of` stays as it is.
_SMALL = ("Celsius", "Fahrenheit", "Fibonacci", "FizzBuzz", "Fizzbuzz", "GCD")

_WORD, _CHARACTER = -1.0, -10.0  # Unigram scores: one word always beats its spelling


def vocabulary(tokens: Iterable[str]) -> list[str]:
    """Special tokens, the given tokens (a word has its leading space), then single characters."""
    letters = string.ascii_letters + string.digits
    characters = [*letters, *(" " + c for c in letters), *string.punctuation]
    characters += [" " + c for c in string.punctuation] + ["\n", " ", "é", "’", "–", "…", "“", "”"]
    return list(dict.fromkeys([*SPECIAL, *tokens, *characters]))


def tokens(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """All tokens in the order of their ids."""
    return list(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))))


def build(tokens: list[str]) -> PreTrainedTokenizerFast:
    """A tokenizer over a vocabulary made by `vocabulary`."""
    scored = [
        (token, 0.0 if token in SPECIAL else _CHARACTER if len(token.strip()) <= 1 else _WORD)
        for token in tokens
    ]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=UNK, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(normalizers.Replace(Regex(rf"\b{word}\b"), word.lower()) for word in _SMALL),
            # `elastic.normalise` in the tokenizer's own terms; the decoder undoes it.
            normalizers.Replace("\n", "\n "),
            normalizers.Prepend(" "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(elastic.PATTERN), "isolated")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Fuse(), decoders.Replace("\n ", "\n"), decoders.Strip(" ", 1, 0)]
    )
    return wrap(tokenizer)


def wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The transformers wrapper with special tokens and chat template."""
    names = dict(zip(("pad_token", "eos_token", "bos_token", "unk_token"), SPECIAL, strict=False))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        additional_special_tokens=list(SPECIAL[USER:]),
        clean_up_tokenization_spaces=False,
        **names,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def encode_prompt(tokenizer: PreTrainedTokenizerFast, prompt: str) -> list[int]:
    """The ids that the chat template gives for one user message, generation prompt included."""
    prompt = prompt.lower() if prompt.isupper() else prompt
    return [BOS, USER, *tokenizer.encode(prompt, add_special_tokens=False), MODEL]
