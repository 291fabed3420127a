"""SEEDS: exponential SDE solvers for diffusion models, derived by sympy and run by torch.

The floor plan, each room using those before it only:

* the mathematics, in sympy: `phi`, `prediction`, `exact`, `noise`, `tableau`, `methods`, `formula`,
  `multistep`;
* the emitter, from symbols to code: `emit`; what it wrote for this library itself: `emitted`;
* the run, on numbers: `special_functions`, `forms`, `scheme`, `schedule`, `grids`, `plan`, `denoiser`,
  `sources`, `brownian`, `loop`, `guidance`, `baselines`, `solver`, `denoiser_check`, `settings`, `sampling`;
* the hosts, other people's interfaces: `kdiffusion`, `comfyui`, `diffusers`.

The run and the hosts import nothing of the mathematics: they run what was emitted.
"""

from seeds_theory.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
