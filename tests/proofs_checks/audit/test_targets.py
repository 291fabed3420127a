"""Names of samplers: found, or refused in one typed line that says the way out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from proofs_checks.audit.protocol import Target
from proofs_checks.audit.targets import find_target
from seeds_theory.baselines import BASELINES
from seeds_theory.errors import ParameterError, SeedsError, UnknownNameError
from seeds_theory.methods import METHODS

MODULE = """
class Family:
    @staticmethod
    def euler(model, x, sigmas, extra_args=None, callback=None, disable=None, *, step=1.0, kind="a"):
        return x

sample_euler = Family.euler
number = 3
def denoise(x): return x
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the current folder, which is not on the path."""
    (tmp_path / "my_samplers.py").write_text(MODULE)
    (tmp_path / "half_written.py").write_text("def sample(")
    (tmp_path / "needs_more.py").write_text("import no_such_package_at_all")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    for name in ("my_samplers", "half_written", "needs_more"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "my_samplers"


@pytest.mark.parametrize("name", [*METHODS, *BASELINES, "seeds-2@0.7"])
def test_own_names_are_found_with_their_declared_orders(name: str) -> None:
    target = find_target(name)
    assert target.name == name
    assert target.declared is not None
    on_a_path = target.declared.strong is not None
    assert target.takes_noise_sampler == on_a_path


def test_a_function_of_a_module_in_the_current_folder(module: str) -> None:
    assert find_target(f"{module}:sample_euler").keywords >= {"extra_args", "callback", "step"}
    nested = find_target(f"{module}:Family.euler?step=0.5&kind=b")
    assert nested.options == {"step": 0.5, "kind": "b"}
    assert nested.declared is None


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("step=1", {"step": 1}),
        ("step=-1e-3", {"step": -1e-3}),
        ("step=true", {"step": True}),
        ("step=False", {"step": False}),
        ("step=none", {"step": None}),
        ("step=(1, 2)", {"step": (1, 2)}),
        ("kind=dpmsolver++", {"kind": "dpmsolver++"}),
        ("kind='1'", {"kind": "1"}),
        ("kind=a=b", {"kind": "a=b"}),
        ("step=1&&kind=x", {"step": 1, "kind": "x"}),
        ("", {}),
    ],
)
def test_options_are_literals_or_words(module: str, query: str, options: dict) -> None:
    assert find_target(f"{module}:sample_euler?{query}").options == options


def test_options_beside_the_name_win(module: str) -> None:
    target = find_target(f"{module}:sample_euler?step=1", {"step": 2, "kind": "c"})
    assert target.options == {"step": 2, "kind": "c"}


def test_an_eta_is_an_option_or_the_default() -> None:
    assert find_target("seeds-2").eta == 1.0
    assert find_target("seeds-2?eta=0.5").eta == 0.5
    assert find_target("euler").eta is None


def test_a_function_of_a_file(tmp_path: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of one in another folder, which imports from its own, and has the name of another module."""
    assert find_target(f"{module}.py:sample_euler?step=2").options == {"step": 2}
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "neighbour_of_it.py").write_text(MODULE)
    text = "from dataclasses import dataclass\nfrom neighbour_of_it import sample_euler\n"
    (folder / "json.py").write_text(text + "@dataclass\nclass Own:\n    x: int = 1\n")
    import json

    for file in (folder / "json.py", Path("deep/json.py")):
        assert find_target(f"{file}:sample_euler").sampler.__module__ == "neighbour_of_it"
    assert sys.modules["json"] is json


def test_an_option_that_is_code_does_not_run(module: str) -> None:
    target = find_target(f"{module}:sample_euler?kind=__import__('os').getcwd()")
    assert target.options == {"kind": "__import__('os').getcwd()"}


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("seeds-9", UnknownNameError, "(did you mean 'seeds-3'?); known: seeds-1, seeds-2"),
        ("seeds-9", UnknownNameError, "module:function"),
        ("", UnknownNameError, "module:function"),
        ("no_such_module_here:sample", UnknownNameError, "cannot import 'no_such_module_here'"),
        ("no_such_module_here:sample", UnknownNameError, "install"),
        (":sample", UnknownNameError, "no name of a module"),
        (".relative:sample", UnknownNameError, "my_sampler.py:sample"),
        ("folder/my_samplers:sample", UnknownNameError, "my_sampler.py:sample"),
        ("no_such_file.py:sample", UnknownNameError, "there is no file no_such_file.py"),
        (
            "half_written.py:sample",
            UnknownNameError,
            "importing 'half_written.py' raises SyntaxError",
        ),
        ("needs_more.py:sample", UnknownNameError, "no_such_package_at_all"),
        (
            "my_samplers.py:sample_heun",
            UnknownNameError,
            "my_samplers.py has no 'sample_heun' (did you mean",
        ),
        ("my_samplers.py:", UnknownNameError, "it has sample_euler"),
        ("my_samplers.py:number", ParameterError, "a sampler is a function; got 3"),
        ("a..b:sample", UnknownNameError, "cannot import"),
        ("needs_more:sample", UnknownNameError, "no_such_package_at_all"),
        ("my_samplers:sample_heun", UnknownNameError, "it has sample_euler"),
        ("my_samplers:", UnknownNameError, "it has sample_euler"),
        ("my_samplers:Family.heun", UnknownNameError, "has no 'Family.heun'"),
        ("my_samplers:number", ParameterError, "a sampler is a function; got 3"),
        ("my_samplers:denoise", ParameterError, "sampler(model, x, sigmas"),
        ("math:sqrt", ParameterError, "sampler(model, x, sigmas"),
        ("my_samplers:sample_euler?rho=7", ParameterError, "rho"),
        ("my_samplers:sample_euler?step", ParameterError, "name=value&name=value"),
        ("my_samplers:sample_euler?=1", ParameterError, "name=value&name=value"),
        ("seeds-2?rho=7", ParameterError, "no option 'rho'; known: eta, prediction"),
        ("seeds-2?name=3", ParameterError, "no option 'name'; known: eta, prediction"),
        ("seeds-2?eta=many", ParameterError, "eta"),
        ("seeds-2?eta=-1", ParameterError, "eta"),
        ("seeds-2?prediction=eps", UnknownNameError, "known: data, noise"),
        ("seeds-2@1.5", SeedsError, "(0, 1]"),
        ("heun@0.5", UnknownNameError, "known: seeds-1"),
        ("kdiffusion:no_such_sampler", SeedsError, "no_such_sampler"),
    ],
)
def test_a_wrong_name_is_one_typed_line(module: str, name: str, error: type, says: str) -> None:
    with pytest.raises(SeedsError) as caught:
        find_target(name)
    if name.startswith("kdiffusion") and "not installed" in str(caught.value):
        pytest.skip("k-diffusion is not installed")
    assert isinstance(caught.value, error)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_that_does_not_compile_is_one_typed_line(module: str) -> None:
    with pytest.raises(
        UnknownNameError, match=r"importing 'half_written' raises Syn.*never closed"
    ):
        find_target("half_written:sample")


def test_a_target_is_called_with_three_arguments() -> None:
    def asks_for_more(model, x, sigmas, order):
        return x

    with pytest.raises(ParameterError, match="order"):
        Target("sampler", asks_for_more)
    assert Target("sampler", asks_for_more, {"order": 2}).eta is None
