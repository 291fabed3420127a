"""`SEEDSScheduler`: the methods of this library in the pipelines of diffusers.

>>> pipe.scheduler = SEEDSScheduler.from_config(pipe.scheduler.config)

A pipeline calls its network once, then ``step`` once, for each of ``timesteps``; a step of a method with
several stages is several of those. The arithmetic is that of `seeds_theory.follow`: the plan of the
method on the grid, for samples in the network's own coordinates, one model call at a time. Published samplers
are the loops of `seeds_theory.baselines`, unchanged.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeds_theory.chain import Chain, chain_of
from seeds_theory.density import Record, Reduction
from seeds_theory.diffusers import configuration
from seeds_theory.diffusers.coordinates import Table, coordinates_of
from seeds_theory.diffusers.grid import Numbers, step_levels, told_timesteps
from seeds_theory.diffusers.noise import Generators
from seeds_theory.diffusers.predictions import denoised, prediction, require_start
from seeds_theory.diffusers.recorded import Recorded, SampleDenoiser, plan_of
from seeds_theory.diffusers.run import Run, candidates, require_told
from seeds_theory.diffusers.steps import Calls, PolicyMaker, StepMaker, maker_of
from seeds_theory.errors import DensityError, LibraryError, ParameterError
from seeds_theory.loop import require_state
from seeds_theory.policies import highest_level
from seeds_theory.solver import JoinedPlan
from seeds_theory.sources import NoiseSource, SeededNoise

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


@dataclass
class SEEDSSchedulerOutput(SchedulerOutput):
    """What a call of ``step`` returns.

    Attributes
    ----------
    prev_sample : of the sample's shape and dtype: where the network is called next, or the result.
    log_prob : the log-density of the step that ended with this call, float64 ``(batch,)``, if it was asked
        for and there is one; else None.
    """

    log_prob: Tensor | None = None


# Defined here and not in a module of its own: a saved pipeline names a class by its module.
class SEEDSScheduler(SchedulerMixin, ConfigMixin):
    r"""SEEDS, and every other method of this library, as a scheduler of diffusers.

    Samples are :math:`\alpha x_0 + \sigma\varepsilon`, variance-preserving or, with ``use_flow_sigmas``,
    of rectified flow. A parameter that schedulers of diffusers have too means what it means there.

    Parameters
    ----------
    num_train_timesteps, beta_start, beta_end, beta_schedule, trained_betas : the schedule that the
        network was trained on; "linear", "scaled_linear" or "squaredcos_cap_v2".
    solver_order : 1, 2 or 3, for seeds-1, seeds-2 or seeds-3: the order at eta = 0.
    method : the name of another sampler instead, any of `seeds_theory.solver.SOLVERS`: a method as
        "seeds-3s" or "seeds-2@0.7", or a published one as "sa-solver" or "er-sde-3". Or one of
        `seeds_theory.policies.POLICIES`, as "cps"; then ``options`` may have its ``level``.
    options : of a published sampler, by their names, as ``{"predictor_steps": 2}``.
    algorithm : "data" or "noise", the prediction that a method integrates, whatever the network's is.
    eta : >= 0; 1 is the reverse SDE, 0 the probability-flow ODE; None is the sampler's own: 1 for a method,
        that of its level for one of `seeds_theory.policies.POLICIES`, "flow-sde" too. Or a list with one for
        each step, or windows of ``sigmas`` as ``"1:0.3-5"``, with 0 outside of them. The argument
        ``eta`` of some pipelines is another one, and has no effect.
    prediction_type : what the network returns: "epsilon", "sample", "v_prediction", "flow_prediction".
    timestep_spacing, steps_offset : "linspace", "leading" or "trailing", as in
        DPMSolverMultistepScheduler.
    use_karras_sigmas, use_exponential_sigmas : equal steps in :math:`\sigma^{1/\rho}`, or in
        :math:`\log\sigma`, from ``sigma_max`` to ``sigma_min``; sigma is the noise level, or the time of a
        flow. use_lu_lambdas : the second too. use_beta_sigmas : at quantiles of a beta distribution.
    sigma_min, sigma_max, rho : of these; None for the ends of the schedule's finite range.
    use_flow_sigmas, flow_shift : the schedule is rectified flow; steps are equal in its time t, from 1,
        and then shifted to s t / (1 + (s - 1) t).
    use_dynamic_shifting, time_shift_type : the pipeline gives the shift, as ``mu``: s is exp(mu) if
        "exponential", mu if "linear".
    base_shift, max_shift, base_image_seq_len, max_image_seq_len : pipelines compute ``mu`` from these.
    shift_terminal : the time at which the last step of a flow starts: 1 - t is scaled, after the shift.
    final_sigmas_type : "zero", or "sigma_min", the lowest level of the schedule.
    rescale_betas_zero_snr : no signal at the last timestep (Lin et al. 2024, algorithm 1).
    snr_shift_scale : the signal-to-noise ratio of the table is divided by it, before that.
    log_prob : "sum" or "mean" over the elements of a sample: ``step`` gives the log-density of each step with
        noise, and `record` the whole run, as `seeds_theory.rollout` does.
    variance_type : "learned" or "learned_range": the network returns a variance too, in as many channels
        again, which have no effect. Other values have none either: the noise is that of the method.
    thresholding, dynamic_thresholding_ratio, sample_max_value : estimates of the data are clamped and
        divided by a number for each sample, the quantile of their sizes at that ratio, between 1 and
        ``sample_max_value`` (Saharia et al. 2022). For networks of pixels; it changes the law.
    clip_sample, clip_sample_range : or they are clamped to this range, without ``thresholding``.

    Attributes
    ----------
    order : model calls of a step; a last step to zero has one. Of a published sampler that starts up
        with more, those of its later steps.
    timesteps : ``(calls,)``, float32, what the network is told at each call: not rounded to integers.
    levels : noise levels sigma/alpha of the calls and of the result, ``calls + 1`` floats.
    sigmas : the same as a float32 tensor; for a flow, its times.
    coordinates : of the samples, `seeds_theory.diffusers.coordinates`.
    noise : a noise source to use instead of generators, as ``SeededNoise([0, 1, 2, 3])`` with a seed for
        each image. Seeds start anew with every `set_timesteps`, which a pipeline calls once a run.

    Raises
    ------
    ParameterError, UnknownNameError, TableauError : each names the rule, the value and the way out.
    """

    _compatibles = [  # noqa: RUF012  (an attribute of SchedulerMixin)
        *(kind.name for kind in KarrasDiffusionSchedulers if not kind.name.startswith("EDM")),
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
        eta: float | Sequence[float] | str | None = None,
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
        sigma_min: float | None = None,
        sigma_max: float | None = None,
        rho: float = 7.0,
        variance_type: str | None = None,
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        sample_max_value: float = 1.0,
        clip_sample: bool = False,
        clip_sample_range: float = 1.0,
        use_beta_sigmas: bool = False,
        use_lu_lambdas: bool = False,
        base_shift: float = 0.5,
        max_shift: float = 1.15,
        base_image_seq_len: int = 256,
        max_image_seq_len: int = 4096,
        options: Mapping[str, Any] | None = None,
        snr_shift_scale: float = 1.0,
        log_prob: Reduction | None = None,
    ) -> None:
        configuration.require_valid(self.config)
        if (written := configuration.eta_as_written(eta)) is not eta:
            self.register_to_config(eta=written)
        self.coordinates = coordinates_of(self.config)
        self._method = method or f"seeds-{int(solver_order)}"
        maker = self._maker()
        self.order = maker.order  # refuses what has no plan
        self.init_noise_sigma = 1.0
        self.noise: NoiseSource | None = None
        self.num_inference_steps: int | None = None
        self.timesteps = torch.arange(num_train_timesteps - 1, -1, -1, dtype=torch.float32)
        self._start_anew(Calls(maker))

    @classmethod
    def extract_init_dict(
        cls, config_dict: Mapping[str, Any], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Read the configuration of any scheduler, for `from_config`.

        Raises
        ------
        ParameterError : its networks are of a kind that this scheduler would serve wrongly; or a setting that
            is given beside it is none of this scheduler.
        """
        name = config_dict.get("_class_name", "a scheduler")
        asked = {**config_dict, **kwargs}
        ours = cls._get_init_keys(cls) - {"self"}
        configuration.require_known(kwargs, ours)
        if name != cls.__name__:
            configuration.require_servable(asked, name)
            if not ours <= set(
                config_dict
            ):  # where others' settings stand since they were left out
                chosen = bool({"method", "solver_order"} & kwargs.keys())
                configuration.warn_of_what_is_left_out(
                    config_dict, ours, name, stacklevel=3, chosen=chosen
                )
        if "shift" in kwargs:
            kwargs["flow_shift"] = kwargs.pop("shift")
        found: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
        found = super().extract_init_dict(configuration.in_our_names(config_dict), **kwargs)
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
        timesteps : where steps start, instead, as timesteps; a flow's are not shifted. With ``sigmas``, what
            the network is told there.
        mu : the shift, with ``use_dynamic_shifting``; without, it has no effect.

        Raises
        ------
        GridError, ParameterError : no grid, or one that the schedule or the network does not reach.
        """
        grid = step_levels(
            self.coordinates, self.config, num_inference_steps, sigmas, timesteps, mu
        )
        require_start(self.config.prediction_type, grid[0])
        maker = self._maker().along(grid)
        calls = Calls(maker, maker.on(grid))
        told = told_timesteps(
            self.coordinates, self.config, grid, calls.levels[:-1], sigmas, timesteps, mu
        )
        self.num_inference_steps = len(grid) - 1
        self.timesteps = torch.tensor(told, dtype=torch.float32, device=device)
        if isinstance(self.noise, SeededNoise):
            self.noise = SeededNoise(self.noise.seeds)
        self._start_anew(calls, self._run.index if self._run and calls == self._calls else None)

    def set_shift(self, shift: float) -> None:
        """Shift a flow's times so from the next `set_timesteps` on.

        Raises
        ------
        ParameterError : it is not positive and finite; then nothing is changed.
        """
        coordinates = coordinates_of(SimpleNamespace(**{**self.config, "flow_shift": shift}))
        self.register_to_config(flow_shift=shift)
        self.coordinates = coordinates

    @property
    def alphas_cumprod(self) -> Tensor:
        """Of the training timesteps, float32; none for a flow."""
        return torch.from_numpy(self._products).to(torch.float32)

    @property
    def betas(self) -> Tensor:
        """Of the training timesteps, float32; none for a flow."""
        ratios = self._products.copy()
        ratios[1:] /= self._products[:-1]
        return torch.from_numpy(1 - ratios).to(torch.float32)

    @property
    def _products(self) -> np.ndarray:
        coordinates = self.coordinates
        if isinstance(coordinates, Table):
            return np.array(coordinates.schedule.alphas_cumprod)
        return np.empty(0)

    @property
    def levels(self) -> tuple[float, ...]:
        """Noise levels sigma/alpha of the model calls and of the result; none before `set_timesteps`."""
        return self._calls.levels

    @property
    def sigmas(self) -> Tensor:
        """Noise levels, or times of a flow, of the model calls and of the result."""
        sigmas = self.coordinates.sigmas(np.array(self.levels))
        return torch.from_numpy(sigmas).to(torch.float32)

    # -------------------------------------------------------------------------------------------- run

    def _maker(self) -> StepMaker:
        config = self.config  # pipelines may have changed it
        return maker_of(
            self._method, config.eta, config.algorithm, self.coordinates, config.options
        )

    def _start_anew(self, calls: Calls, stopped: int | None = None) -> None:
        self._calls = calls
        self._begin_index: int | None = None
        self._run: Run | None = None
        self._stopped = (
            stopped  # at the call of that number, a run on the same grid before this one
        )
        self._recorded: Recorded | None = None
        self._planned: tuple[JoinedPlan, Chain] | None = None
        self._noised = False

    def _beginning(self, timestep: float | Tensor) -> Run:
        """The run that begins with this call, see `Run.beginning`; of a refiner, where the base stopped."""
        begin = self._begin_index
        if begin and self.order == 2 and not self._noised:
            if self._stopped is None:
                warnings.warn(
                    f"this run begins at call {begin} with a sample of another scheduler: a refiner of SDXL "
                    "begins a call too early if its base stopped within a step. Give it the scheduler of the "
                    "base, refiner.scheduler = base.scheduler, or both an order other than 2",
                    stacklevel=3,
                )
            elif begin == self._stopped - 1 and self._stopped not in self._calls.firsts:
                return Run.waiting(self._calls, begin)
        return Run.beginning(self._calls, begin, self.timesteps, timestep)

    @property
    def step_index(self) -> int | None:
        """The number of the next model call; None before the first."""
        return None if self._run is None else self._run.index

    @property
    def begin_index(self) -> int | None:
        """The number of the first model call; None if its timestep tells."""
        return self._begin_index

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Start the run at that model call, as for image to image; one that is under way ends here."""
        self._begin_index = begin_index
        self._run = self._recorded = None

    @property
    def noise_level(self) -> float | None:
        """The level of a published sampler of reinforcement learning; None of others, which have an eta.

        Of levels along the way, the highest.
        """
        maker = self._maker()
        return highest_level(maker.level) if isinstance(maker, PolicyMaker) else None

    @property
    def plan(self) -> JoinedPlan:
        """The run on this grid, for samples: what `seeds_theory.rollout` takes, with `denoiser`.

        Raises
        ------
        ParameterError : there is no grid yet.
        """
        return self._made[0]

    @property
    def chain(self) -> Chain:
        """What the densities of the steps of `plan` are computed from.

        Raises
        ------
        ParameterError : there is no grid yet, or the sampler is no sum of what it is given.
        """
        return self._made[1]

    @property
    def _made(self) -> tuple[JoinedPlan, Chain]:
        """Once a grid."""
        self._calls.require_grid()
        if self._planned is None:
            plan = plan_of(self._calls.steps, self._calls.maker)
            self._planned = plan, chain_of(plan)
        return self._planned

    def denoiser(self, network: Callable[[Tensor, Tensor], Tensor]) -> SampleDenoiser:
        """A network as the denoiser of samples, for `plan` and `record`, with the settings of this scheduler.

        >>> half = torch.bfloat16  # the network's
        >>> log_prob(scheduler.denoiser(lambda x, t: transformer(x.to(half), prompts, timestep=t)), record)

        network : ``network(sample, timesteps)`` to what ``step`` is given, of any precision, or to something
            with that as ``sample``: samples have at least single precision, ``timesteps`` are ``(batch,)`` in
            single precision; a network of another one casts them.

        Raises
        ------
        ParameterError : there is no grid yet, or the network cannot be called.
        """
        self._calls.require_grid()
        told = dict(zip(self.levels, self.timesteps.tolist(), strict=False))
        return SampleDenoiser(network, self.coordinates, self.config, told)

    @property
    def record(self) -> Record:
        """The run that has ended, in which ``log_prob`` was asked for.

        Raises
        ------
        DensityError : there is none.
        """
        if self._recorded is None:
            raise DensityError(
                "nothing was recorded: make the scheduler with log_prob='sum' or 'mean', and run it"
            )
        return self._recorded.record()

    def index_for_timestep(
        self, timestep: float | Tensor, schedule_timesteps: Tensor | None = None
    ) -> int:
        """The number of the model call that a run begins with which is told this timestep.

        schedule_timesteps : instead of `timesteps`; then the first of them that is equal.

        Raises
        ------
        ParameterError : there is none.
        """
        if schedule_timesteps is not None:
            return candidates(schedule_timesteps, timestep)[0]
        return self._calls.beginning(candidates(self.timesteps, timestep))

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
        timestep : of this call, an element of `timesteps`, may be rounded to an integer or to half precision.
            The first one of a run is looked up, the others are those that follow.
        sample : what the network was given; a step starts from the one of its first call.
        generator : seeds generators for the run's noise with one number, so that the noise is new even if the
            numbers that made the first sample come again; a list has one for each image, which then is
            the same in any batch. Default: torch's global generator. Without effect if there is ``noise``.
        return_dict : return a `SEEDSSchedulerOutput`; otherwise a tuple of ``prev_sample``.

        Returns
        -------
        ``prev_sample``, of the sample's shape and dtype: where the network is called next, or the result.
        With the option ``log_prob``, the log-density of the step too, at the last of its calls.

        Raises
        ------
        ParameterError, DenoiserError, NoiseError, DensityError : each names the rule, the value and the
            way out.
        """
        require_state(sample)
        output = prediction(model_output, sample, self.config.variance_type)
        run = self._run or self._beginning(timestep)
        run.require_call()
        require_told(self.timesteps, run.index, timestep)
        recorded = self._recorded
        if recorded is not None:
            recorded.require_untouched(sample)
        elif self.config.log_prob is not None:
            maker, reduction = self._calls.maker, self.config.log_prob
            recorded = Recorded.beginning(run.ahead, maker, sample, reduction)
        x = sample.to(torch.promote_types(sample.dtype, torch.float32))
        estimates = list[Tensor]()

        def estimate(level: float) -> Tensor:
            coefficients = self.coordinates.coefficients(level)
            estimates.append(denoised(self.config, output, x, coefficients))
            return estimates[-1]

        self._run, state = run.advanced(x, estimate, generator, self.noise)
        previous, log_prob = state.to(sample.dtype), None
        if recorded is not None:
            self._recorded, log_prob = recorded.after(sample, estimates[-1], previous)
        return SEEDSSchedulerOutput(previous, log_prob) if return_dict else (previous,)

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
        self._noised = True
        of_grid = dict(zip(self.timesteps.tolist(), self.levels, strict=False))
        coefficients = [
            self.coordinates.coefficients(of_grid[t] if t in of_grid else self.coordinates.level(t))
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
