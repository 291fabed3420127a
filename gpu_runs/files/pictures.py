"""One picture of a PNG or JPEG file, as the uint8 pixels that a viewer shows, or an error with a way out.

Nothing is guessed: what has 8 bits, one or three colours and no other reading is taken, palettes and black
and white included. What would have to be rounded, blended, turned or chosen from is refused. Colour profiles
and gamma are not applied, as nobody does who scores images.
"""

from __future__ import annotations

import io
import warnings
from typing import IO

import numpy as np

from gpu_runs.errors import printable
from gpu_runs.files.inputs import reason
from seeds_theory.errors import SeedsError
from seeds_theory.extras import optional_imports

with optional_imports():
    from PIL import Image, UnidentifiedImageError

SUFFIXES = (".png", ".jpg", ".jpeg")
"""The names of the files that are read; what is in one, of either format, is what counts."""
OTHER_SUFFIXES = (
    *(".webp", ".gif", ".bmp", ".tif", ".tiff", ".jfif", ".jpe", ".jp2", ".jxl", ".avif", ".heic"),
    *(".heif", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".apng", ".exr", ".hdr", ".dng"),
)
"""Those of other formats."""
_FORMATS = ("PNG", "JPEG")
_MODES = ("L", "RGB")  # Pillow's, of 1 and 3 channels of 8 bits
_OPAQUE = 255
_ORIENTATION, _UPRIGHT = 0x0112, 1  # of EXIF
_PNG = b"\x89PNG\r\n\x1a\n"
_DEPTH = 24  # where a PNG's header has its bits to a channel
_MOST_BYTES = 2**28


class ImageError(SeedsError):
    """Images that cannot be read, or that are not what was asked for."""


def read_picture(file: IO[bytes], name: str) -> np.ndarray:
    """The pixels (channels, height, width), channels 1 or 3, of a file; `name` is for messages.

    Raises
    ------
    ImageError : it is no picture, damaged, too large, or one whose pixels depend on how it is read.
    """
    try:
        data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"it is larger than {_MOST_BYTES} bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow only warns of a picture up to twice too large.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                unclear = _what_is_unclear(picture, data)
                picture.load()
                plain = None if unclear else _plain(picture)
    except UnidentifiedImageError:  # whose message quotes an address in memory
        raise ImageError(
            f"cannot read {printable(name)}: it is neither PNG nor JPEG, or damaged: write it anew"
        ) from None
    except Exception as error:  # of Pillow: a damaged PNG is a SyntaxError, or any other
        raise ImageError(f"cannot read {printable(name)}: {reason(error)}") from None
    if plain is None:
        unclear = unclear or (
            "transparent pixels: put it on a background, and save it without its fourth channel"
        )
        raise ImageError(f"{printable(name)} has {unclear}")
    pixels = np.asarray(plain)
    return pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)


def _what_is_unclear(picture: Image.Image, data: bytes) -> str | None:
    """What makes the pixels a matter of choice, and the way out; None if nothing does."""
    if getattr(picture, "n_frames", 1) > 1:
        return f"{picture.n_frames} pictures: save the one that counts"  # type: ignore[attr-defined]
    if (data.startswith(_PNG) and data[_DEPTH] == 16) or picture.mode.startswith(("I", "F")):
        return "16 bits to a channel: save it with 8, so that you choose how it is rounded"
    if picture.mode in ("CMYK", "YCCK", "LAB"):
        return f"the colours of print ({picture.mode}): convert it to RGB with its profile"
    if picture.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
        return (
            "pixels that its EXIF data wants turned, which some programs do and some do not: turn them "
            "(ImageOps.exif_transpose), or remove that entry"
        )
    return None


def _plain(picture: Image.Image) -> Image.Image | None:
    """Gray or RGB of the very same colours; None if some pixel is transparent."""
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        alpha = np.asarray(picture.convert("RGBA"))[:, :, 3]
        if (alpha != _OPAQUE).any():
            return None
    if picture.mode in _MODES:
        return picture
    return picture.convert("L" if picture.mode in ("1", "LA") else "RGB")
