"""Runs of diffusers' pipelines: tiny ones with random weights, saved to folders; nothing is downloaded."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from text_pipelines import BUILT, SIZE  # noqa: E402

from gpu_runs.files.images import open_images  # noqa: E402
from gpu_runs.generate import app, main  # noqa: E402
from gpu_runs.generation.image_run import make_run  # noqa: E402
from gpu_runs.generation.pipeline_images import (  # noqa: E402
    PipelineGeneration,
    PipelineImages,
    PromptWarning,
)
from seeds_theory import SeededNoise  # noqa: E402
from seeds_theory.diffusers import SEEDSScheduler  # noqa: E402
from seeds_theory.errors import SeedsError  # noqa: E402

pytestmark = [
    pytest.mark.slow,  # the two libraries take ten seconds to import
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the two libraries' own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

NONE = {"flow": {"text_encoder_3": None, "tokenizer_3": None}}
"""Parts that a pipeline has not, of which diffusers wants to be told."""
PROMPTS = ("a b", "c d e", "f")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with pipelines by name and a file of prompts; and the pipelines as diffusers loads them."""
    root = tmp_path_factory.mktemp("pipelines")
    (root / "prompts.txt").write_text("\n".join(PROMPTS) + "\n")
    made = {}
    for name, build in BUILT.items():
        (root / "words" / name).mkdir(parents=True)
        build(root / "words" / name).save_pretrained(root / name)
        made[name] = diffusers.DiffusionPipeline.from_pretrained(
            root / name, local_files_only=True, low_cpu_mem_usage=False, **NONE.get(name, {})
        )
        made[name].set_progress_bar_config(disable=True)
    return root, made


def opened(root, name, settings):
    return partial(PipelineImages, root / name, root / "prompts.txt", settings)


def by_hand(pipe, settings, prompt, seed, **call):
    """What diffusers' users write, for one prompt and seed: a picture."""
    theirs = pipe.scheduler
    options = {k: v for k, v in settings.options.items() if k not in ("eta", "prediction")}
    pipe.scheduler = SEEDSScheduler.from_config(
        theirs.config,
        method=settings.method,
        eta=settings.options.get("eta"),
        algorithm=settings.options.get("prediction", "data"),
        options=options or None,
    )
    pipe.scheduler.noise = SeededNoise([seed])
    try:
        (picture,) = pipe(
            prompt,
            num_inference_steps=settings.steps,
            generator=torch.Generator().manual_seed(seed),
            **call,
        ).images
    finally:
        pipe.scheduler = theirs
    return np.asarray(picture).transpose(2, 0, 1)


def apart(one, other):
    return int(np.abs(np.asarray(one, int) - np.asarray(other, int)).max())


def pictures(folder):
    return {
        path.relative_to(folder).as_posix(): np.asarray(Image.open(path)).transpose(2, 0, 1)
        for path in sorted(folder.glob("*/*.png"))
    }


