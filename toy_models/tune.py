"""`seeds-tune`: samplers for few model calls, tuned to exact errors and compared on mixtures."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from seeds_theory.command import (
    in_processes,
    one_of,
    require_writable,
    run_command,
    whole_numbers,
    write_json,
)
from seeds_theory.errors import ParameterError
from seeds_theory.settings import Setting, require_width
from seeds_theory.settings import settings as tuned_settings
from seeds_theory.solver import SOLVERS
from toy_models.few_steps import HIGHEST, LOWEST, TRAINING, at_eta, law_errors, spectrum_of, tune
from toy_models.few_steps_study import (
    CALLS,
    CANDIDATES,
    DETERMINISTIC_PEERS,
    HELD_OUT,
    STOCHASTIC_PEERS,
    Comparison,
    Problem,
    Trial,
    choose,
    compare,
    trial,
)

app = typer.Typer(
    rich_markup_mode="rich",
    no_args_is_help=True,
    help="Samplers for few model calls: the tuned settings, and how they were found.\n\n"
    "Example: [bold]seeds-tune show[/bold]; each command's --help has one, too.",
)

_Jobs = Annotated[int, typer.Option(min=1, help="Processes.")]
_ALL_CALLS = ",".join(map(str, CALLS))
_Calls = Annotated[str, typer.Option(help="Numbers of model calls.")]


@app.command()
def fit(
    solver: Annotated[
        str,
        typer.Argument(help="A method or baseline, as seeds-3b.", autocompletion=one_of(SOLVERS)),
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
    require_writable(json_file)
    spectra, scale = TRAINING, width
    require_width(width)
    if spectrum:
        values = _read(spectrum)
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
    console.print(f"for data of width {scale:.4g}: {_options(setting, scale)}", soft_wrap=True)
    if json_file:
        write_json(asdict(setting), json_file)


def _read(file: Path) -> Tensor:
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError):
        values = None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise ParameterError(f"{file} is no .npy file of numbers")
    if values.ndim != 1:
        raise ParameterError(f"a spectrum is one row of eigenvalues; got shape {values.shape}")
    if not np.isfinite(values).all() or not (values >= -1e-9 * np.abs(values).max(initial=0)).all():
        raise ParameterError(
            f"eigenvalues are finite and >= 0; got {values.min(initial=0):g} in {file}"
        )
    if not values.any():
        raise ParameterError(f"{file} has no eigenvalue above 0")
    return torch.as_tensor(values, dtype=torch.float64).clamp(min=0)


@app.command()
def show(
    width: Annotated[
        float, typer.Option(help="Standard deviation of the data along their first principal axis.")
    ] = 1.0,
    highest: Annotated[
        float, typer.Option(help="The highest noise level that the network knows; 80 for EDM's.")
    ] = math.inf,
) -> None:
    """Print the tuned settings, for data of that width, as options of seeds-generate.

    From Python: [bold]few_steps(10)(denoiser, latents, width)[/bold].

    Example: [bold]seeds-tune show --width 8.9 --highest 80[/bold]
    """
    require_width(width)
    found = tuned_settings()
    for nfe, eta in sorted(found):
        setting = found[nfe, eta]
        typer.echo(f"{nfe} calls, {'SDE' if eta else 'ODE'}: {_options(setting, width, highest)}")


def _options(setting: Setting, width: float, highest: float = math.inf) -> str:
    """A setting as options of seeds-generate."""
    high, *_, low, _ = setting.sigmas(width, highest)
    eta = f" --eta {setting.options['eta']:g}" if "eta" in setting.options else ""
    own = (f" --option {k}={v}" for k, v in setting.options.items() if k != "eta")
    return (
        f"--method {setting.solver}{eta} --grid logsnr --steps {setting.steps} "
        f"--sigma-max {high:.4g} --sigma-min {low:.4g}" + "".join(own)
    )


@app.command()
def settings(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The settings, JSON.")],
    trials: Annotated[Path, typer.Option(metavar="FILE", help="All that was tried, JSON.")],
    calls: _Calls = _ALL_CALLS,
    jobs: _Jobs = 1,
) -> None:
    """Tune every candidate and choose, for each number of model calls, the SDE's and the ODE's setting.

    Chosen is the least worst Frechet distance on a few mixtures; the objective of the tuning decides
    among those that noise cannot tell apart. A quarter of an hour on two cores.

    Example: [bold]seeds-tune settings --out few_steps.json --trials trials.json --jobs 2[/bold]
    """
    require_writable(out, trials)
    tasks = [
        (name, options, nfe, eta)
        for nfe in whole_numbers(calls)
        for eta, candidates in CANDIDATES.items()
        for name, options in candidates
    ]
    tried = in_processes(_trial, tasks, jobs=jobs, label="tuning", progress=sys.stderr.isatty())
    write_json([asdict(result) for result in tried], str(trials))
    groups: dict[tuple[int, float], list[Trial]] = {}
    for result in tried:
        groups.setdefault((result.nfe, result.setting.eta), []).append(result)
    write_json([asdict(choose(group)) for group in groups.values()], str(out))


def _trial(task: tuple[str, dict[str, Any], int, float]) -> Trial:
    return trial(*task)


@app.command("compare")
def compare_(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The record, JSON.")],
    count: Annotated[
        int, typer.Option(min=1000, help="Samples on the first mixture; a quarter on the others.")
    ] = 200_000,
    calls: _Calls = _ALL_CALLS,
    jobs: _Jobs = 1,
) -> None:
    """Compare the settings with samplers as published, on mixtures that nothing was tuned on.

    The published ones run on EDM's grid from 80 to 0.002. Half an hour on two cores.

    Example: [bold]seeds-tune compare --out mixtures.json --count 20000[/bold]
    """
    require_writable(out)
    tasks = [
        (problem, name, kind, nfe, count if problem is HELD_OUT[0] else count // 4)
        for problem in HELD_OUT
        for nfe in whole_numbers(calls)
        for kind, names in (
            ("tuned", ("eta = 1", "eta = 0")),
            ("stochastic", STOCHASTIC_PEERS),
            ("deterministic", DETERMINISTIC_PEERS),
            ("exact", ("samples of the data",)),
        )
        for name in names
    ]
    done = in_processes(_compare, tasks, jobs=jobs, label="sampling", progress=sys.stderr.isatty())
    write_json([asdict(result) for result in done], str(out))


def _compare(task: tuple[Problem, str, str, int, int]) -> Comparison:
    return compare(*task)


def main() -> None:
    """The console script."""
    run_command(app, "seeds-tune")


if __name__ == "__main__":
    main()
