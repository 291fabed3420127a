"""What goes wrong with a file of a network, and how a value out of one is shown."""

from __future__ import annotations

from seeds_theory.errors import SeedsError

OWN_CODE = "load others in your own code, as --network file.py:function"
"""The way out of every file that is not read here."""


class CheckpointError(SeedsError):
    """A checkpoint that is malformed, hostile, of another kind, or no file; the message is one line."""


def shown(value: object, length: int = 60) -> str:
    """A value out of a file, for a message: one line of ASCII, short, whatever the value is."""
    if isinstance(value, str):
        text = ascii(value[:length])
    elif value is None or isinstance(value, int | float):
        text = (
            str(value)
            if not isinstance(value, int) or value.bit_length() < 200
            else "a huge integer"
        )
    else:
        # What a container holds can be huge, nested or cyclic.
        text = f"a {type(value).__name__}"
    return text if len(text) <= length else text[: length - 3] + "..."


def printable(value: object) -> str:
    """As a string, escaped if that would break the line or command the terminal."""
    return str(value) if str(value).isprintable() else ascii(str(value))
