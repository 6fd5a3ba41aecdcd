"""Text into token ids and back: the prompt through the chat template, answers and single tokens as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from transformers.convert_slow_tokenizer import bytes_to_unicode

from .errors import InputError
from .settings import Message

BYTE = re.compile(r"(<0x[0-9A-F]{2}>)+")


def encode_prompt(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """The ids of chat messages with the generation prompt. Raises `InputError` where the template refuses."""
    try:
        encoded = tokenizer.apply_chat_template(
            [dict(message) for message in messages], add_generation_prompt=True, return_dict=True
        )
    except (TemplateError, TypeError) as error:
        raise InputError(f"The model's chat template refuses these messages: {error}.") from error
    ids = list(encoded["input_ids"])
    if not ids:
        raise InputError("The model's chat template makes nothing of these messages.")
    return ids


class TokenizerVocabulary:
    """A transformers tokenizer as a `trace.Vocabulary`."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = set(tokenizer.all_special_ids)
        # Decoders trim the space of a first word, so each word is decoded behind one that is then cut off.
        self._anchor: list[int] = tokenizer.encode("a", add_special_tokens=False)[:1]
        self._anchor_text: str = self._decode(self._anchor)

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def words(self, ids: Sequence[int]) -> list[str]:
        return [self._word(i) for i in ids]

    def _word(self, token_id: int) -> str:
        name = self._tokenizer.convert_ids_to_tokens(token_id)
        if name is None:  # the model's vocabulary may be padded beyond the tokenizer's
            return f"<unused{token_id}>"
        if token_id in self._special:
            return name
        word = self._decode([*self._anchor, token_id])[len(self._anchor_text) :]
        return _bytes(name) if "\ufffd" in word or not word else word

    def text(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def _bytes(name: str) -> str:
    """The name of a token that is only part of a character, as bytes: <0xE6><0x97>."""
    if BYTE.fullmatch(name):  # SentencePiece's own way to say it
        return name
    letters = {letter: byte for byte, letter in bytes_to_unicode().items()}
    known = all(letter in letters for letter in name)  # GPT-2's alphabet of bytes
    return "".join(f"<0x{letters[letter]:02X}>" for letter in name) if known else name
