"""Under which names users meet samplers and grids, and what each of them is: a file of TOML as checked data.

The file says what a thing is and where it is called what. It has no measured figure: those are in the
survey's record, under the targets that an algorithm names.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from seeds_theory.catalogue import require_sampler_name
from seeds_theory.errors import ParameterError, unknown

NOISES = ("none", "independent", "one path", "own")
"""What noise a sampler asks for.

* none: it is deterministic.
* independent: one normal for each stretch of the way, independent of the others. Whoever draws it is right.
* one path: noises of stretches that overlap. They must be increments of one Brownian path.
* own: it draws in a way of its own, for which no noise sampler can stand in.
"""

Names = Mapping[str, tuple[str, ...]]
"""A host's key to the names that it has for one thing."""


@dataclass(frozen=True)
class Host:
    """A program or library in which users choose a sampler by its name.

    Parameters
    ----------
    title : what it is called.
    source : the version or date of the sources from which its names are known.
    """

    title: str
    source: str


@dataclass(frozen=True)
class Algorithm:
    """One formula, and all its names.

    Parameters
    ----------
    what : what it is, in the book's terms.
    calls : model calls a step, or words where that is no number.
    limit : with these names' own options ``ODE``, ``SDE, eta = 1`` or other words after ``SDE, eta``; or
        ``law only`` where single paths have no limit, ``none`` where the law is not that of the data.
    noise : one of `NOISES`.
    names : by host; a name belongs to one algorithm of a host.
    targets : the audit's names of it; the survey's record has their figures.
    same : samplers of this library with the same formula, step by step and draw by draw.
    nearest : those that come nearest, where none is the same.
    note : what its names hide.
    reports : headings in the chapter of reports, of defects that concern these names.
    """

    what: str
    calls: int | str
    limit: str
    noise: str
    names: Names
    targets: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()
    note: str = ""
    reports: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.noise not in NOISES:
            raise unknown("noise", self.noise, NOISES)
        for name in (*self.same, *self.nearest):
            require_sampler_name(name.partition("?")[0])


@dataclass(frozen=True)
class Grid:
    """One choice of noise levels, and all its names. what : how the levels are chosen; names : by host."""

    what: str
    names: Names


@dataclass(frozen=True)
class SamplerNames:
    """The whole file: hosts by key, algorithms and grids in order, and names that were not examined."""

    hosts: Mapping[str, Host]
    algorithms: tuple[Algorithm, ...]
    grids: tuple[Grid, ...]
    not_examined: Names

    def __post_init__(self) -> None:
        samplers = [*(algorithm.names for algorithm in self.algorithms), self.not_examined]
        for listed in (samplers, [grid.names for grid in self.grids]):
            self._require_once(list(_pairs(listed)))

    def pairs(self) -> list[tuple[str, str]]:
        """The host and the name of every name of an algorithm."""
        return list(_pairs(algorithm.names for algorithm in self.algorithms))

    def _require_once(self, pairs: Sequence[tuple[str, str]]) -> None:
        for host, _ in pairs:
            if host not in self.hosts:
                raise unknown("host", host, self.hosts)
        twice = [
            f"{self.hosts[h].title}: {name}" for (h, name), n in Counter(pairs).items() if n > 1
        ]
        if twice:
            raise ParameterError(
                f"a name of a host stands for one thing; there twice: {', '.join(twice)}"
            )


def read_sampler_names(path: Path) -> SamplerNames:
    """The content of a file.

    Raises
    ------
    ParameterError : no TOML, a key that is missing or unknown, a value of another kind, a name that is there
        twice.
    UnknownNameError : a host, a kind of noise or a sampler of this library that there is not.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{path} is no TOML: {error}") from None
    required = {"hosts", "algorithm", "grid"}
    _require_keys(content, required, {*required, "not_examined"}, str(path))
    hosts = {key: _parsed(Host, table, f"host {key}") for key, table in content["hosts"].items()}
    return SamplerNames(
        hosts,
        tuple(_parsed(Algorithm, table, _title(table)) for table in content["algorithm"]),
        tuple(_parsed(Grid, table, _title(table)) for table in content["grid"]),
        _names(content.get("not_examined", {}), "not_examined"),
    )


Kind = TypeVar("Kind", Host, Algorithm, Grid)


def _parsed(kind: type[Kind], table: dict[str, Any], where: str) -> Kind:
    """A table as one of the dataclasses, lists as tuples; texts are one line, as cells of a table are."""
    fields = dataclasses.fields(kind)
    required = {f.name for f in fields if f.default is dataclasses.MISSING}
    _require_keys(table, required, {f.name for f in fields}, where)
    return kind(**{key: _value(key, value, where) for key, value in table.items()})


def _value(key: str, value: Any, where: str) -> Any:
    if key == "names" and isinstance(value, dict) and value:
        return _names(value, where)
    if key in ("targets", "same", "nearest", "reports"):
        return _texts(value, f"{where}, {key}")
    if key == "calls" and isinstance(value, int) and not isinstance(value, bool):
        return value
    return _text(value, f"{where}, {key}")


def _names(table: dict[str, Any], where: str) -> Names:
    return {host: _texts(names, f"{where}, {host}") for host, names in table.items()}


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ParameterError(f"{where}: a list of one or more texts is needed; got {value!r}")
    return tuple(_text(item, where) for item in value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or {"|", "\n"} & set(value):
        raise ParameterError(f"{where}: a text of one line without '|' is needed; got {value!r}")
    return value


def _title(table: dict[str, Any]) -> str:
    return repr(str(table.get("what", table))[:60])


def _require_keys(table: Any, required: set[str], known: set[str], where: str) -> None:
    if not isinstance(table, dict):
        raise ParameterError(f"{where}: a table is needed; got {table!r}")
    for fault, keys in (("lacks", required - set(table)), ("does not know", set(table) - known)):
        if keys:
            raise ParameterError(
                f"{where} {fault} {', '.join(sorted(keys))}; its keys are {', '.join(sorted(known))}"
            )


def _pairs(listed: Iterable[Names]) -> Iterator[tuple[str, str]]:
    for names in listed:
        for host, of_host in names.items():
            yield from ((host, name) for name in of_host)
