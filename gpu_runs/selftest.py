"""`seeds-selftest`: whether this machine computes as it should, and a report to attach where it does not."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from gpu_runs.names import SELF_TESTS
from seeds_theory.command import one_of, require_writable, run_command, write_json
from seeds_theory.errors import ParameterError, unknown

app = typer.Typer(rich_markup_mode="rich")
_MOST = 64  # processes, each of which loads torch


@app.command()
def selftest(
    checks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CHECK]...",
            help=f"Of {', '.join(SELF_TESTS)}; by default all.",
            autocompletion=one_of(SELF_TESTS),
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="As cpu or cuda. Default: the GPU, if there is one.")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(help="Of the run of several. Default: 2, on GPUs one for each of them."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="The report, JSON; one that is there is replaced.")
    ] = Path("seeds-selftest.json"),
) -> None:
    """Check that this machine computes as it should, in a few minutes; the exit status is 1 if it does not.

    The device is held to the CPU: networks in each precision, noise, all methods, what CUDA graphs and
    torch.compile make; and a run is made by several processes, and one is killed and goes on. Each check is a
    line. The report says the same with all figures, and names no folder, host or user: attach it to a report
    of a fault.

    Example: [bold]seeds-selftest --device cuda[/bold]
    """
    names = list(dict.fromkeys(checks or SELF_TESTS))
    for name in names:
        if name not in SELF_TESTS:
            raise unknown("check", name, SELF_TESTS)
    if processes is not None and not 1 <= processes <= _MOST:
        raise ParameterError(f"processes are 1 to {_MOST}; got {processes}")
    require_writable(out)
    import torch

    from gpu_runs.benchmarks.selftest import Machine, report, run_checks
    from gpu_runs.machine.device import require_device

    where = require_device(device)
    if processes is None:
        processes = torch.cuda.device_count() if where.type == "cuda" else 2
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="seeds-selftest-") as folder:
        machine = Machine(where, processes, Path(folder))
        width = max(map(len, names))
        if sys.stderr.isatty():
            print(f"{len(names)} checks on {where}, a few minutes", file=sys.stderr)
        for outcome in run_checks(machine, names):
            outcomes.append(outcome)
            print(
                f"{outcome.verdict:7} {outcome.check:{width}}  {outcome.said} "
                f"[{outcome.seconds:.1f} s, {len(outcomes)} of {len(names)}]",
                flush=True,
            )
    found = report(machine, outcomes)
    write_json(found, str(out))
    print(f"{found['verdict']}; the report is {out}")
    raise typer.Exit(1 if found["verdict"] == "fail" else 0)


def main() -> None:
    """The console script."""
    run_command(app, "seeds-selftest")


if __name__ == "__main__":
    main()
