"""`seeds-order`: the measured strong and weak order of methods and baselines, from the command line."""

from __future__ import annotations

import sys
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from seeds_theory import METHODS, ParameterError, method
from seeds_theory.baselines import BASELINES
from seeds_theory.command import (
    one_of,
    require_picture,
    require_writable,
    run_command,
    whole_numbers,
    write_json,
)
from seeds_theory.solver import SOLVERS, Solver
from toy_models.convergence import Study, figure, gaussian_study, table
from toy_models.gaussian import Gaussian
from toy_models.images import fashion_mnist
from toy_models.mixture import GaussianMixture
from toy_models.paths import mixture_study

CURVED = GaussianMixture.scalar((0.4, 0.35, 0.25), (-1.0, 0.2, 1.2), (0.5, 0.4, 0.5))
"""The mixture of ``--target mixture``: three overlapping components on the line."""


class Target(StrEnum):
    """What the data are."""

    gaussian = "gaussian"
    mixture = "mixture"
    images = "images"


class Predicts(StrEnum):
    """What the method integrates."""

    data = "data"
    noise = "noise"


_STEPS = {
    Target.gaussian: "8,16,32,64,128,256,512,1024",
    Target.mixture: "8,16,32,64,128",
    Target.images: "8,16,32,64,128,256",
}

app = typer.Typer(rich_markup_mode="rich")


@app.command()
def order(
    methods: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names from --list; nodes as in seeds-2@0.7.", autocompletion=one_of(SOLVERS)
        ),
    ] = None,
    prediction: Annotated[Predicts, typer.Option(help="What is integrated.")] = Predicts.data,
    eta: Annotated[float, typer.Option(help="1: reverse SDE, 0: ODE; any value >= 0.")] = 1.0,
    target: Annotated[
        Target,
        typer.Option(
            help="gaussian: one-dimensional, exact. mixture: three components on the line, by "
            "Monte Carlo on coupled paths. images: a Gaussian fitted to Fashion-MNIST, exact."
        ),
    ] = Target.gaussian,
    variance: Annotated[
        float | None, typer.Option(help="Data variance of the gaussian target.  [default: 1.0]")
    ] = None,
    sigma_max: Annotated[float, typer.Option(help="First noise level.")] = 10.0,
    sigma_min: Annotated[float, typer.Option(help="Last noise level.")] = 0.05,
    steps: Annotated[
        str | None, typer.Option(help="Step counts, increasing, as 8,16,32. Default: by target.")
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a plot: .png, .svg or .pdf.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the methods and leave.")] = False,
) -> None:
    """Measure the strong and weak convergence order of METHODS.

    Strong: RMS distance to the exact solution on the same Brownian path. Weak: W2 distance to the
    exact law. On Gaussian data both are exact, without sampling.

    Example: [bold]seeds-order seeds-1 seeds-2 seeds-3 --steps 16,32,64,128 --plot orders.png[/bold]
    """
    console = Console(stderr=json_file == "-")
    if list_:
        Console().print(_listing())
        return
    if not methods:
        raise ParameterError(
            "name one or more methods, as seeds-3: --list has all, --help an example"
        )
    for name in methods:
        Solver(name)  # a wrong name ends here, not after the work on the right ones
    if variance is not None and target is not Target.gaussian:
        raise ParameterError(f"--variance is for --target gaussian; got it with {target.value}")
    require_writable(json_file, plot)
    require_picture(plot)
    counts = whole_numbers(steps or _STEPS[target])
    studies = []
    for name in tqdm(methods, desc="methods", disable=not sys.stderr.isatty(), leave=False):
        studies.append(
            _study(
                name,
                target,
                counts,
                1.0 if variance is None else variance,
                sigma_max,
                sigma_min,
                eta,
                prediction.value,
            )
        )
    console.print(table(studies))
    for study in studies:
        for remark in study.remarks:
            console.print(f"note: {remark}", soft_wrap=True, highlight=False)
    if json_file:
        write_json([study.to_json() for study in studies], json_file)
    if plot:
        figure(studies).savefig(plot)


def _study(
    name: str,
    target: Target,
    steps: list[int],
    variance: float,
    sigma_max: float,
    sigma_min: float,
    eta: float,
    prediction: str,
) -> Study:
    ends = {"sigma_max": sigma_max, "sigma_min": sigma_min, "eta": eta, "prediction": prediction}
    if target is Target.mixture:
        return mixture_study(name, CURVED, steps, progress=True, **ends)  # type: ignore[arg-type]
    data = Gaussian.scalar(variance) if target is Target.gaussian else fashion_mnist()
    return gaussian_study(name, data, steps, target=target.value, **ends)  # type: ignore[arg-type]


def _listing() -> Table:
    result = Table(
        caption="Calls: of the model, a step. Strong, weak, ODE: orders; in brackets on Gaussian data, where "
        "higher.",
        box=None,  # no lines: it fits 80 columns
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for heading in ("method", "calls", "strong", "weak", "ODE", "source"):
        result.add_column(heading, no_wrap=heading != "source")
    for name in METHODS:
        tableau = method(name)
        orders = tableau.orders
        result.add_row(
            name,
            str(tableau.calls),
            _both(orders.strong, orders.gaussian.strong),
            _both(orders.weak, orders.gaussian.weak),
            str(orders.ode),
            tableau.reference,
        )
    result.add_section()
    for baseline in BASELINES.values():
        own, on_gaussians = baseline.declared, baseline.declared.gaussian
        result.add_row(
            baseline.name,
            "",
            _both(own.strong, on_gaussians.strong),
            _both(own.weak, on_gaussians.weak),
            _both(own.ode, own.ode),
            baseline.reference,
        )
    return result


def _both(order: Fraction | float | None, gaussian: Fraction | float | None) -> str:
    if order is None:
        return "-"
    text = str(order) if isinstance(order, Fraction) else f"{order:g}"
    return (
        text if order == gaussian or gaussian is None else f"{text} ({_both(gaussian, gaussian)})"
    )


def main() -> None:
    """The console script."""
    run_command(app, "seeds-order")


if __name__ == "__main__":
    main()
