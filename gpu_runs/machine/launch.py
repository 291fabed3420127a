r"""Whether this process is one of several of a run, and which: only what a launcher says on purpose.

torchrun says so itself. Another launcher, such as srun or mpirun, is believed with ``SEEDS_DISTRIBUTED=1``
beside torch's four variables::

    export SEEDS_DISTRIBUTED=1 MASTER_ADDR=$(hostname) MASTER_PORT=29500
    srun --ntasks=8 bash -c 'RANK=$SLURM_PROCID WORLD_SIZE=$SLURM_NTASKS LOCAL_RANK=$SLURM_LOCALID \
        seeds-generate ...'

``SEEDS_DISTRIBUTED=0`` is for a command that a process under torchrun starts and that runs alone. Without
either those variables, which clusters leave in many a shell, mean nothing here. Nothing but the standard
library is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from seeds_theory.errors import ParameterError

_OURS, _TORCHRUN = "SEEDS_DISTRIBUTED", "TORCHELASTIC_RUN_ID"
_ATTEMPT = "TORCHELASTIC_RESTART_COUNT"
_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def is_one_of_several(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher started this process as one of a run. Raises ParameterError for another word."""
    said = environment.get(_OURS, "")
    if said not in ("", "0", "1"):
        raise ParameterError(f"{_OURS} is 1 or 0; got {said[:40]!r}")
    return said == "1" or (said == "" and bool(environment.get(_TORCHRUN)))


@dataclass(frozen=True)
class Place:
    """Of a process in its run.

    rank : its number, of `world` in all. local_rank : its number on this node, which chooses its GPU.
    address, port : where the processes meet. attempt : how often torchrun had started them before.
    """

    rank: int
    world: int
    local_rank: int
    address: str
    port: int
    attempt: str

    @classmethod
    def told(cls, environment: Mapping[str, str] = os.environ) -> Place:
        """As the launcher tells it. Raises ParameterError for what is missing or makes no sense."""
        missing = [name for name in _NEEDED if not environment.get(name)]
        if missing:
            said = _OURS if environment.get(_OURS) == "1" else _TORCHRUN
            raise ParameterError(
                f"{said} says that this is one process of several, and {', '.join(missing)} is not set: "
                f"set it, or set {_OURS}=0"
            )
        rank = _number(environment, "RANK", 0)
        world = _number(environment, "WORLD_SIZE", 1)
        if rank >= world:
            raise ParameterError(f"RANK is below WORLD_SIZE; got {rank} and {world}")
        local = _number(environment, "LOCAL_RANK", 0) if environment.get("LOCAL_RANK") else 0
        port = _number(environment, "MASTER_PORT", 1, 65535)
        return cls(
            rank, world, local, environment["MASTER_ADDR"], port, environment.get(_ATTEMPT, "0")
        )


def _number(environment: Mapping[str, str], name: str, least: int, most: int = 2**20) -> int:
    text = environment[name]
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise ParameterError(f"{name} is a whole number from {least} to {most}; got {text[:40]!r}")
    return int(text)
