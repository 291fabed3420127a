"""The names of samplers as data: its checks, and that it agrees with the survey and with this library."""

import json
import math
import re
from pathlib import Path

import pytest
import torch

from proofs_checks.audit.names import LIBRARIES
from proofs_checks.audit.survey import ENTRIES
from proofs_checks.audit.targets import find_target
from proofs_checks.sampler_names import read_sampler_names
from seeds_theory.errors import LibraryError, ParameterError, UnknownNameError

BOOK = Path(__file__).parents[2] / "book"
NAMES = read_sampler_names(BOOK / "sampler_names.toml")
RECORD = json.loads((BOOK / "survey.json").read_text())
MEASURED = {row["target"]: row for row in RECORD["reports"]}
AUDITED = {entry.target for entry in ENTRIES}

WITH_TARGET = [
    (target, algorithm) for algorithm in NAMES.algorithms for target in algorithm.targets
]
KNOWN_LIMIT = [pair for pair in WITH_TARGET if MEASURED.get(pair[0], {}).get("limit")]
OWN = sorted({name for a in NAMES.algorithms for name in (*a.same, *a.nearest)})

GOOD = """
[hosts]
here = { title = "Here", source = "today" }

[[algorithm]]
what = "Euler's method"
calls = 1
limit = "ODE"
noise = "none"
same = ["euler"]
[algorithm.names]
here = ["euler"]

[[grid]]
what = "Karras"
[grid.names]
here = ["karras"]
"""


# ------------------------------------------------------------------------------------------ the file


@pytest.fixture
def read(tmp_path):
    def parse(text):
        path = tmp_path / "names.toml"
        path.write_text(text)
        return read_sampler_names(path)

    return parse


def test_a_file_is_read(read):
    names = read(GOOD)
    (algorithm,), (grid,) = names.algorithms, names.grids
    assert names.pairs() == [("here", "euler")]
    assert (algorithm.calls, algorithm.same, algorithm.targets) == (1, ("euler",), ())
    assert grid.names == {"here": ("karras",)}


@pytest.mark.parametrize(
    ("old", "new", "error", "text"),
    [
        ("[hosts]", "[hosts", ParameterError, "no TOML"),
        ("calls = 1\n", "", ParameterError, "lacks calls"),
        ("calls = 1", "calls = true", ParameterError, "a text of one line"),
        ("calls = 1", "call = 1", ParameterError, "calls"),
        ('source = "today"', 'since = "today"', ParameterError, "host here lacks source"),
        ('limit = "ODE"', 'limit = "a|b"', ParameterError, "without '|'"),
        ('limit = "ODE"', 'limit = " "', ParameterError, "limit"),
        ('noise = "none"', 'noise = "white"', UnknownNameError, "one path"),
        ('same = ["euler"]', 'same = "euler"', ParameterError, "a list of one or more"),
        ('same = ["euler"]', 'same = ["eular"]', UnknownNameError, "did you mean 'euler'"),
        ('here = ["euler"]', 'there = ["euler"]', UnknownNameError, "known: here"),
        ('here = ["euler"]', 'here = ["euler", "euler"]', ParameterError, "Here: euler"),
        ('here = ["karras"]', "", ParameterError, "names"),
    ],
)
def test_a_fault_is_an_error_that_names_it(read, old, new, error, text):
    assert old in GOOD
    with pytest.raises(error, match=re.escape(text)):
        read(GOOD.replace(old, new, 1))


def test_a_name_that_was_not_examined_belongs_to_no_algorithm(read):
    other = read(GOOD + '[not_examined]\nhere = ["plms"]\n')
    assert other.not_examined == {"here": ("plms",)}
    with pytest.raises(ParameterError, match="Here: euler"):
        read(GOOD + '[not_examined]\nhere = ["euler"]\n')


def test_two_algorithms_cannot_share_a_name_of_a_host(read):
    start = GOOD.index("[[algorithm]]")
    twice = GOOD + GOOD[start : GOOD.index("[[grid]]")]
    with pytest.raises(ParameterError, match="Here: euler"):
        read(twice)


