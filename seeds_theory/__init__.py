"""SEEDS: exponential SDE solvers for diffusion models, derived by sympy and run by torch.

The mathematics: `phi`, `prediction`, `exact`, `noise`, `tableau`, `methods`. The numbers: `schedule`,
`grids`, `plan`. The run: `denoiser`, `sources`, `brownian`, `loop`, `baselines`, `solver`. Ready for use:
`settings`, `sampling`, `kdiffusion`, `comfyui`, `diffusers`. Each imports from those before it only.
"""

from seeds_theory.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
