"""Reads a pickle as data: nothing that the file names is imported, called or changed.

A pickle is a program. Python's machine for it imports the objects that the program names, calls them, and
sets attributes on whatever is on its stack. The machine here knows the opcodes that networks need, and
a name is one in a table of constructors. What it makes are numbers, strings, lists, dicts, tuples and what
those constructors return. What a file makes of another name, or of a constructor that refuses its arguments,
is an `Opaque`: it swallows whatever the file does to it, and says what it is when somebody needs it. A file
that asks for a function of Python's own, as ``eval``, is refused as a whole: no honest writer made it.

It is also bounded. A byte of a program can make an object of a hundred bytes, or copy a long list; so the
number of opcodes has a limit, texts have one, bytes are views of the data, and no opcode copies a list.
A value can be referred to as often as there are opcodes, and lists of lists of the same list have more
elements than can be counted: what is done with a value takes no longer for what lies in it.
"""

from __future__ import annotations

import pickle
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gpu_runs.errors import OWN_CODE, CheckpointError, shown

OPCODE_LIMIT = 500_000
"""Of a file of any size: objects take some 100 MB at most. The largest public network needs about 70 000."""
OPCODE_BYTES = 512
"""Bytes of a file beyond which it may have another opcode: objects take less memory than the file."""
LONG_TEXT = 1 << 10
"""Strings of more bytes than this are left as they lie in the file, and can be no keys."""
TEXT_LIMIT = 1 << 24
"""Bytes of the shorter strings together."""

_DATA = """
    _codecs argparse array collections copyreg dataclasses datetime decimal enum fractions functools
    ipaddress numbers pathlib random time uuid
"""
"""Modules of Python's own library that hold data."""
_BUILTIN_DATA = """
    bool bytearray bytes complex dict float frozenset int list object range set slice str tuple
"""

Names = Mapping[tuple[str, str], object]


@dataclass(frozen=True, slots=True, eq=False)
class LongText:
    """A long string, still in UTF-8: the source of a module, or bytes as protocol 2 writes them."""

    utf8: memoryview


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """A name in the file, and what stands for it: a constructor, or data that cannot be called."""

    meaning: object


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """A value that was not made; why says which and where."""

    why: str


class HostileName(CheckpointError):
    """A name that stands for no data but for a function that does something."""


@runtime_checkable
class Buildable(Protocol):
    """An object that the file gives a state to after making it."""

    def build(self, state: object) -> None:
        """Take the state; one that is none is an error when the object is used."""


def read_pickle(
    data: memoryview,
    names: Names,
    *,
    start: int = 0,
    limit: int | None = None,
    persistent: Callable[[object], object] | None = None,
    opaque: bool = False,
) -> tuple[object, int]:
    """The value of a pickle of protocol 2 to 5, and where it ends.

    Items of dicts whose keys are no short strings are left out; such a dict has an `Opaque` at "".

    Parameters
    ----------
    data : bytes, of which the pickle begins at `start`.
    names : (module, name) to what stands for it, mostly a constructor.
    limit : of the number of opcodes; None for one that grows with the data.
    persistent : makes the value of a persistent id; None if there may be none.
    opaque : what cannot be made is an `Opaque`, not an error.

    Raises
    ------
    HostileName : it asks for a function of Python's own.
    CheckpointError : it is not a pickle, or asks for an opcode outside those known; or for another name, or a
        constructor refuses, unless that is opaque.
    """
    machine = _Machine(data, start, names, persistent, opaque)
    most = OPCODE_LIMIT + len(data) // OPCODE_BYTES if limit is None else limit
    for _ in range(most):
        begin = machine.begin = machine.at
        try:
            opcode = machine.byte()
            if opcode == _STOP:
                return machine.pop(), machine.at
            if opcode in _VALUES:
                value = _VALUES[opcode](machine)  # which may exchange the stack
                machine.stack.append(value)
            elif opcode in _EFFECTS:
                _EFFECTS[opcode](machine)
            else:
                raise CheckpointError(f"opcode {bytes([opcode])!r} is none that networks need")
        except Exception as error:  # whatever a wrong operand does to an operation
            kind = HostileName if isinstance(error, HostileName) else CheckpointError
            raise kind(f"byte {begin}: {_detail(error)}") from error
    raise CheckpointError(
        f"byte {machine.at}: more than {most} opcodes, for a file of this size; {OWN_CODE}"
    )


def _detail(error: Exception) -> str:
    if isinstance(error, CheckpointError):
        return str(error)
    return f"not a pickle that can be read ({type(error).__name__}: {shown(str(error), 100)})"


