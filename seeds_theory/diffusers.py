"""`SEEDSScheduler`: the methods of this library in the pipelines of diffusers.

>>> pipe.scheduler = SEEDSScheduler.from_config(pipe.scheduler.config)

A pipeline calls its network once, then ``step`` once, for each of ``timesteps``; a step of a method with
several stages is several of those. The arithmetic is that of `seeds_theory.follow`: the plan of the
method on the grid, for samples in the network's own coordinates, one model call at a time.
"""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeds_theory.diffusers_grids import Coordinates, Flow, Table, alphas_cumprod, betas
from seeds_theory.errors import (
    DenoiserError,
    GridError,
    LibraryError,
    ParameterError,
    unknown,
)
from seeds_theory.grids import require_grid, rho_grid, uniform_log_snr
from seeds_theory.loop import Stages, draw, require_state
from seeds_theory.methods import method as method_named
from seeds_theory.plan import Step, make_plan
from seeds_theory.prediction import PREDICTIONS
from seeds_theory.row import Row
from seeds_theory.sources import GeneratorNoise, NoiseSource, SeededNoise, seeded_generator

try:
    from diffusers.configuration_utils import ConfigMixin, register_to_config
    from diffusers.schedulers.scheduling_utils import (
        SCHEDULER_CONFIG_NAME,
        KarrasDiffusionSchedulers,
        SchedulerMixin,
        SchedulerOutput,
    )
except ImportError as error:
    raise LibraryError(
        f"diffusers does not import ({error}): pip install 'diffusers>=0.35'"
    ) from None

Generators = torch.Generator | Sequence[torch.Generator]
Numbers = Sequence[float] | np.ndarray | Tensor

_PREDICTION_TYPES = {
    "epsilon": PREDICTIONS["noise"],
    "sample": PREDICTIONS["data"],
    "v_prediction": PREDICTIONS["v"],
    "flow_prediction": PREDICTIONS["flow"],
}
_SPACINGS = ("linspace", "leading", "trailing")
_REFUSED = {
    "sigma_data": "its networks are EDM-preconditioned, use seeds_theory.EDMDenoiser",
    "snr_shift_scale": "its schedule is rescaled, keep the scheduler that the pipeline has",
    "invert_sigmas": "its time runs backwards, keep the scheduler that the pipeline has",
    "stages": "its run goes through several resolutions, keep the scheduler that the pipeline has",
    "num_policy_substeps": "its network returns a policy, keep the scheduler that the pipeline has",
}
"""Settings of other schedulers under which the inputs or outputs of a network mean something else."""
_TRAINED = {
    *("num_train_timesteps", "prediction_type", "beta_start", "beta_end", "beta_schedule"),
    *("trained_betas", "rescale_betas_zero_snr", "use_flow_sigmas", "flow_shift", "shift"),
    *("shift_terminal", "use_dynamic_shifting", "time_shift_type"),
}
"""Settings that belong to the network: the defaults of another scheduler hold for it too."""
_OTHER_GRIDS = {"use_beta_sigmas": False, "use_lu_lambdas": False, "lambda_min_clipped": -math.inf}
"""Settings of other schedulers that choose a grid which is not offered here, and where they are off."""


