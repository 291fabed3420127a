"""Networks of the user's own code: made by a named function, checked, then used like a checkpoint's.

The code runs, with all the rights of the user. So its name comes from the command line or a call, and never
from a file such as a plan.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from hashlib import sha256
from numbers import Integral, Real
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gpu_runs.checkpoints.image_denoiser import ImageDenoiser
from gpu_runs.checkpoints.preconditioning import PreconditionedNetwork
from gpu_runs.checkpoints.scheduled_network import ScheduledNetwork
from gpu_runs.errors import printable, shown
from gpu_runs.machine.device import arithmetic
from seeds_theory.command import is_out_of_memory
from seeds_theory.errors import SeedsError
from seeds_theory.named_code import load_named, summary

Result = TypeVar("Result")

_USUAL_LEVELS = (80.0, 0.002)
"""Where a trial asks, as far as a denoiser knows these levels: the ends of the usual grid."""
_NOT_THE_USERS = (Path(torch.__file__).parent, Path(__file__).parents[1])


class NetworkCodeError(SeedsError):
    """Code of the user's that makes no denoiser of images, or one that fails; one line says how."""


class OwnNetwork:
    """An `ImageDenoiser` of the user's own code, called as a `PreconditionedNetwork` is.

    It is asked in float32 without gradients, and what it returns is copied. A ``torch.nn.Module`` in it, the
    denoiser itself or one of its attributes, is put in evaluation mode.

    Parameters
    ----------
    name : of the function, for errors. denoiser : what it returned. device : where it computes.

    Attributes
    ----------
    resolution, channels, label_dim, sigma_min, sigma_max, device
    state_shape : (channels, n, n) of what it denoises: that of the images, if it decodes none.

    Raises
    ------
    NetworkCodeError : an attribute is missing or of a wrong type, or a call on trial fails: what it returns
        is no float32 tensor shaped like the states and on their device, or not finite; or what it decodes is
        no image.
    """

    def __init__(self, name: str, denoiser: Any, device: torch.device) -> None:
        self.name, self.device, self._denoiser = name, device, denoiser
        said = {part: self._attribute(part) for part in ImageDenoiser.__annotations__}
        if not callable(denoiser):
            raise self._error(f"returns a {type(denoiser).__name__}, which cannot be called")
        self.resolution = self._whole("resolution", said, least=1)
        self.channels = self._whole("channels", said, least=1)
        self.label_dim = self._whole("label_dim", said, least=0)
        self.sigma_min, self.sigma_max = self._range(said)
        self.state_shape = self._state_shape()
        self._modules = _modules(denoiser)
        for module in self._modules.values():
            module.eval()
        self._try()

    def __call__(
        self, x: Tensor, sigma: Tensor | float, class_labels: Tensor | None = None
    ) -> Tensor:
        """Estimate the data of states ``(batch, *state_shape)``; of their dtype.

        Raises
        ------
        NetworkCodeError : the code raises, or returns something of another type, shape, dtype or device.
        """
        state = x.to(torch.float32, copy=True)  # whatever the code does to it
        labels = () if self.label_dim == 0 else (class_labels,)
        with torch.no_grad(), _failing_as(f"{self.name}: its denoiser"):
            estimate = self._denoiser(state, float(sigma), *labels)
        if not isinstance(estimate, Tensor):
            raise self._error(
                f"its denoiser returns tensors; got a {type(estimate).__name__} at sigma = {float(sigma):g}"
            )
        wanted, found = _kind(x.shape, torch.float32, x.device), _kind_of(estimate)
        if found != wanted:
            raise self._error(f"its denoiser returns a tensor of {wanted} here; got one of {found}")
        return estimate.to(x.dtype, copy=True)  # which the code may use again

    def round_sigma(self, sigma: Tensor) -> Tensor:
        """The noise levels themselves: it knows all in its range."""
        return sigma

    def decode(self, states: Tensor) -> Tensor:
        """The images of states without noise: the states themselves, or what the code makes of these latents.

        Raises
        ------
        NetworkCodeError : the code raises, or returns no images in float32.
        """
        if not hasattr(self._denoiser, "decode"):
            return states
        latents = states.to(torch.float32, copy=True)
        with torch.no_grad(), _failing_as(f"{self.name}: its decode"):
            images = self._denoiser.decode(latents)
        shape = torch.Size((len(states), self.channels, self.resolution, self.resolution))
        wanted = _kind(shape, torch.float32, states.device)
        found = _kind_of(images) if isinstance(images, Tensor) else f"type {type(images).__name__}"
        if found != wanted:
            raise self._error(f"its decode returns images of {wanted} here; got some of {found}")
        return images.clone()

    def weights_digest(self) -> str | None:
        """SHA-256 of the tensors of its modules, in hexadecimal; None if it shows no module."""
        if not self._modules:
            return None
        digest = sha256()
        with _failing_as(f"{self.name}: reading its weights"):
            for place, module in self._modules.items():
                for tensors in (module.named_parameters(), module.named_buffers()):
                    for name, tensor in tensors:
                        digest.update(
                            f"{place}.{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
                        )
                        numbers = tensor.detach().cpu().contiguous().reshape(-1)
                        digest.update(numbers.view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def _error(self, wrong: str) -> NetworkCodeError:
        return NetworkCodeError(f"{self.name}: {wrong}")

    def _attribute(self, name: str) -> Any:
        with _failing_as(f"{self.name}: {name} of its denoiser"):
            if hasattr(self._denoiser, name):
                return getattr(self._denoiser, name)
        needed = ", ".join(ImageDenoiser.__annotations__)
        raise self._error(
            f"returns a {type(self._denoiser).__name__} without {name}; a denoiser here has {needed}"
        )

    def _whole(self, name: str, said: dict[str, Any], least: int) -> int:
        value = said[name]
        if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
            raise self._error(f"{name} is a whole number, {least} or more; got {_described(value)}")
        return int(value)

    def _range(self, said: dict[str, Any]) -> tuple[float, float]:
        levels = []
        for name in ("sigma_min", "sigma_max"):
            value = said[name]
            if isinstance(value, bool) or not isinstance(value, Real):
                raise self._error(f"{name} is a number; got {_described(value)}")
            levels.append(float(value))
        low, high = levels
        if not (0 <= low < high):
            raise self._error(f"0 <= sigma_min < sigma_max; got {low:g} and {high:g}")
        return low, high

    def _state_shape(self) -> tuple[int, int, int]:
        image = (self.channels, self.resolution, self.resolution)
        if not hasattr(self._denoiser, "decode"):
            return image
        shape = self._attribute("state_shape")
        if (
            not isinstance(shape, tuple | list)
            or len(shape) != 3
            or not all(isinstance(n, Integral) and int(n) > 0 for n in shape)
        ):
            raise self._error(
                "a denoiser with decode says the shape of its latents as state_shape, (channels, height, "
                f"width); got {_described(shape)}"
            )
        channels, height, width = (int(n) for n in shape)
        return channels, height, width

    def _try(self) -> None:
        """Ask for two images at either end of the usual levels."""
        shape = (2, *self.state_shape)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        labels = None
        if self.label_dim:
            labels = torch.zeros(2, self.label_dim, device=self.device)
            labels[0, 0] = labels[1, -1] = 1.0
        for usual in _USUAL_LEVELS:
            level = min(max(usual, self.sigma_min), self.sigma_max)
            with arithmetic():
                estimate = self(level * noise, level, labels)
            if not bool(estimate.isfinite().all()):
                raise self._error(f"what its denoiser returns at sigma = {level:g} is not finite")
        with arithmetic():
            self.decode(noise)


Network = PreconditionedNetwork | ScheduledNetwork | OwnNetwork
"""What images are made with."""


def load_own_network(name: str, device: torch.device) -> tuple[OwnNetwork, dict[str, str | None]]:
    """The network that the named function makes, and what tells it from others.

    Parameters
    ----------
    name : ``module:function`` or ``file.py:function``; it is imported and called, which runs it.
    device : what the function is called with.

    Returns
    -------
    The network, and its identity: the name, without folders; the SHA-256 of the source, that is the named
    file and, if the function is from another one, that one; and the SHA-256 of the weights, as far as
    the denoiser is a ``torch.nn.Module`` or has some as attributes. What else the code reads is not seen.

    Raises
    ------
    UnknownNameError : no such module, file or function, or one that cannot be imported.
    NetworkCodeError : the function fails, or makes no `ImageDenoiser`.
    """
    code = load_named(name, "network", "network")
    label, make = printable(name), code.found
    if not callable(make):
        raise NetworkCodeError(f"{label} is no function: it is {_described(make)}")
    if not _takes_a_device(make):
        raise NetworkCodeError(f"{label} has to be a function of one argument, the torch.device")
    with _failing_as(label), contextlib.redirect_stdout(sys.stderr):
        denoiser = make(device)
    with contextlib.redirect_stdout(sys.stderr):
        network = OwnNetwork(label, denoiser, device)
    file, _, function = name.rpartition(":")
    return network, {
        "network": f"{Path(file).name if file.endswith('.py') else file}:{function}",
        "source": _source_digest(code.module, make),
        "weights": network.weights_digest(),
    }


def _takes_a_device(make: Callable[..., Any]) -> bool:
    try:
        inspect.signature(make).bind(torch.device("cpu"))
    except TypeError:
        return False
    except ValueError:  # a function of C, without a signature
        pass
    return True


def _source_digest(module: ModuleType, make: Any) -> str | None:
    """Of the files of the module and of the function; None where there are none, as in a session."""
    files = {getattr(module, "__file__", None): None}
    with contextlib.suppress(TypeError):  # an object without a file
        files[inspect.getsourcefile(inspect.unwrap(make))] = None
    contents = [Path(file).read_bytes() for file in files if file and Path(file).is_file()]
    return sha256(b"".join(contents)).hexdigest() if contents else None


def _modules(denoiser: Any) -> dict[str, nn.Module]:
    """The modules that a denoiser is or has as attributes."""
    if isinstance(denoiser, nn.Module):
        return {"": denoiser}
    held = getattr(denoiser, "__dict__", {})
    return {name: value for name, value in held.items() if isinstance(value, nn.Module)}


def _described(value: object) -> str:
    return (
        shown(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    )


def _kind(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> str:
    return f"{tuple(shape)}, {str(dtype).removeprefix('torch.')}, on {device.type}"


def _kind_of(tensor: Tensor) -> str:
    return _kind(tensor.shape, tensor.dtype, tensor.device)


@contextlib.contextmanager
def _failing_as(what: str) -> Iterator[None]:
    """Say in one line what the user's code raises, and where; want of memory goes its way."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if not any(map(Path(f.filename).is_relative_to, _NOT_THE_USERS))]
        at = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
        raise NetworkCodeError(f"{what} raises {printable(summary(error))}{at}") from error
