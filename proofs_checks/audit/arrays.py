"""Arrays of other libraries: converted on the way in and out, and their normal draws made torch's.

A normal draw of numpy or jax is asked of torch instead, from a generator that is seeded with the state of
numpy's generator, or with jax's key: equal states give equal numbers, as they do there. So the audit
answers these draws as it answers torch's own. jax runs in double precision and op by op
(``jax.disable_jit``): a compiled loop becomes one of Python, in which every model call is a call.

Not seen are draws by a name or a generator that was made before the run, as after
``from numpy.random import normal``; they are numbers that come from nowhere, and the probe says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
from collections.abc import Iterator
from typing import Any, Protocol
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from proofs_checks.audit.draws import UnansweredDraw
from seeds_theory.errors import LibraryError
from seeds_theory.registry import Registry


class Arrays(Protocol):
    """A library of arrays."""

    def of(self, x: Tensor) -> Any:
        """A tensor as its array."""
        ...

    def tensor(self, array: Any) -> Any:
        """An array as a tensor; what is none, as it is."""
        ...

    def generator(self) -> Any:
        """What draws its random numbers, seeded as torch is."""
        ...

    def running(self) -> contextlib.AbstractContextManager[None]:
        """The block in which a sampler runs."""
        ...


class Torch:
    """Tensors, which stay what they are."""

    def of(self, x: Tensor) -> Any:
        """Itself."""
        return x

    def tensor(self, array: Any) -> Any:
        """Itself."""
        return array

    def generator(self) -> Any:
        """Torch's own."""
        return torch.default_generator

    def running(self) -> contextlib.AbstractContextManager[None]:
        """Nothing is to be done."""
        return contextlib.nullcontext()


def _normals(state: bytes, shape: Any, dtype: Any = torch.float64) -> Tensor:
    """Torch's normals of a generator that is known by a state."""
    seed = int.from_bytes(hashlib.sha256(state).digest()[:7])
    size = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def _scaled(generator: Any, loc: Any, scale: Any, size: Any) -> Any:
    shape = np.broadcast(loc, scale).shape if size is None else size
    return loc + scale * generator.standard_normal(shape)


class _Generator(np.random.Generator):
    """numpy's, with normals of torch."""

    def standard_normal(self, size: Any = None, dtype: Any = float, out: Any = None) -> Any:
        """Standard normals of a shape, or of that of `out`."""
        state = repr(self.bit_generator.state).encode()
        super().standard_normal(16)  # a fixed amount, whatever the batch
        shape = out.shape if out is not None else () if size is None else size
        drawn = _normals(state, shape).numpy().astype(dtype)
        if out is None:
            return drawn if size is not None else drawn[()]
        out[...] = drawn
        return out

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """Normals of these means and deviations."""
        return _scaled(self, loc, scale, size)


class _RandomState(np.random.RandomState):
    """numpy's older generator, likewise."""

    def standard_normal(self, size: Any = None) -> Any:
        """Standard normals of a shape."""
        _, key, *rest = self.get_state()
        state = np.asarray(key).tobytes() + repr(rest).encode()
        super().standard_normal(16)
        drawn = _normals(state, () if size is None else size).numpy()
        return drawn if size is not None else drawn[()]

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        """Normals of these means and deviations."""
        return _scaled(self, loc, scale, size)

    def randn(self, *shape: int) -> Any:
        """Standard normals of a shape."""
        return self.standard_normal(shape or None)


def _default_rng(seed: Any = None) -> np.random.Generator:
    made = seed if isinstance(seed, np.random.Generator) else _OF_NUMPY(seed)
    return _Generator(made.bit_generator)


_OF_NUMPY = np.random.default_rng


class Numpy:
    """Arrays of numpy."""

    def of(self, x: Tensor) -> Any:
        """The array that shares its memory."""
        return x.numpy()

    def tensor(self, array: Any) -> Any:
        """The tensor that shares its memory."""
        return torch.from_numpy(array) if isinstance(array, np.ndarray) else array

    def generator(self) -> Any:
        """A generator of numpy."""
        return _Generator(np.random.PCG64(torch.initial_seed()))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Normals of `numpy.random` are torch's; its global generator is seeded as torch is."""
        shared = _RandomState(torch.initial_seed() % 2**32)
        replaced: dict[str, Any] = {
            "Generator": _Generator,
            "RandomState": _RandomState,
            "default_rng": _default_rng,
            "seed": shared.seed,
            **{name: getattr(shared, name) for name in ("randn", "standard_normal", "normal")},
        }
        with mock.patch.multiple(np.random, **replaced):
            yield


class Jax:
    """Arrays of jax."""

    def __init__(self) -> None:
        try:
            self._jax = importlib.import_module("jax")
        except ImportError as error:
            raise LibraryError(f"arrays=jax needs jax ({error}): pip install jax") from None

    def of(self, x: Tensor) -> Any:
        """A copy."""
        return self._jax.numpy.asarray(x.numpy())

    def tensor(self, array: Any) -> Any:
        """A copy."""
        if isinstance(array, self._jax.core.Tracer):
            raise UnansweredDraw(
                "transforms its model by jax (vmap or grad), where there are no numbers to answer"
            )
        return torch.from_numpy(np.array(array)) if isinstance(array, self._jax.Array) else array

    def generator(self) -> Any:
        """A key."""
        return self._jax.random.key(torch.initial_seed() % 2**32)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Double precision, op by op; normals of `jax.random` are torch's."""
        jax = self._jax

        def normal(key: Any, shape: Any = (), dtype: Any = None, **_: Any) -> Any:
            if isinstance(key, jax.core.Tracer):
                raise UnansweredDraw(
                    "draws normals by a key that jax transforms (vmap), which the audit does not answer"
                )
            state = np.asarray(jax.random.key_data(key)).tobytes()
            drawn = _normals(state, shape)
            return jax.numpy.asarray(drawn.numpy(), dtype=dtype)

        with (
            jax.enable_x64(True),
            jax.disable_jit(),
            mock.patch.object(jax.random, "normal", normal),
        ):
            yield


ARRAYS: Registry[type[Arrays]] = Registry(
    "library of arrays", {"torch": Torch, "numpy": Numpy, "jax": Jax}
)
"""By the value of the option ``arrays``."""
