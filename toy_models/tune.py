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

from seeds_theory.command import (
    in_processes,
    require_writable,
    run_command,
    whole_numbers,
    write_json,
)
from seeds_theory.errors import ParameterError
from seeds_theory.settings import require_width
from seeds_theory.settings import settings as tuned_settings
from seeds_theory.solver import Solver
from toy_models.few_steps import TRAINING, Spectrum, law_errors, spectrum_of, tune
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

app = typer.Typer(add_completion=False, rich_markup_mode="rich", no_args_is_help=True)

_Jobs = Annotated[int, typer.Option(min=1, help="Processes.")]
_ALL_CALLS = ",".join(map(str, CALLS))
_Calls = Annotated[str, typer.Option(help="Numbers of model calls.")]


@app.command()
def fit(
    solver: Annotated[str, typer.Argument(help="A method or baseline, as seeds-3b.")],
    nfe: Annotated[int, typer.Option(min=2, help="Model calls.")] = 20,
    eta: Annotated[float, typer.Option(help="1: reverse SDE, 0: ODE.")] = 1.0,
    spectrum: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Eigenvalues of the data's covariance, an .npy file."),
    ] = None,
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
    spectra = (_read(spectrum),) if spectrum else TRAINING
    baseline = Solver(solver).baseline
    own = {} if baseline and baseline.only_eta is not None else {"eta": eta}
    setting = tune(solver, nfe, own, spectra)
    table = Table(title=f"{solver}, {setting.nfe} model calls, {setting.steps} steps")
    for heading in ("sigma_max / width", "sigma_min / width", "W2 / width of each spectrum"):
        table.add_column(heading, justify="right")
    found = law_errors(setting.sampler, setting.sigmas(), spectra)
    errors = ", ".join(f"{math.sqrt(error):.2g}" for error in found)
    table.add_row(f"{setting.sigma_max:.4g}", f"{setting.sigma_min:.4g}", errors)
    Console(stderr=json_file == "-").print(table)
    if json_file:
        write_json(asdict(setting), json_file)


def _read(file: Path) -> Spectrum:
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ParameterError(f"{file} is no .npy file of numbers: {error}") from None
    if (
        values.ndim != 1
        or values.dtype.kind not in "fiu"
        or not (np.isfinite(values) & (values >= 0)).all()
        or not values.any()
    ):
        raise ParameterError(
            f"eigenvalues are one row of numbers >= 0; got shape {values.shape} of {values.dtype}"
        )
    return spectrum_of(torch.as_tensor(values, dtype=torch.float64))


@app.command()
def show(
    width: Annotated[
        float, typer.Option(help="Standard deviation of the data along their first principal axis.")
    ] = 1.0,
) -> None:
    """List the tuned settings, with their noise levels for data of that width.

    Run one from Python, [bold]few_steps(10)(denoiser, latents, width)[/bold], or with
    [bold]seeds-generate --grid logsnr[/bold] and the options that the table lists.

    Example: [bold]seeds-tune show --width 8.9[/bold]
    """
    require_width(width)
    table = Table()
    for heading in ("NFE", "eta", "--method", "--steps", "--sigma-max", "--sigma-min", "--option"):
        table.add_column(heading, justify="left" if heading == "--method" else "right")
    for (nfe, eta), setting in sorted(tuned_settings().items()):
        high, low = width * setting.sigma_max, width * setting.sigma_min
        options = [f"{k}={v}" for k, v in setting.options.items() if k != "eta"]
        row = (
            f"{nfe}",
            f"{eta:g}",
            setting.solver,
            f"{setting.steps}",
            f"{high:.4g}",
            f"{low:.4g}",
        )
        table.add_row(*row, "\n".join(options))
    Console().print(table)


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
