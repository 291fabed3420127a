"""A pipeline of diffusers in a folder, read as data: no code that lies in it is run.

The index of the folder, ``model_index.json``, names classes. They are looked up here, among the installed
diffusers and transformers alone, and each part is loaded by its own class from its own folder: weights are
safetensors. diffusers' own loader would run files of Python in the folder, or import other libraries.
"""

from __future__ import annotations

import inspect
import re
import types
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import torch

from gpu_runs.checkpoints.folder_files import INDEX, FolderFiles, named_class
from gpu_runs.checkpoints.network_names import require_pipeline
from gpu_runs.errors import CheckpointError, printable, shown
from gpu_runs.files.inputs import open_regular, reason
from seeds_theory.command import is_out_of_memory
from seeds_theory.errors import LibraryError, SeedsError

try:
    import transformers
except ImportError as error:
    raise LibraryError(
        f"transformers does not import ({error}): pip install '.[pipelines]' in the project's folder"
    ) from None

from seeds_theory.diffusers import SEEDSScheduler  # isort: skip  (it says so if diffusers is not there)

import diffusers  # isort: skip
from diffusers import pipelines  # isort: skip
from diffusers.utils import logging as diffusers_logging  # isort: skip

_WORDS = "tokenizer.json"
_LIBRARIES = {"diffusers": diffusers, "transformers": transformers}
_SCHEDULER = (SEEDSScheduler.__module__, SEEDSScheduler.__name__)
"""What a pipeline that was saved with our scheduler names as its own."""
_MODELS = (diffusers.ModelMixin, transformers.PreTrainedModel)
_PARTS = (
    *_MODELS,
    diffusers.SchedulerMixin,
    transformers.PreTrainedTokenizerBase,
    transformers.FeatureExtractionMixin,
    transformers.ImageProcessingMixin,
    transformers.ProcessorMixin,
)
_READ = (".json", ".txt", ".model", ".safetensors")
"""The kinds of files that the classes of parts read."""
_RUNS = {
    "auto_map": "names code to be run",
    "quantization_config": "has quantised weights, which are not loaded",
    "adapter_config": "is an adapter, which loads another network",
    "transformers_weights": "names files of weights of its own",
}
"""Settings that are refused, wherever in a configuration they are, and files of that name."""
_IMPLEMENTATIONS = re.compile(r"_?(attn|experts)_implementation(_internal)?")
_OWN_IMPLEMENTATIONS = (None, "eager", "sdpa", "flex_attention", "batched_mm", "grouped_mm")
"""Those that are torch's; for others transformers may fetch a program from a repository, and run it."""
_ANOTHER_INPUT = ("image", "video", "control_image", "num_frames", "audio_length_in_s")
"""Arguments of a call that only pipelines have which make something else, or from something else."""


class VariantWarning(UserWarning):
    """Networks of a pipeline without weights of the variant that is asked for."""