CASES = {
    "sd": (PipelineGeneration("seeds-3", 2), {}),
    "sdxl": (
        PipelineGeneration("seeds-2", 3, {"eta": 0.7}, guidance=3.0, negative_prompt="z z"),
        {"guidance_scale": 3.0, "negative_prompt": "z z"},
    ),
    "flow": (PipelineGeneration("sde-dpm-solver++-2m", 4), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_an_image_is_that_of_the_pipeline_called_by_hand(saved, tmp_path, name):
    root, made = saved
    settings, call = CASES[name]
    content = make_run(opened(root, name, settings), [0, 5], tmp_path / "run", batch=4)
    found = pictures(tmp_path / "run")
    names = [f"000000/{p:06d}-{s:06d}.png" for p in range(3) for s in (0, 5)]
    assert list(found) == names and (content["asked"], content["made"]) == (6, 6)
    for place, prompt in enumerate(PROMPTS):
        for seed in (0, 5):
            expected = by_hand(made[name], settings, prompt, seed, **call)
            assert apart(found[f"000000/{place:06d}-{seed:06d}.png"], expected) <= 1
    assert apart(found[names[0]], found[names[1]]) > 8
    assert apart(found[names[0]], found[names[2]]) > 0  # another prompt on the same noise
    lines = (tmp_path / "run" / "metadata.jsonl").read_text().splitlines()
    assert len(lines) == 6
    assert json.loads(lines[1]) == {"file_name": names[2], "text": "c d e", "seed": 0}


def test_the_batch_changes_no_image_by_more_than_rounding(saved, tmp_path):
    root, _ = saved
    for name, (settings, _) in CASES.items():
        for batch in (1, 5):
            make_run(opened(root, name, settings), [0, 5], tmp_path / f"{name}{batch}", batch=batch)
        one, five = pictures(tmp_path / f"{name}1"), pictures(tmp_path / f"{name}5")
        assert list(one) == list(five)
        assert max(apart(one[file], five[file]) for file in one) <= 1


@pytest.mark.parametrize("method", ["seeds-1", "seeds-2m", "edm-heun", "sa-solver", "ddim"])
def test_any_sampler_of_the_library_runs(saved, method):
    root, made = saved
    settings = PipelineGeneration(method, 3, {"churn": 0.5} if method == "edm-heun" else {})
    images = opened(root, "sdxl", settings)(CPU)
    found = images([0, 1], 2)
    assert found.shape == (2, 3, SIZE, SIZE) and found.dtype == torch.uint8
    assert images.nfe == len(images.pipe.scheduler.timesteps)
    assert apart(found[1], by_hand(made["sdxl"], settings, PROMPTS[1], 0)) <= 1


def test_the_manifest_says_how_an_image_was_made(saved, tmp_path):
    root, _ = saved
    settings = PipelineGeneration("seeds-2", 3, {"eta": 0.5}, height=24, width=32)
    make_run(opened(root, "sdxl", settings), [0], tmp_path / "run")
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    said = content["settings"]
    assert said["pipeline"] == "StableDiffusionXLPipeline"
    assert (said["method"], said["steps"], said["options"]) == ("seeds-2", 3, {"eta": 0.5})
    assert said["scheduler"]["beta_end"] == 0.012 and said["scheduler"]["eta"] == 0.5
    assert content["call"] == {"guidance_scale": 5.0, "height": 24, "width": 32}
    assert content["prompts"] == list(PROMPTS)
    assert (content["nfe"], content["eta"], content["images"]) == (5, 0.5, 3)
    weights = content["files"]["unet/diffusion_pytorch_model.safetensors"]
    assert len(weights) == 64 and "model_index.json" in content["files"]
    assert {"diffusers", "transformers"} <= set(content["runs"][0]["versions"])
    assert open_images(tmp_path / "run").shape == (3, 3, 24, 32)


def test_infinite_settings_of_a_scheduler_are_words_in_the_manifest(saved, tmp_path):
    root, _ = saved
    folder = shutil.copytree(root / "sd", tmp_path / "sd")
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", "DPMSolverMultistepScheduler"]
    (folder / "model_index.json").write_text(json.dumps(index))
    diffusers.DPMSolverMultistepScheduler().save_pretrained(folder / "scheduler")
    run = partial(PipelineImages, folder, root / "prompts.txt", PipelineGeneration("seeds-1", 2))
    for _ in range(2):  # it is taken up, too
        content = make_run(run, [0], tmp_path / "run")
    assert content["settings"]["scheduler"]["lambda_min_clipped"] == "-inf"
    assert (content["made"], len(content["runs"])) == (0, 1)


def test_arrays_have_seeds_and_prompts(saved, tmp_path):
    root, _ = saved
    settings = PipelineGeneration("seeds-1", 2)
    make_run(opened(root, "sd", settings), [2, 7], tmp_path / "x.npz")
    make_run(opened(root, "sd", settings), [2, 7], tmp_path / "run")
    arrays = np.load(tmp_path / "x.npz")
    assert arrays["seeds"].tolist() == [2, 2, 2, 7, 7, 7]
    assert arrays["prompts"].tolist() == [0, 1, 2, 0, 1, 2]
    found = pictures(tmp_path / "run")
    for seed, prompt, image in zip(
        arrays["seeds"], arrays["prompts"], arrays["images"], strict=True
    ):
        assert np.array_equal(found[f"000000/{prompt:06d}-{seed:06d}.png"], image)


def test_more_seeds_are_added_and_other_prompts_are_another_run(saved, tmp_path):
    root, _ = saved
    settings = PipelineGeneration("seeds-1", 2)
    make_run(opened(root, "sd", settings), [0], tmp_path / "run")
    assert make_run(opened(root, "sd", settings), [0], tmp_path / "run")["made"] == 0
    content = make_run(opened(root, "sd", settings), [0, 1], tmp_path / "run")
    assert (content["asked"], content["made"], content["images"]) == (6, 3, 6)
    assert len((tmp_path / "run" / "metadata.jsonl").read_text().splitlines()) == 6
    (tmp_path / "prompts.txt").write_text("a b\nc d e\ng\n")
    other = partial(PipelineImages, root / "sd", tmp_path / "prompts.txt", settings)
    with pytest.raises(SeedsError, match="is of a run with prompts = "):
        make_run(other, [0], tmp_path / "run")
    other = opened(root, "sd", PipelineGeneration("seeds-1", 2, guidance=2.0))
    with pytest.raises(SeedsError, match=r"guidance = None, this one has 2\.0"):
        make_run(other, [0], tmp_path / "run")


def arguments(root, out, *more, name="sdxl"):
    options = ["--method", "seeds-1", "--steps", "2", "--seeds", "0-9", "--out", str(out)]
    files = ["--pipeline", str(root / name), "--prompts", str(root / "prompts.txt")]
    return [*files, *options, *more]


def start(command):
    return subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_run_goes_on_and_two_processes_make_the_same_images(saved, tmp_path):
    root, _ = saved
    out, module = tmp_path / "killed", "gpu_runs.generate"
    process = start([sys.executable, "-m", module, *arguments(root, out, "--batch", "2")])
    while not list(out.glob("*/*.png")):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = len(pictures(out))
    assert 0 < left < 30
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    process = start(
        [*torchrun, "--nproc_per_node=2", "-m", module, *arguments(root, out, "--batch", "2")]
    )
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    runs = json.loads((out / "run.json").read_text())["runs"]
    assert [(run["processes"], run["images"]) for run in runs][1] == (2, 30 - left)
    whole = opened(root, "sdxl", PipelineGeneration("seeds-1", 2))
    make_run(whole, range(10), tmp_path / "whole", batch=2)
    one, other = pictures(out), pictures(tmp_path / "whole")
    assert list(one) == list(other) and len(one) == 30
    assert max(apart(one[file], other[file]) for file in one) <= 1


def test_the_command_reaches_no_network(saved, tmp_path, monkeypatch):
    def refused(*_):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    root, _ = saved
    result = CliRunner().invoke(app, arguments(root, tmp_path / "run", "--dtype", "bfloat16"))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"30 images in {tmp_path / 'run'}: 2 network calls each")
    assert result.stderr == ""


def test_prompts_that_are_too_long_are_said_once(saved, tmp_path):
    root, _ = saved
    (tmp_path / "prompts.txt").write_text("a\nb " + "c " * 20 + "\n" + "d " * 30)
    with pytest.warns(PromptWarning) as caught:
        PipelineImages(root / "sd", tmp_path / "prompts.txt", PipelineGeneration("seeds-1", 2), CPU)
    said = [str(warning.message) for warning in caught if warning.category is PromptWarning]
    assert said == [
        "prompt 1 has 23 tokens, and 1 others are too long: tokenizer reads 16 at most, what follows "
        "has no effect on it"
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--network", "fashion-mnist"], "name a --network, or a --pipeline with its --prompts"),
        (["--grid", "logsnr"], "--grid has no effect with --pipeline: leave it out"),
        (["--sigma-min", "0.002"], "--sigma-min has no effect with --pipeline"),
        (["--labels", "none"], "--labels has no effect with --pipeline"),
        (["--precision", "fp32"], "--precision has no effect with --pipeline"),
        (["--state", "float32"], "--state has no effect with --pipeline"),
        (["--compile"], "--compile has no effect with --pipeline"),
        (["--prompts", "nowhere.txt"], "there is no file of prompts nowhere.txt"),
        (["--pipeline", "nowhere"], "there is no folder nowhere: --pipeline is a folder"),
        (["--pipeline", "hub/model"], "nothing is downloaded"),
        (["--pipeline", __file__], "there is no folder"),
        (["--method", "seeds-9"], "unknown sampler 'seeds-9'"),
        (["--dtype", "fp8"], "unknown dtype 'fp8'; known: float32, bfloat16, float16"),
        (["--eta", "-1"], "eta"),
        (["--option", "churn=1"], "churn"),
        (["--steps", "0"], "steps"),
        (["--height", "17"], "divisible by"),
        (["--height", "0"], "height is 1 or more"),
        (["--guidance", "nan"], "guidance is finite and 0 or more; got nan"),
        (["--guidance", "1", "--negative-prompt", "x"], "has no effect with guidance 1"),
        (["--call", "image=3"], "image is no argument of StableDiffusionXLPipeline"),
        (["--call", "prompt=x"], "prompt is no argument of .* that is set with --call"),
        (["--call", "prompt_2=x"], "prompt_2 is no argument of"),
        (["--call", "num_images_per_prompt=2"], "num_images_per_prompt is no argument of"),
        (["--call", "clip_skip"], "NAME=VALUE"),
        (["--call", "cross_attention_kwargs={}"], "is a number or a word"),
        (["--seeds", str(2**64 - 1)], "with 3 prompts seeds lie below 6148914691236517205"),
        (["--seeds", "0-9999998"], "got 3 prompts with 9999999 seeds"),
        (["--variant", "../x"], "a variant is a word"),
        (["--variant", "fp16"], "sdxl has no weights of the variant fp16: leave --variant out"),
    ],
)
def test_bad_input_is_one_line_and_status_2(saved, tmp_path, monkeypatch, capsys, more, message):
    root, _ = saved
    out = tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["seeds-generate", *arguments(root, out, *more)])
    main_until_exit(2)
    error = capsys.readouterr().err
    assert error.startswith("seeds-generate: ") and error.count("\n") == 1, error
    assert re.search(message, error), error
    assert not out.exists()


def main_until_exit(status):
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code or 0) == status


def test_options_of_a_pipeline_have_no_place_beside_a_network(monkeypatch, capsys, tmp_path):
    common = ["--method", "seeds-1", "--steps", "2", "--seeds", "0", "--out", str(tmp_path / "x")]
    for more in (
        ["--prompts", "x"],
        ["--guidance", "2"],
        ["--dtype", "float32"],
        ["--call", "a=1"],
    ):
        monkeypatch.setattr(
            sys, "argv", ["seeds-generate", "--network", "fashion-mnist", *common, *more]
        )
        main_until_exit(2)
        assert f"{more[0]} has no effect with --network: leave it out" in capsys.readouterr().err
    for more in ([], ["--pipeline", "x"]):
        monkeypatch.setattr(sys, "argv", ["seeds-generate", *common, *more])
        main_until_exit(2)
        assert "--prompts" in capsys.readouterr().err
