"""Prompts in a text file, one a line."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from gpu_runs.errors import printable
from gpu_runs.files.inputs import open_regular, reason
from seeds_theory.errors import SeedsError

_MOST_BYTES = 2**24
_MOST_PROMPTS = 100_000
_LONGEST = 10_000  # characters; no tokenizer keeps nearly as much


class PromptError(SeedsError):
    """A file that does not hold prompts; the message is one line."""


def read_prompts(path: str | Path) -> tuple[str, ...]:
    """The prompts in a file of UTF-8 text: every line is one, also one that begins with ``#``.

    What is blank around a prompt is left out, and so are blank lines at the end.

    Raises
    ------
    PromptError : no such file, no text, a blank line between prompts, or too much of it.
    """
    path = Path(path)
    lines = _text(path).rstrip().split("\n")
    prompts = tuple(line.strip() for line in lines)
    if prompts == ("",):
        raise PromptError(f"{printable(path)} holds no prompt: write one a line")
    if len(prompts) > _MOST_PROMPTS:
        raise PromptError(
            f"{printable(path)} has {len(prompts)} prompts, a run at most {_MOST_PROMPTS}: use several files"
        )
    for number, prompt in enumerate(prompts, start=1):
        where = f"line {number} of {printable(path)}"
        if not prompt:
            raise PromptError(
                f"{where} is blank: remove it, every line is a prompt and counts in the names of images"
            )
        if len(prompt) > _LONGEST:
            raise PromptError(
                f"{where} has {len(prompt)} characters, a prompt at most {_LONGEST}: shorten it"
            )
        control = next((c for c in prompt if unicodedata.category(c) == "Cc" and c != "\t"), None)
        if control:
            raise PromptError(f"{where} has the character {control!a}: prompts are plain text")
    return prompts


def _text(path: Path) -> str:
    try:
        with open_regular(path) as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise PromptError(f"there is no file of prompts {printable(path)}") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise PromptError(f"cannot read {printable(path)}: {reason(error)}") from None
    if len(data) > _MOST_BYTES:
        raise PromptError(
            f"{printable(path)} is larger than {_MOST_BYTES} bytes, too much for prompts: use several files"
        )
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise PromptError(
            f"{printable(path)} is no UTF-8 text (byte {error.start}): prompts are plain text, one a line"
        ) from None