# ------------------------------------------------------------------------------------ what it says


def test_names_are_many_and_of_many_hosts():
    pairs = NAMES.pairs()
    assert len({name for _, name in pairs}) >= 60
    assert {host for host, _ in pairs} == set(NAMES.hosts)
    assert len(NAMES.hosts) >= 5


@pytest.mark.parametrize("target", sorted({target for target, _ in WITH_TARGET}))
def test_targets_are_in_the_survey(target):
    """Of a host whose adapter is in the survey; a target of another host is not measured yet."""
    host = target.partition(":")[0]
    assert host in NAMES.hosts
    if any(entry.startswith(f"{host}:") for entry in AUDITED):
        assert target in AUDITED


@pytest.mark.parametrize(("target", "algorithm"), KNOWN_LIMIT)
def test_calls_and_limits_are_those_measured(target, algorithm):
    row = MEASURED[target]
    if isinstance(algorithm.calls, int):
        assert row["nfe_per_step"] == pytest.approx(algorithm.calls, abs=0.05)
    text = row["limit"]["text"]
    if algorithm.limit == "ODE":
        assert row["deterministic"] and algorithm.noise == "none"
        assert not text.startswith("another law")
    elif algorithm.limit == "none":
        assert text.startswith("another law")
    elif algorithm.limit.startswith("SDE"):
        assert not text.startswith(("ODE", "another law")) and algorithm.noise != "none"
        eta = re.fullmatch(r"SDE, eta = ([\d.]+)", algorithm.limit)
        assert eta is None or row["limit"]["eta"] == pytest.approx(float(eta[1]), abs=0.01)


@pytest.mark.parametrize("name", OWN)
def test_what_is_named_of_this_library_is_there(name):
    find_target(name)


def test_reports_are_headings_of_their_chapter():
    headings = re.findall(r"^## (.+)$", (BOOK / "reports.md").read_text(), re.MULTILINE)
    named = {heading for algorithm in NAMES.algorithms for heading in algorithm.reports}
    assert named and named <= set(headings)


# --------------------------------------------------------------------------- the same, step by step


def _denoiser(x, sigma, **_):
    level = sigma.reshape(-1, 1)
    return torch.tanh(x / (1 + level**2)) + 0.2 * x / (1 + level) + 0.1 * torch.cos(level)


def _stretch(sigma, sigma_next):
    """Some numbers that depend on the stretch, as increments of a path do."""

    def path(level):
        return torch.sin(1.7 * math.log(level) * torch.arange(1, 5, dtype=torch.float64))

    a, b = float(sigma), float(sigma_next)
    return (
        (path(a) - path(b)).reshape(1, 4) / math.sqrt(abs(a - b)) if a != b else torch.zeros(1, 4)
    )


def _final(name):
    target = find_target(name)
    noise = {"noise_sampler": _stretch} if target.takes_noise_sampler else {}
    x = torch.linspace(-10, 12, 4, dtype=torch.float64).reshape(1, 4)
    # Uneven, and long enough that no host lowers the order of a first or last step for few steps.
    steps = 1 + 0.5 * torch.cos(torch.arange(20, dtype=torch.float64))
    times = torch.cat([torch.zeros(1), steps.cumsum(0)])
    sigmas = 12.0 * torch.exp(-math.log(40.0) * times / times[-1])
    return target.sampler(_denoiser, x, sigmas, **target.options, **noise)


SAME = [
    (target, same)
    for target, algorithm in WITH_TARGET
    if target.partition(":")[0] in LIBRARIES
    for same in algorithm.same
    # The schedulers of diffusers draw by themselves.
    if algorithm.noise == "none" or not target.startswith("diffusers:")
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("target", "same"), SAME)
def test_the_same_sampler_gives_the_same_states(target, same):
    try:
        theirs = _final(target)
    except LibraryError as absent:
        pytest.skip(str(absent))
    # KDPM2 has its middle levels in single precision.
    torch.testing.assert_close(theirs, _final(same), rtol=3e-7, atol=3e-7)
