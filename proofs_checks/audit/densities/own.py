"""Steps of this library, with the densities of `seeds_theory.density`, as the audit's convention has them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from proofs_checks.audit.densities.protocol import Step
from seeds_theory.chain import chain_of
from seeds_theory.density import Record, log_prob, rollout
from seeds_theory.solver import Solver
from seeds_theory.sources import GeneratorNoise


def solver_step(solver: Solver) -> Step:
    """One step of a sampler, between noise levels.

    The network is taken as a denoiser. What is drawn and given are all states that the step arrives at: of a
    method of one stage the next state, ``(batch, *event)``; of one with stages those too, in time order,
    ``(batch, stages, *event)``.
    """

    def step(
        network: Any, x: Tensor, t: float, t_next: float, action: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        plan = solver.on([t, t_next])
        targets = chain_of(plan).blocks[0].targets
        if action is None:
            seed = int(torch.randint(2**62, ()))
            noise = GeneratorNoise(torch.Generator().manual_seed(seed))
            record = rollout(network, x, plan, noise)
            states = [record.states[target] for target in targets]
            joint = states[0] if len(states) == 1 else torch.stack(states, 1)
            return joint, record.log_prob[:, 0]
        given = {target: action for target in targets}
        if len(targets) > 1:
            given = dict(zip(targets, action.unbind(1), strict=True))
        return action, log_prob(network, _recorded(x, plan, given))[:, 0]

    return step


def _recorded(x: Tensor, plan: Any, given: dict[int, Tensor]) -> Record:
    """A record of a run from x in which these states were met."""
    chain = chain_of(plan)
    states = [x]
    for number in range(1, len(chain.levels)):
        same = chain.same[number]
        states.append(given[number] if same == number else states[same])
    nothing = torch.zeros(len(x), len(chain.with_density), dtype=torch.float64)
    return Record(plan, tuple(states), chain.with_density, nothing, "sum", chain.key)
