"""`seeds-order`: the measured strong and weak order of methods and baselines, from the command line."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from seeds_theory.catalogue import SAMPLER_NAMES, require_sampler_name
from seeds_theory.command import (
    one_of,
    require_picture,
    require_writable,
    run_command,
    whole_numbers,
    write_json,
)
from seeds_theory.errors import ParameterError
from seeds_theory.progress import with_bar


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
            help="Names from --list; nodes as in seeds-2@0.7.", autocompletion=one_of(SAMPLER_NAMES)
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
        from toy_models.listing import listing

        Console().print(listing())
        return
    if not methods:
        raise ParameterError(
            "name one or more methods, as seeds-3: --list has all, --help an example"
        )
    for name in methods:
        require_sampler_name(name)
    if variance is not None and target is not Target.gaussian:
        raise ParameterError(f"--variance is for --target gaussian; got it with {target.value}")
    require_writable(json_file, plot)
    require_picture(plot)
    counts = whole_numbers(steps or _STEPS[target])
    from seeds_theory.solver import Solver
    from toy_models.convergence import figure, table
    from toy_models.target import study_on

    for name in methods:
        Solver(name)  # wrong nodes end here, not after the work on the right ones
    on_data: dict[str, Any] = {
        "variance": 1.0 if variance is None else variance,
        "sigma_max": sigma_max,
        "sigma_min": sigma_min,
        "eta": eta,
        "prediction": prediction.value,
    }
    bar = with_bar(methods, show=sys.stderr.isatty(), desc="methods", leave=False)
    studies = [study_on(target.value, name, counts, **on_data) for name in bar]
    console.print(table(studies))
    for study in studies:
        for remark in study.remarks:
            console.print(f"note: {remark}", soft_wrap=True, highlight=False)
    if json_file:
        write_json([study.to_json() for study in studies], json_file)
    if plot:
        figure(studies).savefig(plot)


def main() -> None:
    """The console script."""
    run_command(app, "seeds-order")


if __name__ == "__main__":
    main()