@dataclass(frozen=True)
class PipelineFolder:
    """A pipeline of text to image in a folder, whose classes are known and whose weights are not loaded.

    Attributes
    ----------
    kind : the class of the pipeline.
    parts : the class of each part, None where the pipeline has none.
    options : of the constructor, besides the parts.
    variant : of the files of weights, as "fp16"; None for those without one.
    """

    path: Path
    kind: type
    parts: Mapping[str, type | None]
    options: Mapping[str, Any]
    variant: str | None

    def files(self) -> list[Path]:
        """The files that loading reads, by path: the index, and those of the parts.

        Raises
        ------
        CheckpointError : a part has no folder, or a network no safetensors; or the list of the files that
            weights are cut into names others.
        """
        files = [self.path / INDEX]
        for name, kind in self.parts.items():
            if kind is not None:
                files += self._of_part(name, kind)
        return sorted(files)

    def _of_part(self, name: str, kind: type) -> list[Path]:
        folder = self.path / name
        if not folder.is_dir():
            raise CheckpointError(
                f"{printable(self.path)} has no folder {name}, which {INDEX} names"
            )
        found = sorted(path for path in folder.iterdir() if path.suffix in _READ)
        weights = [path for path in found if path.suffix == ".safetensors"]
        own = self._of_variant(name)
        index = f"*.safetensors.index.{self.variant}.json" if own else "*.safetensors.index.json"
        if not own:
            own = [path for path in weights if "." not in path.stem]
        if issubclass(kind, _MODELS) and not own:
            others = sorted({path.stem.partition(".")[2].split("-")[0] for path in weights} - {""})
            way_out = (
                f"choose --variant {' or '.join(map(printable, others))}"
                if others
                else "save_pretrained of the pipeline writes them"
            )
            raise CheckpointError(f"{printable(folder)} has no weights in safetensors: {way_out}")
        for file in sorted(folder.glob(index)):
            for shard in FolderFiles(self.path).shards(f"{name}/{file.name}"):
                if folder / shard not in own:
                    raise CheckpointError(
                        f"{printable(file)} names {shown(shard)}, which is none of its weights"
                    )
        return [path for path in found if path.suffix != ".safetensors"] + own

    def without_variant(self) -> list[str]:
        """The networks whose weights are those without the variant, as there are none of it.

        Raises
        ------
        CheckpointError : no network has weights of it.
        """
        networks = [n for n, kind in self.parts.items() if kind and issubclass(kind, _MODELS)]
        without = [name for name in networks if self.variant and not self._of_variant(name)]
        if without and without == networks:
            raise CheckpointError(
                f"{printable(self.path)} has no weights of the variant {self.variant}: leave --variant "
                f"out, or fetch the files called *.{self.variant}.safetensors"
            )
        return without

    def _of_variant(self, name: str) -> list[Path]:
        """The files of weights of a part that are of the variant."""
        word = f".{self.variant}"
        return sorted(
            path for path in (self.path / name).glob("*.safetensors") if word in path.stem
        )

    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each file that loading reads, by its path in the folder."""
        found = {}
        for file in self.files():
            with _blamed_on(file), open_regular(file) as stream:
                digest = file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
            found[file.relative_to(self.path).as_posix()] = digest
        return found

    def load(self, dtype: torch.dtype, device: torch.device) -> Any:
        """The pipeline, on a device; its networks have that dtype.

        Raises
        ------
        CheckpointError : a part that cannot be loaded, or weights that are missing in it.
        """
        self.files()
        built = {
            name: None if kind is None else self._load_part(name, kind, dtype)
            for name, kind in self.parts.items()
        }
        with _blamed_on(self.path), quiet():
            pipe: Any = self.kind(**built, **self.options)
            pipe.set_progress_bar_config(disable=True)
            return pipe.to(device)

    def _load_part(self, name: str, kind: Any, dtype: torch.dtype) -> Any:
        folder = self.path / name
        settings: dict[str, Any] = {"local_files_only": True}
        is_model = issubclass(kind, _MODELS)
        if issubclass(kind, transformers.PreTrainedTokenizerBase):
            _require_words(folder, kind)
        if is_model:
            settings |= {"torch_dtype": dtype, "use_safetensors": True, "output_loading_info": True}
            if self._of_variant(name):
                settings["variant"] = self.variant
        with _blamed_on(folder), quiet():
            loaded = kind.from_pretrained(str(folder), **settings)
        if not is_model:
            return loaded
        model, about = loaded
        lost = sorted(map(str, about.get("missing_keys", ())))
        lost += sorted(str(key) for key, *_ in about.get("mismatched_keys", ()))
        if lost:
            more = f" and {len(lost) - 1} others" if len(lost) > 1 else ""
            raise CheckpointError(
                f"the weights in {printable(folder)} do not have {shown(lost[0])}{more}, as "
                f"{kind.__name__} needs: the file is of another network or not whole"
            )
        return model


def open_pipeline_folder(path: str | Path, variant: str | None = None) -> PipelineFolder:
    """Look at a folder as ``save_pretrained`` of a pipeline writes it; nothing large is read.

    Parameters
    ----------
    variant : of the files of weights, as "fp16"; a `VariantWarning` names the networks that have none.

    Raises
    ------
    CheckpointError : no such folder, or one that asks for code or classes that are not those of the
        installed diffusers and transformers, or a pipeline that does not make images of prompts alone, or no
        weights of the variant.
    """
    path = Path(path)
    if variant is not None and not re.fullmatch(r"[\w-]+", variant):
        raise CheckpointError(
            f"a variant is a word in the names of files, as fp16; got {variant!r}"
        )
    require_pipeline(path)
    files = FolderFiles(path)
    if not files.has(INDEX):
        raise CheckpointError(f"{printable(path)} is no folder of a pipeline: it has no {INDEX}")
    index = files.settings(INDEX)
    kind = _pipeline_class(index.get("_class_name"), path)
    parts: dict[str, type | None] = {}
    options: dict[str, Any] = {}
    parameters = inspect.signature(kind.__init__).parameters
    for name, value in index.items():
        if name.startswith("_") or name not in parameters:
            continue
        if isinstance(value, list):
            with files.blamed_on(INDEX):
                pair = named_class(name, value)
                parts[name] = pair and _part_class(name, *pair)
            if parts[name]:
                _require_plain(files, name)
        elif value is None or isinstance(value, bool | int | float | str):
            options[name] = value
        else:
            raise CheckpointError(f"{name} in {printable(path / INDEX)} is {shown(value)}")
    if "add_watermarker" in parameters:
        options["add_watermarker"] = False  # it would depend on what else is installed
    optional = getattr(kind, "_optional_components", ())
    for name, parameter in parameters.items():
        if name == "self" or name in parts or name in options:
            continue
        if name in optional:
            parts[name] = None
        elif parameter.default is inspect.Parameter.empty:
            raise CheckpointError(
                f"{printable(path / INDEX)} has no {name}, which {kind.__name__} needs"
            )
    if parts.get("scheduler") is None:
        raise CheckpointError(
            f"{printable(path / INDEX)} has no scheduler, whose settings are needed"
        )
    found = PipelineFolder(path, kind, parts, options, variant)
    if without := found.without_variant():
        warnings.warn(
            f"{printable(path)} has no weights of the variant {variant} for {', '.join(without)}: those "
            "without a variant are taken",
            VariantWarning,
            stacklevel=2,
        )
    return found


def _pipeline_class(name: object, path: Path) -> Any:
    where = printable(path / INDEX)
    if not isinstance(name, str):
        raise CheckpointError(
            f"{where} asks for a class of its own, {shown(name)}: only pipelines of diffusers are loaded"
        )
    kind = _class(diffusers, name)
    if not (kind and issubclass(kind, diffusers.DiffusionPipeline)):
        raise CheckpointError(
            f"{where} asks for {shown(name)}, which diffusers {diffusers.__version__} does not have as a "
            "pipeline: another version may"
        )
    call = inspect.signature(kind.__call__).parameters
    needs = ("prompt", "num_inference_steps", "generator", "output_type")
    if any(other in call for other in _ANOTHER_INPUT) or not all(part in call for part in needs):
        raise CheckpointError(
            f"{name} does not make an image of a prompt alone: name a pipeline of text to image"
        )
    return kind


def _part_class(name: str, library: str, word: str) -> type:
    """The class of that name in a library, as far as it is that of a part."""
    if (library, word) == _SCHEDULER:
        return SEEDSScheduler
    module: Any = _LIBRARIES.get(library) or _module_of_pipelines(library)
    kind = _class(module, word)
    if not (kind and issubclass(kind, _PARTS)):
        raise CheckpointError(
            f"asks for {shown(word)} of {shown(library)} as its {name}: parts are networks, tokenizers, "
            "processors and schedulers of the installed diffusers and transformers"
        )
    found: type = kind
    return found


def _class(module: Any, name: str) -> Any:
    """The class of that name in a module that loads them when they are asked for; None if there is none."""
    try:
        with quiet():
            found = getattr(module, name, None)
    except Exception:  # a library that it needs is not there
        return None
    return found if isinstance(found, type) else None


def _module_of_pipelines(name: str) -> types.ModuleType | None:
    """A module of diffusers in which a pipeline keeps classes of its own."""
    module = getattr(pipelines, name, None) if name.isidentifier() else None
    is_own = (
        isinstance(module, types.ModuleType) and module.__name__ == f"{pipelines.__name__}.{name}"
    )
    return module if is_own else None


def _require_plain(files: FolderFiles, name: str) -> None:
    """No configuration of a part asks for code of the folder or of a repository."""
    for file in sorted((files.path / name).glob("*config.json")):
        settings = files.settings(f"{name}/{file.name}")
        with files.blamed_on(f"{name}/{file.name}"):
            for key, value in [(file.stem, settings), *_all_in(settings)]:
                if key in _RUNS and value is not None:
                    raise CheckpointError(f"{_RUNS[key]}: load such a pipeline in your own code")
                if _IMPLEMENTATIONS.fullmatch(key):
                    for said in value.values() if isinstance(value, dict) else [value]:
                        if said not in _OWN_IMPLEMENTATIONS:
                            raise CheckpointError(
                                f"names code to be run, {shown(said)}: {key} is eager or sdpa, or left out"
                            )


def _all_in(settings: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings, and those of the networks within, as text_config."""
    waiting: list[Any] = [settings]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            value = list(value.values())
        if isinstance(value, list):
            waiting += value


