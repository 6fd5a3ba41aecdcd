"""Text into token ids and back: the prompt through the chat template, answers and single tokens as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from .errors import InputError
from .settings import Message


def encode_prompt(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """The ids of chat messages with the generation prompt. Raises `InputError` where the template refuses."""
    try:
        encoded = tokenizer.apply_chat_template(
            [dict(message) for message in messages], add_generation_prompt=True, return_dict=True
        )
    except TemplateError as error:
        raise InputError(f"The model's chat template refuses these messages: {error}.") from error
    return list(encoded["input_ids"])


class TokenizerVocabulary:
    """A transformers tokenizer as a `trace.Vocabulary`."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = set(tokenizer.all_special_ids)
        # Decoders trim the space of a first word, so each word is decoded behind one that is then cut off.
        self._anchor: int = tokenizer.encode("a", add_special_tokens=False)[0]
        self._anchor_text: str = self._decode([self._anchor])

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
        word = self._decode([self._anchor, token_id])[len(self._anchor_text) :]
        return name if "\ufffd" in word or not word else word  # part of a character: its bytes by name

    def text(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