class SEEDSScheduler(SchedulerMixin, ConfigMixin):
    r"""SEEDS, and every other method of this library, as a scheduler of diffusers.

    Samples are :math:`\alpha x_0 + \sigma\varepsilon`, variance-preserving or, with ``use_flow_sigmas``,
    of rectified flow. A parameter that schedulers of diffusers have too means what it means there.

    Parameters
    ----------
    num_train_timesteps, beta_start, beta_end, beta_schedule, trained_betas : the schedule that the
        network was trained on; "linear", "scaled_linear" or "squaredcos_cap_v2".
    solver_order : 1, 2 or 3, for seeds-1, seeds-2 or seeds-3: the order at eta = 0.
    method : the name of another method instead, as "seeds-3s" or "seeds-2@0.7".
    algorithm : "data" or "noise", the prediction that the method integrates, whatever the network's is.
    eta : >= 0; 1 is the reverse SDE, 0 the probability-flow ODE. The argument ``eta`` of some pipelines
        is another one, and has no effect.
    prediction_type : what the network returns: "epsilon", "sample", "v_prediction", "flow_prediction".
    timestep_spacing, steps_offset : "linspace", "leading" or "trailing", as in
        DPMSolverMultistepScheduler.
    use_karras_sigmas, use_exponential_sigmas : equal steps in :math:`\sigma^{1/7}`, or in
        :math:`\log\sigma`, over the schedule's finite range; sigma is the noise level, or the time of a flow.
    use_flow_sigmas, flow_shift : the schedule is rectified flow; steps are equal in its time t, from 1,
        and then shifted to s t / (1 + (s - 1) t).
    use_dynamic_shifting, time_shift_type : the pipeline gives the shift, as ``mu``: s is exp(mu) if
        "exponential", mu if "linear".
    shift_terminal : the time at which the last step of a flow starts: 1 - t is scaled, after the shift.
    final_sigmas_type : "zero", or "sigma_min", the lowest level of the schedule.
    rescale_betas_zero_snr : no signal at the last timestep (Lin et al. 2024, algorithm 1).

    Attributes
    ----------
    order : model calls of a step; a last step to zero has one.
    timesteps : ``(calls,)``, float32, what the network is told at each call: not rounded to integers.
    levels : noise levels sigma/alpha of the calls and of the result, ``calls + 1`` floats.
    sigmas : the same as a float32 tensor; for a flow, its times.
    noise : a noise source to use instead of generators, as ``SeededNoise([0, 1, 2, 3])`` with a seed for
        each image. Seeds start anew with every `set_timesteps`, which a pipeline calls once a run.

    Raises
    ------
    ParameterError, UnknownNameError, TableauError : each names the rule, the value and the way out.
    """

    _compatibles = [  # noqa: RUF012  (an attribute of SchedulerMixin)
        *(kind.name for kind in KarrasDiffusionSchedulers),
        "FlowMatchEulerDiscreteScheduler",
        "FlowMatchHeunDiscreteScheduler",
    ]
    config_name: Any = SCHEDULER_CONFIG_NAME
    config: Any

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: Sequence[float] | np.ndarray | None = None,
        solver_order: int = 2,
        method: str | None = None,
        algorithm: str = "data",
        eta: float = 1.0,
        prediction_type: str = "epsilon",
        timestep_spacing: str = "linspace",
        steps_offset: int = 0,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_flow_sigmas: bool = False,
        flow_shift: float = 1.0,
        use_dynamic_shifting: bool = False,
        time_shift_type: str = "exponential",
        final_sigmas_type: str = "zero",
        rescale_betas_zero_snr: bool = False,
        shift_terminal: float | None = None,
    ) -> None:
        if method is None and solver_order not in (1, 2, 3):
            raise ParameterError(
                f"solver_order is 1, 2 or 3; got {solver_order!r}: other methods have names, as "
                "method='seeds-3s'"
            )
        if use_karras_sigmas and use_exponential_sigmas:
            raise ParameterError(
                "use_karras_sigmas and use_exponential_sigmas are both on: turn one of them off"
            )
        _require_known("prediction_type", prediction_type, tuple(_PREDICTION_TYPES))
        _require_known("timestep_spacing", timestep_spacing, _SPACINGS)
        _require_known("time_shift_type", time_shift_type, ("exponential", "linear"))
        _require_known("final_sigmas_type", final_sigmas_type, ("zero", "sigma_min"))
        self._coordinates: Coordinates
        if use_flow_sigmas:
            if shift_terminal and (use_karras_sigmas or use_exponential_sigmas):
                raise ParameterError(
                    f"shift_terminal = {shift_terminal!r} is for steps that are even in time or given: "
                    "set it to None, or use_karras_sigmas and use_exponential_sigmas to False"
                )
            self._coordinates = Flow(num_train_timesteps, flow_shift, shift_terminal or None)
        else:
            if trained_betas is None:
                table = betas(num_train_timesteps, beta_start, beta_end, beta_schedule)
            else:
                table = np.asarray(trained_betas, dtype=np.float64)
            self._coordinates = Table(alphas_cumprod(table, zero_snr=rescale_betas_zero_snr))
        self._method = method or f"seeds-{int(solver_order)}"
        self._plan(self._method, [2.0, 1.0])  # refuses what has no plan
        self.order = len(method_named(self._method).rows)
        self.init_noise_sigma = 1.0
        self.noise: NoiseSource | None = None
        self.num_inference_steps: int | None = None
        self.timesteps = torch.arange(num_train_timesteps - 1, -1, -1, dtype=torch.float32)
        self.levels: tuple[float, ...] = ()
        self._start_anew([])

    @classmethod
    def extract_init_dict(
        cls, config_dict: Mapping[str, Any], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Read the configuration of any scheduler, for `from_config`.

        Raises
        ------
        ParameterError : its networks are of a kind that this scheduler would serve wrongly.
        """
        name = config_dict.get("_class_name", "a scheduler")
        asked = {**config_dict, **kwargs}
        reason = _reason_against(asked)
        if reason and name != cls.__name__:
            raise ParameterError(f"no SEEDSScheduler from the configuration of {name}: {reason}")
        for setting, off in _OTHER_GRIDS.items():
            value = asked.get(setting, off)
            if value not in (None, off):
                warnings.warn(
                    f"{setting}={value!r} of {name} is not carried over, and the grid is another: "
                    "give the pipeline sigmas or timesteps to choose it",
                    stacklevel=3,
                )
        found: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
        found = super().extract_init_dict(_in_our_names(config_dict), **kwargs)
        return found

    def __len__(self) -> int:
        return int(self.config.num_train_timesteps)

    # ------------------------------------------------------------------------------------------- grid

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: Numbers | None = None,
        timesteps: Numbers | None = None,
        mu: float | None = None,
    ) -> None:
        """Choose the grid of a new run.

        Parameters
        ----------
        num_inference_steps : steps of the method, each of ``order`` model calls.
        device : of ``timesteps``.
        sigmas : where steps start, instead: descending noise levels sigma/alpha or, for a flow, its times
            before the shift. The end follows from ``final_sigmas_type``, unless the list has it.
        timesteps : where steps start, instead, as timesteps; a flow's are not shifted.
        mu : the shift, with ``use_dynamic_shifting``; without, it has no effect.

        Raises
        ------
        GridError, ParameterError : no grid, or one that the schedule or the network does not reach.
        """
        grid = self._grid(num_inference_steps, sigmas, timesteps, mu)
        if num_inference_steps is not None and num_inference_steps != len(grid) - 1:
            raise ParameterError(
                f"the given grid has {len(grid) - 1} steps; got num_inference_steps = "
                f"{num_inference_steps}: leave one of the two out"
            )
        if math.isinf(grid[0]) and self.config.prediction_type == "epsilon":
            raise ParameterError(
                "an epsilon prediction says nothing of the data at an infinite noise level, where this "
                "grid starts: use timestep_spacing='leading', or sigmas of your own"
            )
        steps = self._steps_on(grid)
        levels = [level for step in steps for level in _levels_of_calls(step)]
        told = [self._coordinates.timestep(level) for level in levels]
        self.num_inference_steps = len(grid) - 1
        self.timesteps = torch.tensor(told, dtype=torch.float32, device=device)
        self.levels = (*levels, steps[-1].sigma_next)
        if isinstance(self.noise, SeededNoise):
            self.noise = SeededNoise(self.noise.seeds)
        self._start_anew(steps)

    @property
    def sigmas(self) -> Tensor:
        """Noise levels, or times of a flow, of the model calls and of the result."""
        sigmas = self._coordinates.sigmas(np.array(self.levels))
        return torch.from_numpy(sigmas).to(torch.float32)

    def _grid(
        self,
        steps: int | None,
        sigmas: Numbers | None,
        timesteps: Numbers | None,
        mu: float | None,
    ) -> np.ndarray:
        """The noise levels at which steps start, and the last one."""
        config, coordinates = self.config, self._shifted_by(mu)
        to_zero = config.final_sigmas_type == "zero"
        lowest, highest = coordinates.sigma_range
        end = 0.0 if to_zero else lowest
        spaced = config.use_karras_sigmas or config.use_exponential_sigmas
        given = [values for values in (sigmas, timesteps) if values is not None]
        if given:
            if len(given) == 2 or spaced:
                raise ParameterError(
                    "sigmas or timesteps are a grid of their own: give one of the two, with "
                    "use_karras_sigmas=False and use_exponential_sigmas=False"
                )
            starts = _row(given[0])
            if timesteps is not None:
                levels = np.array([coordinates.level(timestep) for timestep in starts.tolist()])
                starts = coordinates.sigmas(levels)
            elif isinstance(coordinates, Flow):
                starts = coordinates.starts(starts)
        else:
            if steps is None or steps < 1 or steps % 1 != 0:
                raise ParameterError(
                    f"a grid has a whole number of steps, 1 or more; got {steps!r}"
                )
            if spaced:
                space = rho_grid if config.use_karras_sigmas else uniform_log_snr
                return require_grid(
                    coordinates.levels(space(highest, lowest, steps, to_zero=to_zero))
                )
            starts = coordinates.even_starts(
                steps, config.timestep_spacing, config.steps_offset, to_zero=to_zero
            )
        ends = starts if starts[-1] <= end else np.append(starts, end)
        if not given and len(np.unique(ends)) < len(ends):
            raise GridError(
                f"{steps} steps are too many for a schedule of {config.num_train_timesteps} timesteps, with "
                f"timestep_spacing={config.timestep_spacing!r}: ask for fewer"
            )
        return require_grid(coordinates.levels(ends))

    def _shifted_by(self, mu: float | None) -> Coordinates:
        """The coordinates with the shift that a pipeline gives."""
        coordinates = self._coordinates
        if not (isinstance(coordinates, Flow) and self.config.use_dynamic_shifting):
            return coordinates
        if mu is None:
            raise ParameterError(
                "use_dynamic_shifting takes the shift from set_timesteps(..., mu=...), which pipelines "
                "give: give it, or a flow_shift with use_dynamic_shifting=False"
            )
        shift = math.exp(mu) if self.config.time_shift_type == "exponential" else mu
        return replace(coordinates, shift=shift)

    def _steps_on(self, grid: np.ndarray) -> list[Step]:
        """All steps, each of ``order`` calls but a last one to zero.

        A step from an infinite level has one call. Others are added within it, at equal parts of a flow's
        time, so that a pipeline finds step n at the call n times ``order``.
        """
        first: list[Step] = []
        if math.isinf(grid[0]) and grid[1] > 0 and self.order > 1:
            times = np.linspace(1.0, grid[1] / (1 + grid[1]), self.order + 1)[1:-1]
            first = self._plan("seeds-1", [math.inf, *(times / (1 - times)), grid[1]])
            grid = grid[1:]
        return [*first, *(self._plan(self._method, grid) if len(grid) > 1 else [])]

    def _plan(self, name: str, levels: Sequence[float] | np.ndarray) -> list[Step]:
        plan = make_plan(name, levels, eta=self.config.eta, prediction=self.config.algorithm)
        return list(plan.scaled(self._coordinates.alpha).steps)

    # -------------------------------------------------------------------------------------------- run

    def _start_anew(self, steps: list[Step]) -> None:
        self._steps = steps
        self._begin_index: int | None = None
        self._step_index: int | None = None
        self._ahead: Iterator[Step] = iter(())
        self._stages: Stages | None = None
        self._generator: Generators | None = None
        self._drawn: NoiseSource | None = None

    @property
    def step_index(self) -> int | None:
        """The number of the next model call; None before the first."""
        return self._step_index

    @property
    def begin_index(self) -> int | None:
        """The number of the first model call; None if its timestep tells."""
        return self._begin_index

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Start the run at that model call, as for image to image."""
        self._begin_index = begin_index

    def scale_model_input(self, sample: Tensor, timestep: float | Tensor | None = None) -> Tensor:
        """The network's input: the sample."""
        return sample

    def step(
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        generator: Generators | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[Tensor]:
        """Go on from one model call to the next.

        Parameters
        ----------
        model_output : what the network returned, ``(batch, *event)``.
        timestep : of this call. Only the first one of a run is looked up.
        sample : what the network was given; a step starts from the one of its first call.
        generator : seeds generators for the run's noise with one number, so that the noise is new even if the
            numbers that made the first sample come again; a list has one for each image, which then is
            the same in any batch. Default: torch's global generator. Without effect if there is ``noise``.
        return_dict : return a `SchedulerOutput`; otherwise a tuple.

        Returns
        -------
        ``prev_sample``, of the sample's shape and dtype: where the network is called next, or the result.

        Raises
        ------
        ParameterError, DenoiserError, NoiseError : each names the rule, the value and the way out.
        """
        require_state(sample)
        if model_output.shape != sample.shape:
            raise DenoiserError(
                f"model_output has the shape of the sample, {tuple(sample.shape)}; got "
                f"{tuple(model_output.shape)}: split off a variance that the network learned"
            )
        index = self._begin(timestep) if self._step_index is None else self._step_index
        x = sample.to(torch.promote_types(sample.dtype, torch.float32))
        if self._stages is None:
            step = next(self._ahead, None)
            if step is None:
                raise ParameterError(
                    f"the run of {len(self.timesteps)} calls is over: set_timesteps starts another"
                )
            source = self._source(generator) if step.intervals else GeneratorNoise()
            self._stages = Stages(step, x, draw(source, step, x, index))
        stages = self._stages
        stages.state = x  # a pipeline may have changed it, or rounded it to half precision
        skip, out = _PREDICTION_TYPES[self.config.prediction_type].coefficients(
            *self._coordinates.coefficients(stages.sigma)
        )
        stages.advance(skip * x + out * model_output.to(x.dtype))
        previous = stages.state.to(sample.dtype)
        if stages.done:
            self._stages = None
        self._step_index = index + 1
        return SchedulerOutput(prev_sample=previous) if return_dict else (previous,)

    def _begin(self, timestep: float | Tensor) -> int:
        """The number of the first call; the steps from there on are put ahead."""
        if not self._steps:
            raise ParameterError("there is no grid yet: call set_timesteps first")
        firsts = [0, *itertools.accumulate(len(step.rows) for step in self._steps)]
        index = self._begin_index
        if index is None:
            found = self._calls_at(timestep)  # a stage may lie at the end of its step
            index = next((call for call in found if call in firsts), found[0])
        if not 0 <= index < firsts[-1]:
            raise ParameterError(
                f"a run begins at one of its {firsts[-1]} calls, from 0; got {index}"
            )
        number = bisect.bisect_right(firsts, index) - 1
        ahead = self._steps[number:]
        if index > firsts[number]:  # in a step: what is left of it is steps of one call
            left = self.levels[index : firsts[number + 1] + 1]
            ahead = [*self._single_calls(left), *ahead[1:]]
        self._ahead = iter(ahead)
        return index

    def _single_calls(self, levels: Sequence[float]) -> list[Step]:
        """Steps of one call for calls at these levels, from the first of them to the last.

        The stages of a step may share a level, or go up. A call that is not at the state's level, or from
        which no lower level follows, changes nothing.
        """
        steps, reached = [], levels[0]
        for call, level in enumerate(levels[:-1], start=1):
            lower = next((later for later in levels[call:] if later < reached), None)
            if level != reached or lower is None:
                steps.append(_standing(reached))
            else:
                steps += self._plan("seeds-1", [reached, lower])
                reached = lower
        return steps

    def _calls_at(self, timestep: float | Tensor) -> list[int]:
        told = torch.as_tensor(timestep).cpu()
        if told.numel() != 1:
            raise ParameterError(
                f"a call has one timestep for all samples; got {tuple(told.shape)}: pass an element of "
                "scheduler.timesteps"
            )
        found = (self.timesteps.cpu() == told.reshape(())).nonzero()
        if not len(found):
            raise ParameterError(
                f"a run begins at one of scheduler.timesteps; got {float(timestep):g}: pass its elements, "
                "or call set_begin_index"
            )
        return found.flatten().tolist()

    def _source(self, generator: Generators | None) -> NoiseSource:
        if self.noise is not None:
            return self.noise
        if self._drawn is None or generator != self._generator:
            self._generator, self._drawn = generator, GeneratorNoise(_offspring(generator))
        return self._drawn

    # ------------------------------------------------------------------------------------------ noise

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Samples ``alpha x_0 + sigma eps`` at timesteps, ``(batch,)`` or one for all; of x_0's dtype.

        A timestep of the grid means the level of its model call, any other one the schedule's.

        Raises
        ------
        GridError : the schedule has no such timestep.
        ParameterError : timesteps for another number of samples.
        """
        if timesteps.numel() not in (1, len(original_samples)):
            raise ParameterError(
                f"timesteps are one for each of {len(original_samples)} samples, or one for all; got "
                f"{timesteps.numel()}: repeat one, or leave some out"
            )
        of_grid = dict(zip(self.timesteps.tolist(), self.levels, strict=False))
        coefficients = [
            self._coordinates.coefficients(
                of_grid[t] if t in of_grid else self._coordinates.level(t)
            )
            for t in timesteps.reshape(-1).tolist()
        ]
        wide = torch.promote_types(original_samples.dtype, torch.float32)
        columns = torch.tensor(coefficients, dtype=wide, device=original_samples.device)
        shape = (-1, *[1] * (original_samples.ndim - 1))
        alpha, sigma = (column.reshape(shape) for column in columns.unbind(1))
        return (alpha * original_samples + sigma * noise).to(original_samples.dtype)

    def scale_noise(self, sample: Tensor, timestep: Tensor, noise: Tensor) -> Tensor:
        """`add_noise` under the name and in the order in which flow pipelines call it."""
        return self.add_noise(sample, noise, timestep)


def _require_known(what: str, name: object, known: tuple[str, ...]) -> None:
    if name not in known:
        raise unknown(what, name, known)


def _reason_against(config: Mapping[str, Any]) -> str | None:
    """Why the networks of a configuration cannot be served, if they cannot, and what to do."""
    for name, reason in _REFUSED.items():
        if config.get(name):
            return reason
    if config.get("timestep_type") == "continuous":
        return "its networks are told log sigma, use seeds_theory.sample"
    if "shift" in config and config.get("num_train_timesteps") is None:
        return "it does not say what timesteps count, keep the scheduler that the pipeline has"
    if not (
        any(config.get(name) for name in ("beta_schedule", "use_flow_sigmas"))
        or config.get("trained_betas") is not None
        or "shift" in config
    ):
        return (
            "it has no training schedule, give beta_schedule or trained_betas; or, for a flow, "
            "use_flow_sigmas=True and prediction_type='flow_prediction'"
        )
    return None


def _in_our_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of any scheduler in our names, with its defaults where they are the network's.

    One of a flow-matching scheduler has a shift and no betas. diffusers forgets the values of all settings
    that are listed as defaults.
    """
    ours = dict(config)
    defaults = config.get("_use_default_values", ())
    ours["_use_default_values"] = [name for name in defaults if name not in _TRAINED]
    if "shift" in config and "beta_schedule" not in config:
        flow = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
        ours.update(flow, flow_shift=config["shift"])
    return ours


def _row(values: Numbers) -> np.ndarray:
    listed = values.tolist() if isinstance(values, Tensor) else values
    try:
        row = np.array(listed, dtype=np.float64)
    except (TypeError, ValueError):
        row = np.empty((0, 0))
    if row.ndim != 1 or not len(row):
        raise GridError(f"sigmas and timesteps are lists of numbers; got {values!r}")
    return row


def _levels_of_calls(step: Step) -> list[float]:
    return [step.sigma, *(row.sigma for row in step.rows[:-1])]


def _standing(level: float) -> Step:
    """A step of one call that leaves the state as it is."""
    stay = Row(sigma=level, state=1.0, drift=(0.0,), noise=())
    return Step(sigma=level, rows=(stay,), intervals=(), integrands=((0.0, 1.0),))


def _offspring(generator: Generators | None) -> Generators:
    """A generator seeded by a draw from each: it never repeats the numbers of its parent."""
    if isinstance(generator, Sequence):
        return [_child(parent) for parent in generator]
    return _child(generator)


def _child(parent: torch.Generator | None) -> torch.Generator:
    device = parent.device if parent is not None else None
    seed = torch.randint(2**62, (1,), generator=parent, device=device)
    return seeded_generator(int(seed), stream=1)