def _does_something(module: str, name: str) -> bool:
    """Whether a name is of Python's own, and none of its data."""
    package = module.partition(".")[0]
    if package in ("builtins", "__builtin__"):
        return name not in _BUILTIN_DATA.split()
    return package in sys.stdlib_module_names and package not in _DATA.split()


class _Machine:
    """The stack, the memo, and what several opcodes share."""

    def __init__(
        self,
        data: memoryview,
        start: int,
        names: Names,
        persistent: Callable[[object], object] | None,
        opaque: bool,
    ) -> None:
        self.data, self.at, self.begin = data, start, start
        self.names, self.persistent, self.opaque = names, persistent, opaque
        self.stack: list[object] = []
        self.outer: list[list[object]] = []  # a mark puts the stack aside and begins another
        self.memo: dict[int, object] = {}
        self.text_left = TEXT_LIMIT

    def take(self, count: int) -> memoryview:
        """The next bytes of the file."""
        part = self.data[self.at : self.at + count]
        if len(part) < count:
            raise CheckpointError("the file ends in the middle")
        self.at += count
        return part

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise CheckpointError("the file ends in the middle")
        self.at += 1
        return self.data[self.at - 1]

    def number(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def text(self, count: int) -> str | LongText:
        utf8 = self.take(count)
        if count > LONG_TEXT:
            return LongText(utf8)
        self.text_left -= count
        if self.text_left < 0:
            raise CheckpointError(f"more than {TEXT_LIMIT} bytes of text")
        return str(utf8, "utf-8", "surrogatepass")

    def line(self) -> str:
        length = bytes(self.data[self.at : self.at + 256]).find(b"\n")
        if length < 0:
            raise CheckpointError("a name of more than 255 bytes")
        return str(self.take(length + 1)[:-1], "utf-8")

    def top(self) -> object:
        if not self.stack:
            raise CheckpointError("an opcode lacks its operand")
        return self.stack[-1]

    def pop(self) -> object:
        value = self.top()
        self.stack.pop()
        return value

    def pop_tuple(self, count: int) -> tuple[object, ...]:
        return tuple([self.pop() for _ in range(count)][::-1])

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def pop_to_mark(self) -> list[object]:
        if not self.outer:
            raise CheckpointError("an opcode lacks its mark")
        items, self.stack = self.stack, self.outer.pop()
        return items

    def remember(self, index: int) -> None:
        self.memo[index] = self.top()

    def recall(self, index: int) -> object:
        if index not in self.memo:
            raise CheckpointError(f"nothing was put at {index}")
        return self.memo[index]

    def protocol(self) -> None:
        number = self.byte()
        if number not in range(2, 6):
            raise CheckpointError(f"protocols are 2 to 5; got {number}")

    def unmade(self, error: Exception) -> Opaque:
        """What stands for a value that cannot be made."""
        if not self.opaque or isinstance(error, HostileName):
            raise error
        return Opaque(f"byte {self.begin}: {_detail(error)}")

    def name(self, module: object, name: object) -> Name | Opaque:
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError("a name that is not text")
        if (module, name) not in self.names:
            kind = HostileName if _does_something(module, name) else CheckpointError
            return self.unmade(
                kind(
                    f"asks for {shown(module)} {shown(name)}, which no network needs; nothing was run"
                )
            )
        return Name(self.names[module, name])

    def construct(self) -> object:
        name, arguments = self.pop_tuple(2)
        if isinstance(name, Opaque):
            return name
        try:
            if not isinstance(name, Name) or not callable(name.meaning):
                raise CheckpointError("calls something that is no constructor")
            if not isinstance(arguments, tuple):
                raise CheckpointError("calls a constructor without arguments")
            for argument in arguments:
                if isinstance(argument, Opaque):
                    return argument
            return name.meaning(*arguments)
        except Exception as error:  # whatever wrong arguments do to a constructor
            return self.unmade(error)

    def construct_with_keywords(self) -> object:
        name, _, _ = self.pop_tuple(3)
        if isinstance(name, Opaque):
            return name
        return self.unmade(CheckpointError("calls a constructor with keywords"))

    def build(self) -> object:
        target, state = self.pop_tuple(2)
        if isinstance(target, Buildable):
            target.build(state)
        elif not isinstance(target, Opaque | dict):  # attributes of a dict are left out
            return self.unmade(CheckpointError("gives a state to something that has none"))
        return target

    def identify(self) -> object:
        identity = self.pop()
        try:
            if self.persistent is None:
                raise CheckpointError("refers to something outside the file")
            return self.persistent(identity)
        except CheckpointError as error:
            return self.unmade(error)

    def extend(self, items: list[object]) -> None:
        target = self.top()
        if isinstance(target, Opaque):
            return
        if not isinstance(target, list):
            raise CheckpointError("adds to something that is not a list")
        target.extend(items)

    def set_items(self, items: list[object]) -> None:
        target = self.top()
        if isinstance(target, Opaque):
            return
        if type(target) is not dict or len(items) % 2:
            raise CheckpointError("sets items of something that is not a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashes of strings cannot be chosen by the file; those of numbers can, to collide.
            if isinstance(key, str):
                target[key] = value
            else:
                target[""] = self.unmade(CheckpointError("a key that is not a short string"))


_STOP = ord(pickle.STOP)

_VALUES: dict[int, Callable[[_Machine], object]] = {
    ord(pickle.NONE): lambda m: None,
    ord(pickle.NEWTRUE): lambda m: True,
    ord(pickle.NEWFALSE): lambda m: False,
    ord(pickle.BININT): lambda m: m.number(4, signed=True),
    ord(pickle.BININT1): lambda m: m.byte(),
    ord(pickle.BININT2): lambda m: m.number(2),
    ord(pickle.LONG1): lambda m: m.number(m.byte(), signed=True),
    ord(pickle.LONG4): lambda m: m.number(m.number(4), signed=True),
    ord(pickle.BINFLOAT): lambda m: struct.unpack(">d", m.take(8))[0],
    ord(pickle.SHORT_BINUNICODE): lambda m: m.text(m.byte()),
    ord(pickle.BINUNICODE): lambda m: m.text(m.number(4)),
    ord(pickle.BINUNICODE8): lambda m: m.text(m.number(8)),
    ord(pickle.SHORT_BINBYTES): lambda m: m.take(m.byte()),
    ord(pickle.BINBYTES): lambda m: m.take(m.number(4)),
    ord(pickle.BINBYTES8): lambda m: m.take(m.number(8)),
    ord(pickle.BYTEARRAY8): lambda m: m.take(m.number(8)),
    ord(pickle.EMPTY_DICT): lambda m: {},
    ord(pickle.EMPTY_LIST): lambda m: [],
    ord(pickle.EMPTY_SET): lambda m: [],  # a set is read as the list of its elements
    ord(pickle.FROZENSET): lambda m: m.pop_to_mark(),
    ord(pickle.EMPTY_TUPLE): lambda m: (),
    ord(pickle.TUPLE1): lambda m: m.pop_tuple(1),
    ord(pickle.TUPLE2): lambda m: m.pop_tuple(2),
    ord(pickle.TUPLE3): lambda m: m.pop_tuple(3),
    ord(pickle.TUPLE): lambda m: tuple(m.pop_to_mark()),
    ord(pickle.BINGET): lambda m: m.recall(m.byte()),
    ord(pickle.LONG_BINGET): lambda m: m.recall(m.number(4)),
    ord(pickle.GLOBAL): lambda m: m.name(m.line(), m.line()),
    ord(pickle.STACK_GLOBAL): lambda m: m.name(*m.pop_tuple(2)),
    ord(pickle.REDUCE): lambda m: m.construct(),
    ord(pickle.NEWOBJ): lambda m: m.construct(),
    ord(pickle.NEWOBJ_EX): lambda m: m.construct_with_keywords(),
    ord(pickle.BUILD): lambda m: m.build(),
    ord(pickle.BINPERSID): lambda m: m.identify(),
}
"""Opcodes that put a value on the stack."""

_EFFECTS: dict[int, Callable[[_Machine], object]] = {
    ord(pickle.PROTO): lambda m: m.protocol(),
    ord(pickle.FRAME): lambda m: m.take(8),
    ord(pickle.MARK): lambda m: m.mark(),
    ord(pickle.MEMOIZE): lambda m: m.remember(len(m.memo)),
    ord(pickle.BINPUT): lambda m: m.remember(m.byte()),
    ord(pickle.LONG_BINPUT): lambda m: m.remember(m.number(4)),
    ord(pickle.APPEND): lambda m: m.extend([m.pop()]),
    ord(pickle.APPENDS): lambda m: m.extend(m.pop_to_mark()),
    ord(pickle.ADDITEMS): lambda m: m.extend(m.pop_to_mark()),
    ord(pickle.SETITEM): lambda m: m.set_items(list(m.pop_tuple(2))),
    ord(pickle.SETITEMS): lambda m: m.set_items(m.pop_to_mark()),
    ord(pickle.POP): lambda m: m.pop(),
    ord(pickle.POP_MARK): lambda m: m.pop_to_mark(),
}
"""The others."""
