"""Where networks compute, and how exactly."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gpu_runs.errors import printable
from seeds_theory.errors import ParameterError


def require_device(name: str | torch.device | None) -> torch.device:
    """The device of that name; for None the GPU if there is one, else the CPU.

    Raises
    ------
    ParameterError : it is not available here.
    """
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if name is None else name
    try:
        return torch.empty(0, device=chosen).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ParameterError(f"device {printable(str(chosen))} is not available here") from error


def device_name(device: torch.device) -> str:
    """What a device is called in a record."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()


@contextmanager
def arithmetic(*, tf32: bool = False) -> Iterator[None]:
    """Within it NVIDIA GPUs multiply in full float32, or in TF32, and repeat themselves to the bit.

    These are flags of the process; they are as before afterwards.
    """
    products = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32
        ):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = products