def _require_words(folder: Path, kind: Any) -> None:
    """A tokenizer has its words: without them transformers makes one that knows none."""
    names = {*kind.vocab_files_names.values()} - {_WORDS}
    if names and not (folder / _WORDS).is_file() and not all((folder / n).is_file() for n in names):
        raise CheckpointError(
            f"{printable(folder)} has no {_WORDS} and no {' and '.join(sorted(names))}, its words"
        )


@contextmanager
def _blamed_on(path: Path) -> Iterator[None]:
    """Whatever a library raises, want of memory too, in one line that names the folder."""
    try:
        yield
    except SeedsError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise CheckpointError(
                f"out of memory with {printable(path)}: --dtype bfloat16 may fit, unless its config.json "
                "describes a larger network than its weights are of"
            ) from error
        raise CheckpointError(f"cannot load {printable(path)}: {reason(error)}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Within it the libraries do not remark on what is said here, or is as it should be."""
    before = diffusers_logging.get_verbosity(), transformers.logging.get_verbosity()
    bars = (
        diffusers_logging.is_progress_bar_enabled(),
        transformers.logging.is_progress_bar_enabled(),
    )
    diffusers_logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    transformers.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        diffusers_logging.set_verbosity(before[0])
        transformers.logging.set_verbosity(before[1])
        if bars[0]:
            diffusers_logging.enable_progress_bar()
        if bars[1]:
            transformers.logging.enable_progress_bar()
