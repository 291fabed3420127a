"""Where networks compute, and how exactly."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gpu_runs.errors import printable
from gpu_runs.machine.precision import cudnn_kernels, float32_products
from seeds_theory.errors import ParameterError


def require_device(name: str | torch.device | None) -> torch.device:
    """The device of that name; for None the GPU if there is one, else the CPU.

    Raises
    ------
    ParameterError : it is not available here, or cannot compute, as meta.
    """
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if name is None else name
    try:
        trial = torch.ones(1, device=chosen)
        if float(trial + trial) == 2:
            return trial.device
    except (RuntimeError, AssertionError, NotImplementedError, ValueError, TypeError, ImportError):
        pass
    raise ParameterError(f"device {printable(str(chosen))} is not available here")


def device_name(device: torch.device) -> str:
    """What a device is called in a record."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()


@contextmanager
def arithmetic(*, tf32: bool = False, fastest: bool = False) -> Iterator[None]:
    """Within it float32 is multiplied in full, or on NVIDIA GPUs in TF32; these repeat themselves to the bit.

    Whatever the flags of the process say, in torch's present or older ways; they are as before afterwards.

    fastest : cuDNN times its kernels for each new shape and takes the fastest, which may be another one in
        another run: then results repeat to rounding.
    """
    with float32_products(tf32=tf32), cudnn_kernels(fastest=fastest):
        yield
