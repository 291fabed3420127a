"""`seeds-bench`: tables of methods on a checkpoint, and what the methods cost, from the command line."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from gpu_runs.checkpoints.checkpoint_files import EMBEDDED
from gpu_runs.checkpoints.flags import split_name
from gpu_runs.checkpoints.network_names import FORMS, names_code, require_network
from gpu_runs.names import (
    FASHION_MNIST,
    FEATURES,
    PRECISIONS,
    preset_names,
    require_plan_name,
)
from seeds_theory.catalogue import SAMPLER_NAMES, require_sampler_name
from seeds_theory.command import (
    console,
    one_of,
    require_picture,
    require_writable,
    run_command,
    whole_numbers,
    write_json,
)
from seeds_theory.errors import ParameterError
from seeds_theory.progress import with_bar


class _Commands(TyperGroup):
    """The commands; a plan instead of one is a plan to run."""

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        is_plan = args[0] not in self.commands and (
            args[0].startswith("-") or args[0].endswith(".toml") or args[0] in preset_names()
        )
        return super().resolve_command(ctx, ["run", *args] if is_plan else args)


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode="rich",
    no_args_is_help=True,
    help="Tables of methods on a checkpoint, and what the methods cost.\n\n"
    "[bold]seeds-bench PLAN.toml[/bold] is short for [bold]seeds-bench run PLAN.toml[/bold].\n\n"
    "Example: [bold]seeds-bench micro seeds-1 seeds-3[/bold]; each command's --help has one, too.",
)

Device = Annotated[
    str | None, typer.Option(help="As cpu or cuda:1. Default: the GPU, if there is one.")
]
InsteadOfThePlans = Annotated[
    str | None,
    typer.Option(
        metavar="NETWORK",
        help=f"Instead of the plan's: {FORMS}",
        autocompletion=one_of(EMBEDDED),
    ),
]


@app.command()
def run(
    plan: Annotated[
        str,
        typer.Argument(
            help="A .toml file, or a name that `presets` lists.",
            autocompletion=one_of(preset_names),
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For the results. Default: the plan's name.")
    ] = None,
    network: InsteadOfThePlans = None,
    ref: Annotated[
        str | None, typer.Option(metavar="FILE", help="Reference statistics, likewise.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="As of seeds-fid, instead of the plan's.", autocompletion=one_of(FEATURES)
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file of inception features.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run TorchScript files: they are programs.")
    ] = False,
    ours: Annotated[
        bool, typer.Option("--ours", help="Of a preset: our table, not the published cell.")
    ] = False,
    images: Annotated[
        int | None, typer.Option(min=4, help="Per block of seeds, instead of the plan's.")
    ] = None,
    blocks: Annotated[
        int | None, typer.Option(min=1, help="Of seeds, instead of the plan's.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images to a network call, instead of the plan's.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help=f"Of the network, instead of the plan's: {', '.join(PRECISIONS)}.",
            autocompletion=one_of(PRECISIONS),
        ),
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Run the network through torch.compile.")
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes of one thread; on GPUs, on all of them in turn.")
    ] = 1,
    device: Device = None,
) -> None:
    """Run the PLAN: score each method at each number of steps on each block of seeds.

    A plan says what to make and which methods to compare; a list of an option is a curve for each value:

    \b
    network = "fashion-mnist"     # a checkpoint
    reference = "fashion-mnist"
    features = "fashion-mnist"
    images = 1000                 # to a block of seeds
    blocks = 3
    nfe = [10, 20, 40]            # network calls; or steps = [...] of a method
    [\\[methods]]
    method = "seeds-3"
    eta = [0.5, 1.0]
    label = "third order"         # its name in the table, instead of the method's
    [\\[fine]]                      # a fine solution, see below
    method = "seeds-3"
    eta = [0.5, 1.0]
    steps = [67]

    Further keys of a plan are first_seed, batch, and those that are options of seeds-generate: grid,
    sigma_min, sigma_max, labels (which are classes), precision, state, compile, seeds_like. A method has the
    keys method, label, steps, nfe, published, recalled, and its options.

    The same command again goes on with a run that was stopped, at the batch where it was, and tries failed
    cells again. Started several times, on nodes that see one folder, or by torchrun, it shares the work. A
    plan with more cells or blocks adds to what is there; any other is refused.

    With tables fine, each of a method with one number of steps, each curve of the same eta is also compared
    with that fine solution, on the same noise: with the law that the network itself defines.

    A terminal shows a bar; a log file has a line for each number when it is there.

    The name of this command may be left out.

    Example: [bold]seeds-bench run plan.toml --out table --jobs 2[/bold]

    To repeat a published score, and then to have our table:
    [bold]seeds-bench run edm-cifar10-32x32-uncond-vp --network FILE --ref FILE --weights FILE[/bold],
    and the same with [bold]--ours[/bold].
    """  # noqa: D301
    require_plan_name(plan, ours=ours)
    if network and names_code(network):
        require_network(network)
    from gpu_runs.benchmarks.bench import Resources
    from gpu_runs.benchmarks.curves import table
    from gpu_runs.benchmarks.engine import run_plan
    from gpu_runs.benchmarks.presets import find_plan
    from gpu_runs.machine.distributed import processes

    chosen = find_plan(plan, ours=ours)
    if plan in preset_names():
        given = {"--network": network or chosen.network, "--ref": ref or chosen.reference}
        lost = [
            name
            if file in (chosen.network, chosen.reference)
            else f"{name} (there is no file {file})"
            for name, file in given.items()
            if file != FASHION_MNIST
            and not names_code(file)
            and not Path(split_name(file)[0]).exists()
        ]
        if features is None and weights is None:
            lost.append("--weights")
        if lost:
            raise ParameterError(
                f"{plan} needs {', '.join(lost)}: files that are not part of this project, see "
                "'Real checkpoints' in the README"
            )
    chosen = replace(
        chosen,
        network=network or chosen.network,
        reference=ref or chosen.reference,
        features=features or chosen.features,
        blocks=blocks or chosen.blocks,
        batch=batch or chosen.batch,
        precision=precision or chosen.precision,
        compile=compiled or chosen.compile,
    )
    notes = []
    if images and images != chosen.images:
        if any(curve.published for curve in chosen.curves):
            notes.append(
                f"published scores are left out: they are of {chosen.images} images, and scores depend "
                "on how many there are"
            )
        curves = tuple(replace(curve, published=None) for curve in chosen.curves)
        chosen = replace(chosen, images=images, curves=curves)
    out = out or Path(Path(plan).name.removesuffix(".toml") + ("-ours" if ours else ""))
    with processes(device) as group:
        alone = group.world == 1
        results = run_plan(
            chosen,
            out,
            Resources(
                weights,
                trust,
                device if alone else str(group.device),
                progress=group.rank == 0 and sys.stderr.isatty(),
                log=group.rank == 0 and not sys.stderr.isatty(),
            ),
            jobs=jobs if alone else 1,
        )
        if group.rank > 0:
            return
    screen = console()
    screen.print(table(results))
    screen.print(f"all results: {results.folder}", soft_wrap=True, highlight=False, markup=False)
    for remark in [*notes, *results.header["remarks"]]:
        screen.print(f"note: {remark}", soft_wrap=True, highlight=False, markup=False)
    failed = [row for row in results.rows if row.error]
    for row in failed:
        text = f"failed: {row.label}, {row.steps} steps, block {row.block}: {row.error}"
        screen.print(text, soft_wrap=True, highlight=False, markup=False)
    if failed:
        raise typer.Exit(1)


@app.command()
def plot(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Of results, finished or not.")],
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the plot: .png, .svg or .pdf.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Only this curve; repeat it for more.")
    ] = None,
) -> None:
    """Print the table in DIR as far as it is, and draw its plot.

    Example: [bold]seeds-bench plot table --to table.svg --label "seeds-3, eta 1"[/bold]
    """
    require_writable(to)
    require_picture(to)
    from gpu_runs.benchmarks.curves import figure, table
    from gpu_runs.benchmarks.results import read_results

    results = read_results(folder)
    console().print(table(results, label))
    if to:
        figure(results, label).savefig(to)


@app.command()
def compare(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Of results, finished or not.")],
    published: Annotated[
        bool,
        typer.Option(
            "--published",
            help="With what others published at the nearest NFE, if that is within a factor 3/2.",
        ),
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            help="Of --published, where the network's name does not say: cifar10-32x32-cond."
        ),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
) -> None:
    """Print the scores in DIR by network calls, and with --published those of others on the same data.

    The column best block is the distance as measured, of ours the least of the blocks, as the best of three
    is what EDM published. The column without bias is the one that `run` and `plot` print: over all blocks,
    less the bias of the number of images, and with its standard error.

    FID is of Inception's features and 50000 images: where ours is another distance, or of fewer images, a
    note says that they are not comparable. Each figure has its source; a star marks one that is quoted from
    memory. Another note names figures that are left out, as their numbers of calls are far from ours.

    Example: [bold]seeds-bench compare edm-cifar10-32x32-uncond-vp-ours --published[/bold]
    """
    require_writable(json_file)
    from gpu_runs.benchmarks.published import beside, comparison, left_out, ours, remarks
    from gpu_runs.benchmarks.results import read_results

    if data is not None and not published:
        raise ParameterError("--data says which published scores are meant: add --published")
    results = read_results(folder)
    lines = beside(results, data) if published else ours(results)
    notes = [*remarks(results), *left_out(results, data)] if published else []
    screen = console(json_file)
    screen.print(comparison(lines))
    for note in notes:
        screen.print(f"note: {note}", soft_wrap=True, highlight=False, markup=False)
    if json_file:
        write_json({"lines": [asdict(line) for line in lines], "notes": notes}, json_file)


@app.command("presets")
def list_presets(
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
) -> None:
    """List the public checkpoints with their published settings and scores; the JSON has their plans.

    The weights are licensed CC BY-NC-SA 4.0 and are not part of this project: a user has the files that are
    named here. A score with a star is quoted from memory, not from the publication. SEEDS is the FID that
    its paper's abstract states for such data, at a number of calls that it does not state.

    Example: [bold]seeds-bench presets --json presets.json[/bold]
    """
    require_writable(json_file)
    from gpu_runs.benchmarks.presets import presets

    drawn = Table(
        caption="The weights are CC BY-NC-SA 4.0 and not part of this project. "
        "N steps of their sampler are 2N - 1 network calls. * quoted from memory."
    )
    for heading in ("preset and its file (.pkl)", "what", "steps", "options", "FID", "SEEDS"):
        drawn.add_column(heading, no_wrap=heading.startswith("preset"), overflow="fold")
    for preset in presets().values():
        (curve,) = preset.published.curves
        score = "" if curve.published is None else f"{curve.published:g}{'*' * curve.recalled}"
        drawn.add_row(
            preset.name,
            preset.about,
            str(curve.steps[0]) if curve.steps else "",
            "\n".join(f"{name} {value:g}" for name, value in curve.options.items()) or "eta 0",
            score,
            f"{preset.seeds:g}" if preset.seeds else "",
        )
    console(json_file).print(drawn)
    if json_file:
        write_json([asdict(preset) for preset in presets().values()], json_file)


@app.command()
def micro(
    methods: Annotated[
        list[str] | None,
        typer.Argument(
            help="Methods and baselines. Default: all.", autocompletion=one_of(SAMPLER_NAMES)
        ),
    ] = None,
    network: Annotated[
        str,
        typer.Option(metavar="NETWORK", help=FORMS, autocompletion=one_of(EMBEDDED)),
    ] = FASHION_MNIST,
    nfe: Annotated[int, typer.Option(min=1, help="Most network calls of a run.")] = 20,
    batch: Annotated[int, typer.Option(min=1, help="Images to a network call.")] = 16,
    precision: Annotated[
        str,
        typer.Option(
            help=f"Of the network: {', '.join(PRECISIONS)}.", autocompletion=one_of(PRECISIONS)
        ),
    ] = "fp32",
    device: Device = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
) -> None:
    """Measure what METHODS cost besides the network: time per step, images per second, memory on a GPU.

    Example: [bold]seeds-bench micro seeds-1 seeds-2 seeds-3 --nfe 40[/bold]
    """
    require_writable(json_file)
    require_network(network)
    names = methods or list(SAMPLER_NAMES)
    for name in names:
        require_sampler_name(name)
    from gpu_runs.benchmarks.micro import measure
    from gpu_runs.benchmarks.micro import table as costs_table
    from gpu_runs.checkpoints.opening import open_network
    from gpu_runs.machine.device import require_device
    from seeds_theory.solver import Solver

    for name in names:
        Solver(name)  # wrong nodes end here, not after the work on the right ones
    loaded, _ = open_network(network, require_device(device))
    bar = with_bar(names, show=sys.stderr.isatty(), desc="methods", leave=False)
    costs = [measure(loaded, name, nfe=nfe, batch=batch, precision=precision) for name in bar]
    console(json_file).print(costs_table(costs))
    if json_file:
        write_json([asdict(cost) for cost in costs], json_file)


@app.command()
def tuned(
    width: Annotated[
        float,
        typer.Option(help="Standard deviation of the data along their first principal axis."),
    ],
    nfe: Annotated[str, typer.Option(help="Numbers of network calls.")] = "10,20,40",
    highest: Annotated[
        float, typer.Option(help="The highest noise level that the network knows.")
    ] = 80.0,
    plan: Annotated[
        str | None, typer.Option(help="Network, reference and images as in this plan.")
    ] = None,
    network: InsteadOfThePlans = None,
    images: Annotated[int, typer.Option(min=4, help="Of each setting.")] = 1000,
    device: Device = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for stdout.")
    ] = None,
) -> None:
    """Score the settings for few network calls, the best, the SDE's and the ODE's, on a checkpoint.

    The width of the Fashion-MNIST images is 8.9, in the network's units.

    Example: [bold]seeds-bench tuned --width 8.9 --nfe 10,20[/bold]
    """
    require_writable(json_file)
    if plan:
        require_plan_name(plan)
    if network:
        require_network(network)
    from gpu_runs.benchmarks.bench import Resources
    from gpu_runs.benchmarks.plans import Plan
    from gpu_runs.benchmarks.presets import find_plan
    from gpu_runs.benchmarks.tuned import rows as tuned_rows
    from seeds_theory.settings import few_steps, require_width

    require_width(width)
    kinds = (None, 1.0, 0.0)
    settings = [few_steps(count, eta=eta) for count in whole_numbers(nfe) for eta in kinds]
    base = (
        replace(find_plan(plan), images=images)
        if plan
        else Plan((), images=images, labels="random")
    )
    base = replace(base, network=network or base.network)
    resources = Resources(device=device, progress=sys.stderr.isatty())
    drawn, scored = Table(caption=f"{images} images each, distances to {base.reference}"), []
    for heading in ("setting", "steps", "NFE", "distance"):
        drawn.add_column(heading, justify="left" if heading == "setting" else "right")
    for row in tuned_rows(settings, width, highest, base, resources):
        scored.append(asdict(row))
        found = row.error or f"{row.frechet:.3g}"
        drawn.add_row(row.label, str(row.steps), str(row.nfe), found)
    console(json_file).print(drawn)
    if json_file:
        write_json(scored, json_file)


def main() -> None:
    """The console script."""
    run_command(app, "seeds-bench")


if __name__ == "__main__":
    main()
