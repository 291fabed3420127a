"""Chapter "The portable core": the code that runs is the formula that is proved, to the last digits."""

from collections.abc import Callable

from proofs_checks import multistep
from proofs_checks.emission import (
    ETAS,
    LENGTHS,
    cases,
    emitted_variants,
    function_identities,
    identities,
    worst_error,
)
from proofs_checks.ledger import Evidence, Verdict, claim, measure_at_most, prove
from seeds_theory.methods import METHODS
from seeds_theory.scheme import registered

HOUSE = "this project"


def _proves(name: str) -> Callable[[], Evidence]:
    def decide() -> Evidence:
        predictions = registered()[name].predictions
        entries = [
            identity
            for prediction in predictions
            for code, tableau in emitted_variants(name, prediction)
            for identity in identities(code, tableau, prediction)
        ]
        return prove(
            entries, "the emitted code, run on symbols, for every order of its nodes in time"
        )

    return decide


def _measures(name: str) -> Callable[[], Evidence]:
    def decide() -> Evidence:
        predictions = registered()[name].predictions
        return measure_at_most(
            [
                worst_error(case, prediction, enough=1e-12)
                for prediction in predictions
                for case in cases(name)
            ],
            1e-14,
            "worst error, over the largest of its kind in its row, at "
            f"{len(LENGTHS) * len(ETAS) * len(cases(name))} steps",
        )

    return decide


for _name in METHODS:
    claim(
        f"emitted-formula-{_name}",
        f"The emitted code of {_name} returns the rows of its step, for all nodes, eta and levels: levels, "
        "factors of the state and weights of the integrands as they are, weights of the normals by their "
        "squares.",
        source=HOUSE,
        expected=Verdict.proved,
    )(_proves(_name))
    claim(
        f"emitted-digits-{_name}",
        f"Each number that the emitted code of {_name} returns, at its default and at other nodes, is within "
        "$10^{-14}$ of its 50 digits, relative to the largest of its kind (level, factor of the state, "
        f"weights of the integrands, of the normals) in its row, for steps from {min(LENGTHS):g} to "
        f"{max(LENGTHS):g} in log-SNR and eta from {min(ETAS):g} to {max(ETAS):g}.",
        source=HOUSE,
        expected=Verdict.measured,
    )(_measures(_name))


@claim(
    "emitted-formula-seeds-2m",
    "The emitted code of SEEDS-2M returns the numbers of its step, for all nodes, distances of the earlier "
    "stages, eta and levels; weights of the normals by their squares.",
    source=HOUSE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    return prove(multistep.identities(), "the emitted code, run on symbols")


@claim(
    "emitted-digits-seeds-2m",
    "Each number that the emitted code of SEEDS-2M returns is within $10^{-14}$ of its 50 digits, relative "
    "to the largest of its kind (level, factors of the state, weights in the stage, in the step, of the "
    f"noise, in the average), for steps from {min(LENGTHS):g} to {max(LENGTHS):g} in log-SNR, eta from "
    f"{min(ETAS):g} to {max(ETAS):g}, and "
    "earlier stages up to $10^6$ times closer and farther than the step is long.",
    source=HOUSE,
    expected=Verdict.measured,
)
def _() -> Evidence:
    cases = len(LENGTHS) * len(ETAS) * len(multistep.PLACES) * len(multistep.NODES)
    what = f"worst relative error at {cases} steps"
    return measure_at_most([multistep.worst_error()], 1e-14, what)


@claim(
    "emitted-functions",
    "The emitted propagators, noise kernels, noise rates, joint laws of moments and coefficients of "
    "predictions are the formulas that they were made from; joint laws by the squares of their factors.",
    source=HOUSE,
    expected=Verdict.proved,
)
def _() -> Evidence:
    return prove(function_identities(), "the emitted code, run on symbols")
