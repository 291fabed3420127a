"""Bad input: a typed error that states the value that broke the rule, for whatever is called."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

import seeds_theory
from seeds_theory import errors
from seeds_theory.errors import (
    DenoiserError,
    DensityError,
    GridError,
    LibraryError,
    NoiseError,
    ParameterError,
    SeedsError,
    TableauError,
    UnknownNameError,
)
from seeds_theory.grids import rho_grid, time_grid, uniform_log_snr
from seeds_theory.methods import METHODS
from seeds_theory.plan import make_plan
from seeds_theory.schedule import RectifiedFlow, VarianceExploding, VariancePreservingLinear

GRID = [2.0, 1.0]


def plan(
    method: object = "seeds-2", sigmas: object = GRID, **options: object
) -> Callable[[], object]:
    return lambda: make_plan(method, sigmas, **options)  # type: ignore[arg-type]


def test_every_error_is_a_seeds_error_and_a_value_error() -> None:
    of_values = [DenoiserError, DensityError, GridError, NoiseError, ParameterError, TableauError]
    kinds = [*of_values, LibraryError, UnknownNameError]
    assert all(issubclass(kind, SeedsError) for kind in kinds)
    assert issubclass(SeedsError, ValueError)
    defined = {
        x for x in vars(errors).values() if isinstance(x, type) and issubclass(x, SeedsError)
    }
    assert defined == {*kinds, SeedsError}
    assert all(getattr(seeds_theory, kind.__name__) is kind for kind in defined)
    assert all(kind.__doc__ for kind in defined)


def test_all_public_names_exist() -> None:
    assert all(hasattr(seeds_theory, name) for name in seeds_theory.__all__)
    assert len(set(seeds_theory.__all__)) == len(seeds_theory.__all__)


METHOD_CASES = [
    (plan("seeds-4"), UnknownNameError, "'seeds-4'"),
    (plan("euler"), UnknownNameError, "'euler'"),
    (plan(""), UnknownNameError, "''"),
    (plan("seeds-2@0"), TableauError, "0"),
    (plan("seeds-2@-1/2"), TableauError, "-1/2"),
    (plan("seeds-2@1.01"), TableauError, "101/100"),
    (plan("seeds-3@0.5,0.5"), TableauError, "1/2, 1/2"),
    (plan("seeds-2@fast"), TableauError, "'fast'"),
    (plan("seeds-2@0.5,0.6"), TableauError, "'seeds-2@0.5,0.6'"),
    (plan("seeds-3@0.5"), TableauError, "'seeds-3@0.5'"),
    (plan("seeds-1@0.5"), TableauError, "'seeds-1@0.5'"),
    (plan(3), SeedsError, "3"),
    (plan(None), SeedsError, "None"),
]

GRID_CASES = [
    (plan(sigmas=[]), GridError, "(0,)"),
    (plan(sigmas=[1.0]), GridError, "(1,)"),
    (plan(sigmas=3.0), GridError, "()"),
    (plan(sigmas=None), GridError, "None"),
    (plan(sigmas=[[2.0, 1.0], [1.0, 0.5]]), GridError, "(2, 2)"),
    (plan(sigmas=[[2.0, 1.0], [1.0]]), GridError, "[[2.0, 1.0], [1.0]]"),
    (plan(sigmas=np.ones((2, 3))), GridError, "(2, 3)"),
    (plan(sigmas=torch.ones(2, 3)), GridError, "(2, 3)"),
    (plan(sigmas=["high", "low"]), GridError, "['high', 'low']"),
    (plan(sigmas=["2", "1"]), GridError, "['2', '1']"),
    (plan(sigmas="21"), GridError, "'21'"),
    (plan(sigmas=torch.tensor([2, 1], dtype=torch.complex64)), GridError, "2.+0.j"),
    (plan(sigmas=torch.tensor([2, 1], dtype=torch.bfloat16)), GridError, "bfloat16"),
    (plan(sigmas=torch.tensor([2.0, 1.0], requires_grad=True)), GridError, "requires_grad"),
    (plan(sigmas=[object(), 1.0]), GridError, "object"),
    (plan(sigmas=[2 + 1j, 1]), GridError, "(2+1j)"),
    (plan(sigmas=[2.0, math.nan, 1.0]), GridError, "index 1"),
    (plan(sigmas=[1.0, 2.0]), GridError, "1 then 2 at index 1"),
    (plan(sigmas=[3.0, 2.0, 2.0]), GridError, "2 then 2 at index 2"),
    (plan(sigmas=[3.0, 2.0, 2.5, 1.0]), GridError, "2 then 2.5 at index 2"),
    (plan(sigmas=[2.0, 1.0, -0.5]), GridError, "-0.5 at index 2"),
    (plan(sigmas=[2.0, -math.inf]), GridError, "-inf"),
    (plan(sigmas=[math.inf, math.inf, 1.0]), GridError, "inf then inf"),
    (plan(sigmas=[math.inf, 1.0, math.inf]), GridError, "1 then inf at index 2"),
    (plan(sigmas=[1.0, 2.0, math.inf, 3.0], eta=0.0), GridError, "2 then inf at index 2"),
    (plan(sigmas=[0.0, 1.0], eta=0.0), GridError, "0 then 1 at index 1"),
    (plan(sigmas=[2.0, 0.0, 1.0], eta=0.0), GridError, "0 then 1 at index 2"),
    (plan(sigmas=[1.0, 1.0], eta=0.0), GridError, "1 then 1 at index 1"),
    (plan(sigmas=[2.0, 1.0, 0.0, 0.0]), GridError, "0 then 0 at index 3"),
    (plan(sigmas=[0.0, 0.0]), GridError, "0 then 0"),
]

OPTION_CASES = [
    (plan(eta=-1.0), ParameterError, "-1.0"),
    (plan(eta=-1e-300), ParameterError, "-1e-300"),
    (plan(eta=math.nan), ParameterError, "nan"),
    (plan(eta=math.inf), ParameterError, "inf"),
    (plan(eta="one"), ParameterError, "one"),
    (plan(eta=None), ParameterError, "None"),
    (plan(prediction="eps"), UnknownNameError, "'eps'"),
    (plan(prediction="F", sigma_data=0.0), ParameterError, "sigma_data"),
    (plan(prediction="F", sigma_data=math.inf), ParameterError, "inf"),
    (plan(method="seeds-2s", prediction="F"), TableauError, "seeds-2s"),
    (plan(prediction=None), UnknownNameError, "None"),
]

MAKER_CASES = [
    (lambda: uniform_log_snr(1.0, 2.0, 5), GridError, "sigma_max = 1.0"),
    (lambda: uniform_log_snr(1.0, 1.0, 5), GridError, "sigma_min = 1.0"),
    (lambda: uniform_log_snr(1.0, 0.0, 5), GridError, "sigma_min = 0.0"),
    (lambda: uniform_log_snr(1.0, -2.0, 5), GridError, "sigma_min = -2.0"),
    (lambda: uniform_log_snr(math.inf, 1.0, 5), GridError, "sigma_max = inf"),
    (lambda: uniform_log_snr(math.nan, 1.0, 5), GridError, "sigma_max = nan"),
    (lambda: rho_grid(1.0, 2.0, 5), GridError, "sigma_max = 1.0"),
    (lambda: rho_grid(1.0, math.nan, 5), GridError, "sigma_min = nan"),
    (lambda: rho_grid(80, 0.002, 5, rho=0.0), ParameterError, "0.0"),
    (lambda: rho_grid(80, 0.002, 5, rho=-7.0), ParameterError, "-7.0"),
    (lambda: rho_grid(80, 0.002, 5, rho=math.nan), ParameterError, "nan"),
    (lambda: rho_grid(80, 0.002, 5, rho=math.inf), ParameterError, "inf"),
    (lambda: time_grid(RectifiedFlow(), 5, t_max=2.0), GridError, "t_max = 2.0"),
    (lambda: time_grid(RectifiedFlow(), 5, t_min=-0.1), GridError, "t_min = -0.1"),
    (lambda: time_grid(RectifiedFlow(), 5, t_max=0.5, t_min=0.6), GridError, "t_min = 0.6"),
    (lambda: time_grid(RectifiedFlow(), 5, t_min=math.nan), GridError, "t_min = nan"),
    (lambda: time_grid(VarianceExploding(), 5), GridError, "t_max = inf"),
    (lambda: time_grid(VarianceExploding(), 5, t_max=math.inf), GridError, "t_max = inf"),
]

GRID_MAKERS: dict[str, Callable[..., np.ndarray]] = {
    "uniform_log_snr": lambda steps, **o: uniform_log_snr(80.0, 0.002, steps, **o),
    "rho_grid": lambda steps, **o: rho_grid(80.0, 0.002, steps, **o),
    "time_grid": lambda steps, **o: time_grid(VariancePreservingLinear(), steps, **o),
}


def identify(case: object) -> str | None:
    return case.__name__ if isinstance(case, type) else case if isinstance(case, str) else "call"


@pytest.mark.parametrize(
    ("call", "kind", "offence"),
    [*METHOD_CASES, *GRID_CASES, *OPTION_CASES, *MAKER_CASES],
    ids=identify,
)
def test_the_error_is_typed_and_names_the_value(
    call: Callable[[], object], kind: type[SeedsError], offence: str
) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, SeedsError)
    assert offence in str(caught.value)


@pytest.mark.parametrize("maker", GRID_MAKERS)
@pytest.mark.parametrize("steps", [0, -3, 2.5, math.nan, math.inf, "ten", None])
def test_a_grid_has_a_whole_number_of_steps(maker: str, steps: object) -> None:
    with pytest.raises(GridError) as caught:
        GRID_MAKERS[maker](steps)
    assert str(steps) in str(caught.value)


@pytest.mark.parametrize("maker", GRID_MAKERS)
def test_a_grid_to_zero_has_two_steps_or_more(maker: str) -> None:
    with pytest.raises(GridError, match="2 or more; got 1"):
        GRID_MAKERS[maker](1, to_zero=True)


@pytest.mark.parametrize("maker", GRID_MAKERS)
def test_whole_numbers_of_any_type_are_steps(maker: str) -> None:
    assert len(GRID_MAKERS[maker](np.int64(4))) == len(GRID_MAKERS[maker](4.0)) == 5


def test_unknown_methods_and_predictions_list_the_known_ones() -> None:
    with pytest.raises(UnknownNameError) as caught:
        make_plan("seeds-9", GRID)
    assert all(name in str(caught.value) for name in METHODS)
    with pytest.raises(UnknownNameError) as caught:
        make_plan("seeds-1", GRID, prediction="epsilon")
    assert all(f"'{name}'" in str(caught.value) for name in ("data", "noise"))


def test_a_seeds_error_can_be_caught_as_a_value_error() -> None:
    with pytest.raises(ValueError, match="seeds-9"):
        make_plan("seeds-9", GRID)
