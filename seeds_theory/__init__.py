"""SEEDS: exponential SDE solvers for diffusion models, derived by sympy and run by torch.

The mathematics: `phi`, `prediction`, `exact`, `noise`, `tableau`, `methods`. The numbers: `schedule`,
`grids`, `plan`. The run: `denoiser`, `sources`, `brownian`, `loop`, `baselines`, `solver`. Ready for use:
`settings`, `sampling`, `kdiffusion`, `comfyui`, `diffusers`. Each imports from those before it only.
"""

from seeds_theory.brownian import BrownianPath, path_points
from seeds_theory.denoiser import Denoiser, EDMDenoiser, NetworkDenoiser
from seeds_theory.errors import (
    DenoiserError,
    GridError,
    LibraryError,
    NoiseError,
    ParameterError,
    SeedsError,
    TableauError,
    UnknownNameError,
)
from seeds_theory.grids import rho_grid, time_grid, uniform_log_snr
from seeds_theory.loop import StepInfo, follow
from seeds_theory.methods import METHODS, SEEDS, method
from seeds_theory.plan import Interval, Plan, make_plan
from seeds_theory.sampling import sample
from seeds_theory.schedule import (
    DiscreteSchedule,
    RectifiedFlow,
    Schedule,
    VarianceExploding,
    VariancePreservingCosine,
    VariancePreservingLinear,
)
from seeds_theory.settings import Setting, few_steps
from seeds_theory.sources import GeneratorNoise, InjectedNoise, NoiseSource, SeededNoise
from seeds_theory.tableau import Orders, Tableau

__all__ = [
    "METHODS",
    "SEEDS",
    "BrownianPath",
    "Denoiser",
    "DenoiserError",
    "DiscreteSchedule",
    "EDMDenoiser",
    "GeneratorNoise",
    "GridError",
    "InjectedNoise",
    "Interval",
    "LibraryError",
    "NetworkDenoiser",
    "NoiseError",
    "NoiseSource",
    "Orders",
    "ParameterError",
    "Plan",
    "RectifiedFlow",
    "Schedule",
    "SeededNoise",
    "SeedsError",
    "Setting",
    "StepInfo",
    "Tableau",
    "TableauError",
    "UnknownNameError",
    "VarianceExploding",
    "VariancePreservingCosine",
    "VariancePreservingLinear",
    "few_steps",
    "follow",
    "make_plan",
    "method",
    "path_points",
    "rho_grid",
    "sample",
    "time_grid",
    "uniform_log_snr",
]
