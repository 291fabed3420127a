"""The code of papers, from its checkouts: names, options, orders, and the grid followed."""

import importlib
from typing import Any

import pytest
from adapted import follows_the_levels, lists_its_names, local_order, require_loaded

from proofs_checks.audit.entries import entries_of
from seeds_theory.errors import ParameterError, UnknownNameError

ADAPTERS = (
    *("consistency", "ddim", "diffsolvers", "dpmsolver", "dpmsolverv3", "edm", "edm2"),
    *("ersde", "lucidrains", "restart", "sasolver", "scoresde", "unipc"),
)
WITH_OPTIONS_OF_ITS_FUNCTIONS = ("consistency", "edm", "edm2")
"""What they take is known with the checkout only."""

# Docstrings hold formulas with backslashes, and numpy's functions are called on tensors.
ESCAPES = pytest.mark.filterwarnings("ignore:invalid escape sequence")
ARRAYS = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
MARKS = {
    "unipc": (ESCAPES,),
    **dict.fromkeys(("diffsolvers", "dpmsolver", "ersde", "sasolver"), (ESCAPES, ARRAYS)),
}

ORDERS = {
    "consistency:euler": 1,
    "consistency:heun": 2,
    "consistency:dpm": 2,
    "consistency:ancestral": 1,
    "consistency:progdist": 1,
    "ddim:generalized_steps": 1,
    "ddim:generalized_steps?eta=1": 1,
    "ddim:ddpm_steps": 1,
    "diffsolvers:heun": 2,
    "diffsolvers:dpm_2?r=0.3": 2,
    "diffsolvers:ipndm_v?max_order=2": 2,
    "diffsolvers:dpm_pp?max_order=2&lower_order_final=false": 2,
    "diffsolvers:unipc?max_order=2&lower_order_final=false": 3,
    "dpmsolver:multistep?order=2": 2,
    "dpmsolver:singlestep_fixed?order=3": 3,
    "dpmsolver:singlestep_fixed?order=2&algorithm_type=dpmsolver": 2,
    "dpmsolverv3:multistep?order=1&use_corrector=false": 1,
    "dpmsolverv3:multistep?order=2&use_corrector=false&l=0.5&s=0.2&b=0.1&lower_order_final=false": 2,
    "edm:edm_sampler": 2,
    "edm:edm_sampler?S_churn=10": 2,
    "edm:ablation_sampler?solver=euler": 1,
    "edm:ablation_sampler?schedule=vp&scaling=vp": 2,
    "edm2:edm_sampler": 2,
    "edm2:edm_sampler?S_churn=10": 2,
    "ersde:ve_1_order?func_type=1": 1,
    "ersde:vp_1_order?func_type=2": 1,
    "lucidrains:ddpm": 1,
    "lucidrains:ddim?eta=1": 1,
    "lucidrains:elucidated?S_churn=0": 2,
    "lucidrains:dpmpp": 2,
    "lucidrains:v_continuous": 1,
    "restart:restart_sampler": 2,
    "restart:restart_sampler?restart=(0.1,1.0)": 2,
    "sasolver:few_steps?tau=0&predictor_order=1&corrector_order=0": 1,
    "sasolver:more_steps?tau=1&predictor_order=1&corrector_order=0": 1,
    "scoresde:reverse_diffusion": 1,
    "scoresde:reverse_diffusion?sde=vp": 1,
    "scoresde:ancestral_sampling": 1,
    "scoresde:ancestral_sampling?sde=vp": 1,
    "scoresde:euler_maruyama?sde=vp": 1,
    "unipc:bh2?order=2&lower_order_final=false": 3,
    "unipc:bh1?order=1&lower_order_final=false": 2,
    "unipc:vary_coeff?order=2&lower_order_final=false": 1,
}
FOLLOW = (
    "consistency:heun",
    "ddim:generalized_steps",
    "ddim:ddpm_steps",
    "diffsolvers:euler",
    "diffsolvers:dpm_2",
    "diffsolvers:deis",
    "dpmsolver:multistep?order=1",
    "dpmsolver:singlestep_fixed?order=2",
    "dpmsolverv3:multistep?order=1&use_corrector=false",
    "edm:edm_sampler",
    "edm:ablation_sampler?solver=euler",
    "edm2:edm_sampler",
    "ersde:ve_1_order",
    "ersde:vp_1_order",
    "lucidrains:ddpm",
    "lucidrains:elucidated?S_churn=0",
    "lucidrains:continuous",
    "restart:restart_sampler",
    "sasolver:few_steps?predictor_order=1&corrector_order=0",
    "scoresde:reverse_diffusion",
    "scoresde:euler_maruyama",
    "scoresde:ancestral_sampling?corrector=ald",
    "unipc:bh2?order=1",
)


def of(target: str, *values: Any) -> Any:
    """A case of a library, with what its code needs."""
    return pytest.param(target, *values, marks=MARKS.get(target.partition(":")[0], ()), id=target)


def adapter_of(target: str) -> Any:
    return importlib.import_module(f"proofs_checks.audit.peers.{target.partition(':')[0]}")


@pytest.mark.parametrize("name", [*map(of, ADAPTERS)])
def test_its_entries_are_its_own_and_differ(name):
    targets = [entry.target for entry in entries_of(name)]
    assert len(set(targets)) == len(targets)
    names = {target.partition(":")[2].partition("?")[0] for target in targets}
    assert names == set(adapter_of(name).names())


@pytest.mark.parametrize("name", [*map(of, ADAPTERS)])
def test_it_says_what_is_missing(name, monkeypatch):
    lists_its_names(adapter_of(name), monkeypatch)


@pytest.mark.parametrize("name", [*map(of, ADAPTERS)])
def test_it_knows_its_names_and_options(name):
    adapter = adapter_of(name)
    with pytest.raises(UnknownNameError):
        adapter.load("no_sampler", {})
    if name in WITH_OPTIONS_OF_ITS_FUNCTIONS:
        require_loaded(adapter)
    with pytest.raises(ParameterError):
        adapter.load(adapter.names()[0], {"no_option": 1})


@pytest.mark.slow
@pytest.mark.parametrize(("target", "order"), [of(*pair) for pair in ORDERS.items()])
def test_it_converges(target, order):
    require_loaded(adapter_of(target))
    assert local_order(target) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("to_zero", [False, True])
@pytest.mark.parametrize("target", [*map(of, FOLLOW)])
def test_it_follows_the_grid(target, to_zero):
    require_loaded(adapter_of(target))
    follows_the_levels(target, to_zero=to_zero)
