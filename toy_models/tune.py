"""`seeds-tune`: samplers for few model calls, tuned to exact errors and compared on mixtures."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from seeds_theory.catalogue import SAMPLER_NAMES, require_sampler_name
from seeds_theory.command import (
    one_of,
    require_writable,
    run_command,
    whole_numbers,
    write_json,
)

app = typer.Typer(
    rich_markup_mode="rich",
    no_args_is_help=True,
    help="Samplers for few model calls: the tuned settings, and how they were found.\n\n"
    "Example: [bold]seeds-tune show[/bold]; each command's --help has one, too.",
)

_Jobs = Annotated[int, typer.Option(min=1, help="Processes.")]
_Calls = Annotated[
    str | None,
    typer.Option(help="Numbers of model calls, as 10,20. Default: those of the settings."),
]


@app.command()
def fit(
    solver: Annotated[
        str,
        typer.Argument(
            help="A method or baseline, as seeds-3b.", autocompletion=one_of(SAMPLER_NAMES)
        ),
    ],
    nfe: Annotated[int, typer.Option(min=2, help="Model calls.")] = 20,
    eta: Annotated[float, typer.Option(help="1: reverse SDE, 0: ODE.")] = 1.0,
    spectrum: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Eigenvalues of the data's covariance, an .npy file."),
    ] = None,
    width: Annotated[float, typer.Option(help="Of your data; with --spectrum it is known.")] = 1.0,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
) -> None:
    """Tune the two ends of a sampler's grid, uniform in log-SNR, for a number of model calls.

    The objective is the exact W2 distance of the sampler's law on Gaussian data, over power laws of the
    eigenvalues or the spectrum given. Noise levels are multiples of the data's width, the standard
    deviation along the first principal axis.

    Example: [bold]seeds-tune fit seeds-3b --nfe 20 --eta 1[/bold]
    """
    require_sampler_name(solver)
    require_writable(json_file)
    from seeds_theory.settings import require_width
    from toy_models.few_steps import (
        HIGHEST,
        LOWEST,
        TRAINING,
        at_eta,
        law_errors,
        spectrum_of,
        tune,
    )
    from toy_models.tuning import as_options, read_spectrum

    spectra, scale = TRAINING, width
    require_width(width)
    if spectrum:
        values = read_spectrum(spectrum)
        spectra, scale = (spectrum_of(values),), float(values.max().sqrt())
    setting = tune(solver, nfe, at_eta(solver, {}, eta), spectra)
    table = Table(title=f"{solver}, {setting.nfe} model calls, {setting.steps} steps")
    for heading in ("sigma_max / width", "sigma_min / width", "W2 / width of each spectrum"):
        table.add_column(heading, justify="right")
    found = law_errors(setting.sampler, setting.sigmas(), spectra)
    errors = ", ".join(f"{math.sqrt(error):.2g}" for error in found)
    table.add_row(f"{setting.sigma_max:.4g}", f"{setting.sigma_min:.4g}", errors)
    console = Console(stderr=json_file == "-")
    console.print(table)
    for value, bounds in ((setting.sigma_max, HIGHEST), (setting.sigma_min, LOWEST)):
        if value in bounds:
            console.print(f"note: {value:g} is the limit of the search")
    console.print(f"for data of width {scale:.4g}: {as_options(setting, scale)}", soft_wrap=True)
    if json_file:
        write_json(asdict(setting), json_file)


@app.command()
def show(
    width: Annotated[
        float, typer.Option(help="Standard deviation of the data along their first principal axis.")
    ] = 1.0,
    highest: Annotated[
        float, typer.Option(help="The highest noise level that the network knows; 80 for EDM's.")
    ] = math.inf,
) -> None:
    """Print the settings, for data of that width, as options of seeds-generate: what to use with few calls.

    Of each number of calls: the best of all; with noise in every step, as log-densities of steps need it;
    and the ODE, for what needs a map. From Python: [bold]few_steps(10)(denoiser, latents, width)[/bold].

    Example: [bold]seeds-tune show --width 8.9 --highest 80[/bold]
    """
    from seeds_theory.settings import KINDS, require_width
    from seeds_theory.settings import settings as tuned_settings
    from toy_models.tuning import as_options

    require_width(width)
    found = tuned_settings()
    for nfe in sorted({calls for calls, _ in found}):
        for kind in KINDS:
            words = {"best": "best", "sde": "noise in every step", "ode": "the ODE"}[kind]
            typer.echo(f"{nfe} calls, {words}: {as_options(found[nfe, kind], width, highest)}")


@app.command()
def settings(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The settings, JSON.")],
    trials: Annotated[Path, typer.Option(metavar="FILE", help="All that was tried, JSON.")],
    calls: _Calls = None,
    jobs: _Jobs = 1,
) -> None:
    """Search a grid for every candidate; choose the best, the SDE's and the ODE's for each number of calls.

    The objective is the mean logarithm of two distances of laws on a few mixtures, and of the exact distance
    on spectra. It is judged with other random numbers than it was searched with. Ten minutes on one core.

    Example: [bold]seeds-tune settings --out few_steps.json --trials trials.json --jobs 2[/bold]
    """
    require_writable(out, trials)
    from toy_models.few_steps_study import choose
    from toy_models.tuning import search_all

    tried = search_all(_counts(calls), jobs=jobs, progress=sys.stderr.isatty())
    write_json([asdict(result) for result in tried], str(trials))
    write_json([asdict(result) for result in choose(tried)], str(out))


@app.command("compare")
def compare_(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The record, JSON.")],
    count: Annotated[int, typer.Option(min=1000, help="Samples of each.")] = 10_000,
    calls: _Calls = None,
    jobs: _Jobs = 1,
) -> None:
    """Compare the settings with samplers as published, on mixtures that nothing was tuned on.

    The published ones run on EDM's grid from 80 to 0.002. Five minutes on one core.

    Example: [bold]seeds-tune compare --out mixtures.json --calls 10[/bold]
    """
    require_writable(out)
    from toy_models.tuning import compare_all

    done = compare_all(_counts(calls), count, jobs=jobs, progress=sys.stderr.isatty())
    write_json([asdict(result) for result in done], str(out))


def _counts(calls: str | None) -> list[int] | None:
    return None if calls is None else whole_numbers(calls)


def main() -> None:
    """The console script."""
    run_command(app, "seeds-tune")


if __name__ == "__main__":
    main()
