"""How much memory of the size of a state a run holds at its peak, beside what it is given."""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveStates(TorchDispatchMode):
    """Within it, `peak` is the most memory alive at once, in units of the state given.

    Counted are storages that operations within it made, of that state's size or more.
    """

    def __init__(self, state: Tensor) -> None:
        super().__init__()
        self.peak = 0.0
        self._unit = state.nbytes
        self._live: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = {_key(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and (key := _key(value)) not in inputs:
                self._note(key, value.untyped_storage())
        self.peak = max(self.peak, sum(self._live.values()) / self._unit)
        return result

    def _note(self, key: int, storage: torch.UntypedStorage) -> None:
        if key not in self._live and storage.nbytes() >= self._unit:
            self._live[key] = storage.nbytes()
            weakref.finalize(storage, self._live.pop, key).atexit = False


def _key(value: Tensor) -> int:
    return value.untyped_storage()._cdata
