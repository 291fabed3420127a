"""`seeds-generate`: images from a checkpoint or a pipeline by any method or baseline, from the command line.

In a notebook, `gpu_runs.generation.image_run.generate_images` is the same for a checkpoint, `make_run` there
for both, and `gpu_runs.generation.sampler.make_images` makes one batch.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gpu_runs.checkpoints.checkpoint_files import EMBEDDED
from gpu_runs.checkpoints.network_names import FORMS, require_network, require_pipeline
from gpu_runs.errors import printable
from gpu_runs.files.prompts import read_prompts
from gpu_runs.machine.launch import is_one_of_several
from gpu_runs.names import (
    CONVENTIONS,
    DTYPES,
    GRIDS,
    PRECISIONS,
    STATES,
    grid_exponent,
    require_convention,
    require_type_names,
)
from seeds_theory.catalogue import SAMPLER_NAMES, require_sampler_name
from seeds_theory.command import one_of, run_command, warnings_in_one_line
from seeds_theory.errors import ParameterError, unknown
from seeds_theory.eta_schedule import parse_eta
from seeds_theory.seeds_range import parse_seeds

app = typer.Typer(rich_markup_mode="rich")

_OF_A_NETWORK = (
    "grid",
    "sigma_min",
    "sigma_max",
    "labels",
    "precision",
    "state",
    "compile_",
    "seeds_like",
    "autotune",
)
_OF_A_PIPELINE = (
    "prompts",
    "negative_prompt",
    "guidance",
    "height",
    "width",
    "dtype",
    "variant",
    "call",
)
_OPTIONS = {"compile_": "--compile"}
"""What an option is called, where it is not its name with hyphens."""
_BATCHES = {"network": 64, "pipeline": 4}


@app.command()
def generate(
    context: typer.Context,
    method: Annotated[
        str,
        typer.Option(
            help="A method (seeds-3, seeds-2@0.7) or baseline (edm-heun); a wrong name lists all.",
            autocompletion=one_of(SAMPLER_NAMES),
        ),
    ],
    steps: Annotated[int, typer.Option(help="Steps of the grid, the last one to noise level 0.")],
    seeds: Annotated[
        str,
        typer.Option(
            help="One image each, of a pipeline one for each prompt; as 0-49999 or 0-9,20,30-39."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="A folder for PNGs, in folders of 1000; or an .npy or .npz file.")
    ],
    network: Annotated[
        str | None,
        typer.Option(
            metavar="NETWORK",
            help=FORMS,
            autocompletion=one_of(EMBEDDED),
        ),
    ] = None,
    pipeline: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Instead of --network: diffusers' text to image, as save_pretrained writes it.",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Images to a network call. Default: 64, of a pipeline 4."),
    ] = None,
    eta: Annotated[
        str | None,
        typer.Option(
            metavar="ETA",
            help="1: reverse SDE, 0: ODE; 1,1,0,0: one for each step; 1:0.3-5: between these noise levels, 0 "
            "elsewhere. Default: the method's.",
        ),
    ] = None,
    prediction: Annotated[
        str | None,
        typer.Option(
            help="What a method integrates: data or noise, or v, flow, score or F in clocks of their own. "
            "Default: data.",
            autocompletion=one_of(("data", "noise", "v", "flow", "score", "F")),
        ),
    ] = None,
    churn: Annotated[float | None, typer.Option(help="S_churn of edm-heun.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Another option of the method, as s_noise=1.003."),
    ] = None,
    grid: Annotated[
        str,
        typer.Option(
            help=f"Noise levels: {', '.join(GRIDS)}; edm is rho=7.",
            autocompletion=one_of(("edm", "logsnr")),
        ),
    ] = "edm",
    sigma_min: Annotated[float, typer.Option(help="Last noise level before 0.")] = 0.002,
    sigma_max: Annotated[float, typer.Option(help="First noise level; EDM's is 80.")] = 80.0,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Classes: random, cycle, none, 3, or 0,4,7 in turn. Default: random, if any.",
            autocompletion=one_of(("random", "cycle", "none")),
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help=f"Of the network: {', '.join(PRECISIONS)}.", autocompletion=one_of(PRECISIONS)
        ),
    ] = "fp32",
    state: Annotated[
        str,
        typer.Option(
            help=f"Type of the solver's: {', '.join(STATES)}.", autocompletion=one_of(STATES)
        ),
    ] = "float64",
    seeds_like: Annotated[
        str | None,
        typer.Option(
            help="edm: noise and classes of a seed as in EDM's script, for edm-heun image by image.",
            autocompletion=one_of(CONVENTIONS),
        ),
    ] = None,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Run the network through torch.compile.")
    ] = False,
    autotune: Annotated[
        bool,
        typer.Option(
            "--autotune", help="Let cuDNN choose by time; images repeat to rounding then."
        ),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            help="As cpu or cuda:1; under torchrun cpu or cuda. Default: the GPUs, if there are any."
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of a pipeline: plain text, every line is a prompt."),
    ] = None,
    negative_prompt: Annotated[
        str | None, typer.Option(help="Of a pipeline, for all images.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(help="guidance_scale of a pipeline. Default: its own.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(help="Pixels, of a pipeline. Default: its own.")
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Pixels, of a pipeline. Default: its own.")
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            help=f"Of a pipeline's networks: {', '.join(DTYPES)}.", autocompletion=one_of(DTYPES)
        ),
    ] = "float32",
    variant: Annotated[
        str | None,
        typer.Option(help="Of a pipeline's files of weights, as fp16; some have to be there."),
    ] = None,
    call: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Another argument of the pipeline's call, as clip_skip=1."
        ),
    ] = None,
) -> None:
    """Generate images from a checkpoint; the same command again goes on with a run that was stopped.

    An image depends on its seed: bit for bit it is the same from any number of processes with as many
    threads each, and another --batch changes it by no more than rounding. Beside the images are run.json,
    which says how they were made, dataset.json with their classes, and a picture of the first ones.

    Example: [bold]seeds-generate --network fashion-mnist --method seeds-3 --steps 20 --seeds 0-63 --out
    images[/bold]

    [bold]--seeds-like edm[/bold] gives a seed the noise and the class that it has in EDM's script on the same
    kind of device. With edm-heun, at eta 0 or with --churn, the images are those of that script but for
    rounding; of other methods only the initial noise and the classes are.

    A network of your own is a function of your own code, which is imported and run: [bold]--network
    my_network.py:network[/bold], or module:network. It takes the torch.device, and returns a denoiser with
    resolution, channels, label_dim, sigma_min and sigma_max; each process calls it. The run goes on with the
    same code only.

    A pipeline makes one image for each prompt and seed: prompt 12 (from 0) with seed 3 is
    000000/000012-000003.png, and a seed has the same noise for every prompt. Nothing is downloaded, and no
    code in the folder is run; weights are safetensors. The method takes the place of its scheduler, with the
    noise levels that this sets for so many steps. [bold]seeds-generate --pipeline sdxl --prompts prompts.txt
    --method seeds-3 --steps 67 --seeds 0-3 --dtype float16 --out images[/bold]

    On several GPUs or nodes: [bold]torchrun --nproc_per_node=8 -m gpu_runs.generate ...[/bold]; with srun or
    mpirun, SEEDS_DISTRIBUTED=1 and torch's RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT.
    """
    if not is_one_of_several():  # else all processes end together below
        _require_one_kind(context)
        require_sampler_name(method)
        if network is not None:
            require_network(network)
            require_type_names(precision, state)
            grid_exponent(grid)
            require_convention(seeds_like)
        elif dtype not in DTYPES:
            raise unknown("dtype", dtype, DTYPES)
        elif pipeline is not None and prompts is not None:
            require_pipeline(pipeline)
            read_prompts(prompts)
    from gpu_runs.generation.image_run import make_run
    from gpu_runs.machine.distributed import processes

    with (
        processes(device) as group,
        warnings_in_one_line("seeds-generate", quiet=group.rank > 0),
    ):
        named = {"prediction": prediction, "churn": churn}

        def opener() -> Callable[..., Any]:
            _require_one_kind(context)
            options = _options(option or (), named | {"eta": _eta(eta)})
            if pipeline is not None and prompts is not None:
                from gpu_runs.generation.pipeline_images import PipelineGeneration, PipelineImages

                how = PipelineGeneration(
                    method=method,
                    steps=steps,
                    options=options,
                    guidance=guidance,
                    negative_prompt=negative_prompt,
                    height=height,
                    width=width,
                    dtype=dtype,
                    call=_options(call or (), {}),
                )
                return partial(PipelineImages, pipeline, prompts, how, variant=variant)
            from gpu_runs.generation.network_images import NetworkImages
            from gpu_runs.generation.sampler import Generation

            settings = Generation(
                method=method,
                steps=steps,
                options=options,
                grid=grid,
                sigma_min=sigma_min,
                sigma_max=sigma_max,
                labels=labels,
                precision=precision,
                state=state,
                compile=compile_,
                seeds_like=seeds_like,
                autotune=autotune,
            )
            return partial(NetworkImages, str(network), settings)

        open_images = group.together(opener)
        numbers = group.together(lambda: parse_seeds(seeds))
        if compile_ and group.rank == 0:
            print("the first batch compiles the network, which takes minutes", file=sys.stderr)
        content = make_run(
            open_images,
            numbers,
            out,
            batch=batch or _BATCHES["network" if pipeline is None else "pipeline"],
            group=group,
            command=shlex.join(["seeds-generate", *sys.argv[1:]]),
            progress=sys.stderr.isatty(),
        )
        if group.rank == 0:
            rate, made = content["images_per_second"], content["made"]
            speed = f", {rate:.3g} images/s" if made and rate else ""
            asked = content["asked"]
            there = "" if made == asked else f", {asked - made} of them there before"
            print(
                f"{asked} images in {printable(out)}{there}: {content['nfe']} network calls each{speed}"
            )


def _require_one_kind(context: typer.Context) -> None:
    """There is a network or a pipeline with prompts, and no option that is the other's alone."""
    given = {name for name in context.params if _is_given(context, name)}
    if ("network" in given) == ("pipeline" in given):
        raise ParameterError("name a --network, or a --pipeline with its --prompts")
    kind, others = (
        ("--pipeline", _OF_A_NETWORK) if "pipeline" in given else ("--network", _OF_A_PIPELINE)
    )
    for name in others:
        if name in given:
            option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
            raise ParameterError(f"{option} has no effect with {kind}: leave it out")
    if "pipeline" in given and "prompts" not in given:
        raise ParameterError("a --pipeline needs --prompts, a file with a prompt in every line")


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _eta(text: str | None) -> float | str | None:
    """A number as one; any other eta as it was written, so that it stands in the record of the run."""
    if text is None:
        return None
    value = parse_eta(text)
    return value if isinstance(value, float) else text


def _options(texts: Iterable[str], named: dict[str, Any]) -> dict[str, Any]:
    """Options as NAME=VALUE, and those that have an option of the command, by name."""
    options = {name: value for name, value in named.items() if value is not None}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ParameterError(f"an option is NAME=VALUE, as s_noise=1.003; got {text!r}")
        if name in options:
            raise ParameterError(f"option {name!r} is given twice")
        try:
            options[name] = json.loads(value, parse_constant=str)
        except RecursionError:
            raise ParameterError(f"the value of option {name!r} is nested too deeply") from None
        except ValueError:  # a word
            options[name] = value
    return options


def main() -> None:
    """The console script."""
    run_command(app, "seeds-generate")


if __name__ == "__main__":
    main()
