"""How exactly float32 is multiplied: torch's flags of the process, set for a while and restored as found.

torch since 2.9 has a tree of settings: one of all, below it one for each backend, below that one for each of
its operations. What is not set ("none") follows what is above it, and reading gives what is followed; so a
setting is read, to be restored, while nothing above it is set. Convolutions of cuDNN start out with TF32
unless something above is set, which can be seen and not written: they are left as they are wherever they
follow. Older flags beside the tree contradict it as soon as both are used, and torch refuses to read them
from then on; the one of products is kept in step with it.

Reference: "Numerical accuracy" and "TensorFloat-32" in torch's notes on CUDA.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

_FULL = ("none", "ieee")


@contextmanager
def float32_products(*, tf32: bool) -> Iterator[None]:
    """Within it products of float32 are full, or on NVIDIA GPUs in TF32; on a CPU they are full."""
    with ExitStack() as undo:
        if hasattr(torch.backends, "fp32_precision"):
            _set_tree(undo, "tf32" if tf32 else "ieee")
        else:
            _set(undo, torch.backends.cuda.matmul, "allow_tf32", tf32)
            _set(undo, torch.backends.cudnn, "allow_tf32", tf32)
        yield


@contextmanager
def cudnn_kernels(*, fastest: bool) -> Iterator[None]:
    """Within it cuDNN takes kernels that repeat themselves to the bit, or those it timed as fastest."""
    with ExitStack() as undo:
        _set(undo, torch.backends.cudnn, "enabled", True)
        _set(undo, torch.backends.cudnn, "benchmark", fastest)
        _set(undo, torch.backends.cudnn, "deterministic", not fastest)
        yield


def _set_tree(undo: ExitStack, gpu: str) -> None:
    backends: Any = torch.backends
    matmul, cudnn, mkldnn = backends.cuda.matmul, backends.cudnn, backends.mkldnn
    # From above to below, and back in the other order.
    _set(undo, backends, "fp32_precision", "none")
    _set(undo, cudnn, "fp32_precision", "none")
    # Its own attribute writes the setting of all backends.
    undo.callback(mkldnn.set_flags, _fp32_precision=mkldnn.fp32_precision)
    mkldnn.set_flags(_fp32_precision="none")
    for products in (matmul, mkldnn.matmul):
        _set(undo, products, "fp32_precision", "ieee")
    # Readable, as no product is below float32 now; it sets the two above as well.
    before = torch.get_float32_matmul_precision()
    undo.callback(_set_matmul_precision, before)
    _set_matmul_precision("highest" if gpu == "ieee" else "high")
    matmul.fp32_precision, mkldnn.matmul.fp32_precision = gpu, "ieee"
    cudnn.fp32_precision = gpu
    for operation in (cudnn.conv, cudnn.rnn):
        if operation.fp32_precision != gpu:
            _set(undo, operation, "fp32_precision", gpu)
    for operation in (mkldnn.conv, mkldnn.rnn):
        if operation.fp32_precision not in _FULL:
            _set(undo, operation, "fp32_precision", "ieee")


def _set(undo: ExitStack, place: Any, name: str, value: Any) -> None:
    undo.callback(setattr, place, name, getattr(place, name))
    setattr(place, name, value)


def _set_matmul_precision(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions call it deprecated
        torch.set_float32_matmul_precision(name)
