"""`seeds-audit`: a certificate for anybody's sampler, from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Severity
from proofs_checks.audit.known import KnownFindings
from proofs_checks.audit.names import CHECK_NAMES, LIBRARIES, require_target_name
from seeds_theory.catalogue import SAMPLER_NAMES
from seeds_theory.command import (
    one_of,
    require_picture,
    require_writable,
    run_command,
    write_json,
)
from seeds_theory.errors import ParameterError, SeedsError

if TYPE_CHECKING:
    from proofs_checks.audit.gate import Verdict
    from proofs_checks.audit.report import Report

app = typer.Typer(rich_markup_mode="rich")


@app.command()
def seeds_audit(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="module:function or file.py:function with the k-diffusion signature, or another one "
            "said by options, as ?frame=flow&predicts=velocity&takes=x,levels,model; module:Class with step "
            "and set_timesteps; pipe:COMMAND, a program; diffusers:Class?option=value&...; a name from "
            "--list. All options are in the book's chapter on the audit.",
            autocompletion=one_of(SAMPLER_NAMES),
        ),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="CLAIMS",
            help="As weak=2,strong=1 or ode=3: a lower order is an error. With zero and one-step, so is "
            "to refuse a grid that ends at 0, or has one step or two.",
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="A check that does not run; may be given again.",
            autocompletion=one_of(CHECK_NAMES),
        ),
    ] = None,
    accept: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What --json wrote before: findings in it do not fail."),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Set two versions side by side: fail if the second is worse."
        ),
    ] = False,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
    density: Annotated[
        bool,
        typer.Option(
            "--density",
            help="The targets are steps with a log-density, as sde_step_with_logprob: is it theirs?",
        ),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a plot: .png, .svg or .pdf.")
    ] = None,
    markdown_file: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="FILE", help="Write a table for a pull request."),
    ] = None,
    badge_file: Annotated[
        Path | None, typer.Option("--badge", metavar="FILE", help="Write a badge, .svg.")
    ] = None,
    fail_on: Annotated[
        Severity, typer.Option(help="Exit with 1 if there is a finding this bad or worse.")
    ] = Severity.error,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 2,
    list_: Annotated[bool, typer.Option("--list", help="List known samplers and leave.")] = False,
) -> None:
    """Say of any sampler what it converges to, how fast, and how it behaves.

    It runs unmodified, on Gaussian and curved data, where its errors are exact, and on a mixture if it is not
    affine.

    With --density, say of steps whether the log-density that they return is that of what they draw.

    Exit status: 0 it passes; 1 a finding as bad as --fail-on that is not accepted, or a second version that
    is worse; 2 a wrong call.

    Example: [bold]seeds-audit k_diffusion.sampling:sample_dpmpp_sde seeds-2 --plot audit.png[/bold]
    """
    if list_:
        _list(Console())
        return
    if not targets:
        raise ParameterError("name one or more samplers; see --list and --help")
    expectation = Expectation.parse(expect) if expect else Expectation()
    skipped = tuple(dict.fromkeys(skip or ()))
    expectation.require_checked(skipped)
    require_writable(json_file, plot, markdown_file, badge_file)
    require_picture(plot)
    if badge_file and badge_file.suffix != ".svg":
        raise ParameterError(f"a badge is a .svg file; got {badge_file}")
    if compare and (len(targets) != 2 or accept or markdown_file or badge_file):
        raise ParameterError(
            "--compare takes two samplers, and not --accept, --markdown or --badge"
        )
    of_samplers = (expect, skip, accept, compare, plot, markdown_file, badge_file)
    if density and any(of_samplers):
        raise ParameterError("--density goes with --json and --fail-on, and with nothing else")
    for name in targets:
        require_target_name(name)
    if density:
        if not _densities(targets, fail_on, json_file):
            raise typer.Exit(1)
        return
    known = KnownFindings.read(accept) if accept else None
    from proofs_checks.pipe import ended_by_signals

    with ended_by_signals():
        _require_targets(targets)
        if compare:
            passes, reports = _compare(targets, expectation, skipped, fail_on, json_file, jobs)
        else:
            verdicts = _audit(targets, expectation, skipped, fail_on, known, json_file, jobs)
            passes = all(verdict.passes for verdict in verdicts)
            reports = [verdict.report for verdict in verdicts]
            if markdown_file:
                from proofs_checks.audit.markdown import markdown

                markdown_file.write_text(markdown(verdicts), encoding="utf-8")
            if badge_file:
                from proofs_checks.audit.badge import badge

                badge_file.write_text(badge(verdicts, fail_on, expectation), encoding="utf-8")
    if plot:
        from proofs_checks.audit.report import figure

        figure(reports).savefig(plot)
    if not passes:
        raise typer.Exit(1)


def _require_targets(targets: list[str]) -> None:
    """A wrong target ends the command here, and not after the work on the right ones."""
    from proofs_checks.audit.targets import find_target

    for name in targets:
        find_target(name)


def _audit(
    targets: list[str],
    expectation: Expectation,
    skip: tuple[str, ...],
    fail_on: Severity,
    known: KnownFindings | None,
    json_file: str | None,
    jobs: int,
) -> list[Verdict]:
    """Audit the samplers, and print and write what was found."""
    from proofs_checks.audit.checks import audit_all
    from proofs_checks.audit.gate import judge, listed
    from proofs_checks.audit.report import render

    expectations = [expectation] * len(targets)
    show = sys.stderr.isatty()
    reports = audit_all(targets, expectations, skip=skip, jobs=jobs, progress=show)
    verdicts = [judge(report, fail_on, known) for report in reports]
    console = Console(stderr=json_file == "-")
    console.print(render(reports), end="")
    if known:
        console.print(listed(verdicts), end="", highlight=False, markup=False)
    if json_file:
        write_json([report.to_json() for report in reports], json_file)
    return verdicts


def _compare(
    targets: list[str],
    expectation: Expectation,
    skip: tuple[str, ...],
    fail_on: Severity,
    json_file: str | None,
    jobs: int,
) -> tuple[bool, list[Report]]:
    """Compare two samplers, and print and write what was found."""
    from proofs_checks.audit.comparison import compare

    first, second = targets
    show = sys.stderr.isatty()
    comparison = compare(
        first, second, expect=expectation, skip=skip, fail_on=fail_on, jobs=jobs, progress=show
    )
    console = Console(stderr=json_file == "-")
    console.print(comparison.table())
    for line in comparison.lines():
        console.print(line, highlight=False, markup=False)
    if json_file:
        write_json(comparison.to_json(), json_file)
    return not comparison.worse, list(comparison.reports)


def _densities(targets: list[str], fail_on: Severity, json_file: str | None) -> bool:
    """Audit densities of steps, print and write what was found; whether all pass."""
    from proofs_checks.audit.densities.targets import audit_densities

    reports = audit_densities(targets)
    console = Console(stderr=json_file == "-")
    for report in reports:
        console.print(str(report), highlight=False, markup=False, soft_wrap=True)
    if json_file:
        write_json([report.to_json() for report in reports], json_file)
    return not any(report.above(fail_on) for report in reports)


def _list(console: Console) -> None:
    from proofs_checks.audit.peers import library

    console.print(f"this library: {', '.join(SAMPLER_NAMES)}")
    for name in LIBRARIES:
        try:
            names = ", ".join(f"{name}:{sampler}" for sampler in library(name).names())
            console.print(names, highlight=False)
        except SeedsError as error:
            console.print(f"{name}: {error}", highlight=False)
    console.print("anything else: module:function, file.py:function, pipe:COMMAND")


def main() -> None:
    """The console script."""
    run_command(app, "seeds-audit")


if __name__ == "__main__":
    main()
