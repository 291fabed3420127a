"""Many pictures: the files in a folder and those below it, or in a zip as EDM's data sets are.

They have one order, that of their names with the folders, so that the number of a picture is the same for
everyone; EDM's own tools sort so too. Of a zip nothing is written to the disk.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from gpu_runs.errors import printable
from gpu_runs.files.inputs import open_regular, reason
from gpu_runs.files.pictures import OTHER_SUFFIXES, SUFFIXES, ImageError, read_picture
from gpu_runs.files.strict_json import strict_object

LABELS = "dataset.json"
_COMPANIONS = (LABELS, "run.json", "metadata.jsonl", ".lock")
"""What lies beside the pictures of a run or data set, and is no news."""
_MOST_BYTES = 2**28  # of a member of a zip, unpacked
_ENCRYPTED = 1  # a flag of a member
_NAMED = 3  # files in a message


class UnreadWarning(UserWarning):
    """Files beside pictures that are no pictures."""


@dataclass(frozen=True)
class PictureFiles:
    """Pictures by their names, in order.

    Attributes
    ----------
    place : the folder or file that they are in. names : of the pictures in it, with folders, sorted.
    opened : opens a file in it for reading, by its name.
    has_labels : whether there is a ``dataset.json``.
    """

    place: Path
    names: Sequence[str]
    opened: Callable[[str], IO[bytes]]
    has_labels: bool

    def picture(self, index: int) -> np.ndarray:
        """The pixels (channels, height, width) of one. Raises ImageError."""
        name = self.names[index]
        where = f"{self.place}/{name}"
        with _errors_of(where), self.opened(name) as file:
            return read_picture(file, where)

    def labels(self) -> np.ndarray | None:
        """The class of each picture, int64 (n,), from ``dataset.json``; None if it has none.

        Raises
        ------
        ImageError : no such JSON as of EDM's data sets, or pictures without a class.
        """
        if not self.has_labels:
            return None
        where = printable(f"{self.place}/{LABELS}")
        with _errors_of(where), self.opened(LABELS) as file:
            data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise ValueError(f"it is larger than {_MOST_BYTES} bytes")
            content = strict_object(data)
        listed = content.get("labels")
        if listed is None:
            return None
        if not (isinstance(listed, list) and listed and all(map(_is_label, listed))):
            raise ImageError(f'{where} has no list "labels" of pairs of a file and a class')
        classes = dict(listed)
        lost = [name for name in self.names if name not in classes]
        if lost:
            raise ImageError(f"{where} has no class for {_some(lost)}")
        return np.array([classes[name] for name in self.names], np.int64)


def files_of_folder(folder: Path) -> PictureFiles:
    """The pictures in a folder and below; an UnreadWarning says what else is there, as links to folders.

    Raises
    ------
    ImageError : there is none, pictures of other formats are beside them, or a folder cannot be read.
    """
    found: list[str] = []
    unread: list[str] = []

    def failed(error: OSError) -> None:
        raise ImageError(f"cannot read the folder {printable(error.filename)}: {error.strerror}")

    for above, folders, files in os.walk(folder, onerror=failed):
        within = Path(above).relative_to(folder)
        for name in list(folders):
            if name.startswith(".") or os.path.islink(os.path.join(above, name)):
                folders.remove(name)
                unread.append((within / name).as_posix() + "/")
        found += [(within / name).as_posix() for name in files]
    names = _pictures(found, unread, folder)
    return PictureFiles(
        folder, names, lambda name: open_regular(folder / name), (folder / LABELS).is_file()
    )


def files_of_zip(path: Path) -> PictureFiles:
    """The pictures in a zip, packed or not. An UnreadWarning says what else is in it.

    Raises
    ------
    ImageError : it is none, has no pictures or those of other formats; or a member is encrypted, is there
        twice or is too large.
    """
    with _errors_of(str(path)):
        with open_regular(path):
            pass
        archive = zipfile.ZipFile(path)
    members = [member for member in archive.infolist() if not member.is_dir()]
    twice = [n for n, times in Counter(member.filename for member in members).items() if times > 1]
    if twice:
        raise ImageError(
            f"{printable(path)} has two files of one name, {_some(twice)}: pack it anew"
        )
    names = _pictures([member.filename for member in members], [], path)
    for name in names:
        member = archive.getinfo(name)
        if member.flag_bits & _ENCRYPTED:
            raise ImageError(f"{printable(path)} is encrypted: unpack it with its password")
        if member.file_size > _MOST_BYTES:
            raise ImageError(
                f"{printable(f'{path}/{name}')} would take {member.file_size} bytes, more than the "
                f"{_MOST_BYTES} that are unpacked"
            )
    return PictureFiles(path, names, archive.open, LABELS in archive.namelist())


def _pictures(files: Iterable[str], unread: list[str], place: Path) -> list[str]:
    """Which of these files, and what was passed over before, are pictures; warns of the others."""
    pictures: list[str] = []
    foreign: list[str] = []
    for name in files:
        parts, suffix = name.split("/"), Path(name).suffix.lower()
        if parts[-1] in _COMPANIONS:
            continue
        hidden = parts[0] == "__MACOSX" or any(p.startswith(".") and p != ".." for p in parts)
        kind = pictures if suffix in SUFFIXES else foreign if suffix in OTHER_SUFFIXES else unread
        (unread if hidden else kind).append(name)
    if foreign:
        raise ImageError(
            f"{printable(place)} has pictures that are not read, {_some(foreign)}: convert them to PNG, or "
            "move them away"
        )
    if not pictures:
        raise ImageError(
            f"no {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file in {printable(place)} or below: name the "
            "folder or zip that holds the images"
        )
    if unread:
        warnings.warn(
            f"{printable(place)} has files that are no pictures and are not read, {_some(unread)}",
            UnreadWarning,
            stacklevel=4,
        )
    return sorted(pictures)


def _some(names: Sequence[str]) -> str:
    names = sorted(names)
    shown = ", ".join(map(printable, names[:_NAMED]))
    more = len(names) - _NAMED
    return shown if more <= 0 else f"{shown} and {more} more"


def _is_label(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and type(entry[1]) is int
        and abs(entry[1]) < 2**63
    )


@contextmanager
def _errors_of(where: str) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # of zipfile, its decompressors, json or the file system
        raise ImageError(f"cannot read {printable(where)}: {reason(error)}") from None
