"""Folders of pipelines that are broken or hostile: nothing in them is run, and what is wrong is one line."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import diffusers
from text_pipelines import BUILT

import gpu_runs
from gpu_runs.checkpoints.pipeline_folder import VariantWarning, open_pipeline_folder
from gpu_runs.errors import CheckpointError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
RUN = "raise SystemExit('the code of the folder was run')\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipelines")
    (root / "words").mkdir()
    BUILT["sdxl"](root / "words").save_pretrained(root / "sdxl")
    return root / "sdxl"


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "sdxl")


def change(file, **settings):
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **settings}))


def load(folder, **options):
    found = open_pipeline_folder(folder, **options)
    found.hashes()
    return found.load(torch.float32, torch.device("cpu"))


def index(**settings):
    return lambda folder: change(folder / "model_index.json", **settings)


def part(name, file="config.json", **settings):
    return lambda folder: change(folder / name / file, **settings)


def written(name, content=RUN):
    def write(folder):
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)

    return write


def removed(name):
    def remove(folder):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


def shards(name, file):
    """Weights cut into one file, beside weights that are whole."""

    def write(folder):
        kinds = {"unet": "diffusion_pytorch_model", "text_encoder": "model"}
        index = folder / name / f"{kinds[name]}.safetensors.index.json"
        index.write_text(json.dumps({"metadata": {}, "weight_map": {"a": file}}))

    return write


def all_of(*changes):
    return lambda folder: [each(folder) for each in changes]


WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
BROKEN = {
    "no index": (removed("model_index.json"), "is no folder of a pipeline: it has no model_index"),
    "empty index": (
        written("model_index.json", ""),
        "model_index.json: it is no strict JSON: 'Expecting",
    ),
    "binary index": (written("model_index.json", b"\x80\x04\xff"), "model_index.json"),
    "index of a list": (
        written("model_index.json", "[]"),
        "model_index.json: it is no strict JSON: 'it is no JSON object'",
    ),
    "deep index": (written("model_index.json", "[" * 100_000), "it is no strict JSON"),
    "huge index": (written("model_index.json", " " * (2**22 + 1)), "it has 4194305 bytes, more"),
    "name twice": (written("model_index.json", '{"a": 1, "a": 2}'), "the name 'a' is there twice"),
    "pipe as an index": (
        lambda folder: (
            removed("model_index.json")(folder),
            os.mkfifo(folder / "model_index.json"),
        ),
        "it is no regular file",
    ),
    "class of the folder": (index(_class_name=["mine", "Mine"]), "asks for a class of its own"),
    "no class": (index(_class_name=None), "asks for a class of its own, None"),
    "unknown class": (index(_class_name="MyPipeline"), "'MyPipeline', which diffusers .* not have"),
    "class of no pipeline": (index(_class_name="UNet2DModel"), "does not have as a pipeline"),
    "module as a class": (index(_class_name="os"), "does not have as a pipeline"),
    "terminal in a class": (index(_class_name="\x1b[31m"), r"'\\x1b\[31m'"),
    "image to image": (
        index(_class_name="StableDiffusionXLImg2ImgPipeline"),
        "does not make an image of a prompt alone",
    ),
    "videos": (index(_class_name="WanPipeline"), "does not make an image of a prompt alone"),
    "library of the system": (
        index(unet=["os", "system"]),
        "asks for 'system' of 'os' as its unet",
    ),
    "function of a library": (index(unet=["diffusers", "logging"]), "asks for 'logging'"),
    "auto class": (index(text_encoder=["transformers", "AutoModel"]), "asks for 'AutoModel'"),
    "path as a library": (index(unet=["../evil", "Evil"]), "asks for 'Evil' of '../evil'"),
    "module within pipelines": (index(unet=["os", "PathLike"]), "asks for 'PathLike'"),
    "code beside a part": (
        all_of(written("unet/mine.py"), index(unet=["mine", "Mine"])),
        "asks for 'Mine' of 'mine'",
    ),
    "no pair": (index(unet=["diffusers"]), "is no pair of a library and a class"),
    "numbers as a pair": (index(unet=[1, 2]), "is no pair of a library and a class"),
    "part of a dictionary": (index(unet={"a": 1}), "unet in .* is a dict"),
    "part that is not named": (
        lambda folder: (folder / "model_index.json").write_text(
            '{"_class_name": "StableDiffusionXLPipeline", "scheduler": [null, null]}'
        ),
        "has no vae, which StableDiffusionXLPipeline needs",
    ),
    "no scheduler": (index(scheduler=[None, None]), "has no scheduler"),
    "code by auto_map": (part("unet", auto_map={"AutoModel": "mine.M"}), "names code to be run"),
    "code by auto_map of a tokenizer": (
        part("tokenizer", "tokenizer_config.json", auto_map={"AutoTokenizer": ["mine.M", None]}),
        "names code to be run",
    ),
    "kernels of a repository": (
        part("text_encoder", _attn_implementation="someone/kernels"),
        "names code to be run, 'someone/kernels'",
    ),
    "kernels in a network within": (
        part("text_encoder", text_config={"a": [{"attn_implementation": {"": "someone/kernels"}}]}),
        "names code to be run",
    ),
    "kernels that are fetched": (
        part("text_encoder", attn_implementation="flash_attention_2"),
        "names code to be run, 'flash_attention_2': attn_implementation is eager or sdpa",
    ),
    "kernels of a number": (
        part("text_encoder", attn_implementation=[["x"]]),
        "code to be run, a list",
    ),
    "weights elsewhere": (
        part("text_encoder", transformers_weights="sub/model.safetensors"),
        "names files of weights of its own",
    ),
    "pieces that are pickles": (
        shards("text_encoder", "model.bin"),
        "'model.bin' is no safetensors",
    ),
    "pieces of another part": (
        shards("unet", "../vae/diffusion_pytorch_model.safetensors"),
        "is no safetensors file beside it",
    ),
    "pieces of another variant": (
        all_of(shards("unet", "a.fp16.safetensors"), written("unet/a.fp16.safetensors", b"")),
        "names 'a.fp16.safetensors', which is none of its weights",
    ),
    "quantised": (part("unet", quantization_config={"quant_method": "x"}), "quantised weights"),
    "adapter": (
        written("text_encoder/adapter_config.json", '{"base_model_name_or_path": "x"}'),
        "is an adapter",
    ),
    "no folder of a part": (removed("unet"), "has no folder unet, which model_index.json names"),
    "no weights": (removed(WEIGHTS), "unet has no weights in safetensors: save_pretrained"),
    "pickled weights": (
        all_of(
            removed(WEIGHTS), written("unet/diffusion_pytorch_model.bin", b"\x80\x04cos\nsystem\n")
        ),
        "unet has no weights in safetensors: save_pretrained",
    ),
    "another variant": (
        lambda folder: (folder / WEIGHTS).rename(
            folder / "unet/diffusion_pytorch_model.fp16.safetensors"
        ),
        "unet has no weights in safetensors: choose --variant fp16",
    ),
    "weights of nothing": (written(WEIGHTS, b""), "cannot load .*unet"),
    "weights cut off": (
        lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:5000]),
        "cannot load .*unet",
    ),
    "weights of another part": (
        lambda folder: shutil.copy(
            folder / "vae/diffusion_pytorch_model.safetensors", folder / WEIGHTS
        ),
        "do not have '.*' and .* others, as UNet2DConditionModel needs|cannot load .*unet",
    ),
    "part of a size without sense": (
        part("unet", block_out_channels=[1 << 20, 1 << 20]),
        "out of memory with .*unet: --dtype bfloat16 may fit, unless its config.json describes a larger",
    ),
    "part of a bad size": (part("unet", block_out_channels=[8, 32]), "unet"),
    "no configuration": (removed("unet/config.json"), "cannot load .*unet"),
    "no words": (
        removed("tokenizer/tokenizer.json"),
        "has no tokenizer.json and no merges.txt and vocab.json",
    ),
    "schedule of nothing": (
        written("scheduler/scheduler_config.json", "{"),
        "scheduler_config.json: it is no strict JSON",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_or_hostile_is_one_line(folder, name, monkeypatch):
    spoil, message = BROKEN[name]
    spoil(folder)
    monkeypatch.chdir(folder)  # where a module of Python would be found
    with pytest.raises(CheckpointError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "file",
    ["None.py", "pipeline.py", "unet/diffusers.py", "diffusers.py", "tokenizer/transformers.py"],
)
def test_code_that_lies_in_a_folder_is_not_run(folder, file, monkeypatch):
    # diffusers' own loader takes None.py for the pipeline, and unet/diffusers.py for the network.
    monkeypatch.chdir(folder)
    written(file)(folder)
    index(custom_pipeline="pipeline", _custom="x")(folder)
    assert type(load(folder)).__module__.startswith("diffusers.pipelines.")


@pytest.mark.parametrize("library", ["diffusers", "transformers"])
def test_a_library_that_is_missing_is_one_line(library, tmp_path):
    (tmp_path / "y").write_text("a prompt")
    code = (
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "def installed(name, path=None, target=None):\n"
        f"    return None if name == {library!r} else find(name, path, target)\n"
        "PathFinder.find_spec = installed\n"
        "from gpu_runs.generate import main\n"
        "sys.argv[1:] = '--pipeline . --prompts y --method ddim --steps 2 --seeds 0 --out z'.split()\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(gpu_runs.__file__).parents[1])},
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(
        f"seeds-generate: {library} does not import (No module named {library!r}): pip install"
    )


def test_a_variant_is_read_where_there_is_one(folder):
    (folder / WEIGHTS).rename(folder / "unet/diffusion_pytorch_model.fp16.safetensors")
    with pytest.warns(VariantWarning, match="of the variant fp16 for .*vae.*: those without"):
        found = open_pipeline_folder(folder, "fp16")
    assert found.variant == "fp16" and "unet" not in found.without_variant()
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in found.hashes()
    assert "vae/diffusion_pytorch_model.safetensors" in found.hashes()
    assert found.load(torch.float32, torch.device("cpu")).unet.dtype == torch.float32


def test_a_variant_that_no_network_has_is_refused(folder):
    with pytest.raises(CheckpointError, match="no weights of the variant fp16: leave --variant"):
        open_pipeline_folder(folder, "fp16")


def test_weights_in_several_files(folder):
    load(folder).unet.save_pretrained(folder / "unet", max_shard_size="40KB")
    found = open_pipeline_folder(folder).hashes()
    assert len([name for name in found if name.startswith("unet/") and "-of-" in name]) > 1
    load(folder)


def test_infinite_numbers_in_configurations_are_read(folder):
    index(scheduler=["diffusers", "DPMSolverMultistepScheduler"])(folder)
    diffusers.DPMSolverMultistepScheduler().save_pretrained(folder / "scheduler")
    assert "-Infinity" in (folder / "scheduler/scheduler_config.json").read_text()
    assert load(folder).scheduler.config.lambda_min_clipped == -math.inf


def test_a_pipeline_that_was_saved_with_our_scheduler(folder):
    index(scheduler=["seeds_theory.diffusers", "SEEDSScheduler"])(folder)
    assert load(folder).scheduler.config.method is None
