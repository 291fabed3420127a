"""An epoch of GRPO on a tiny pipeline of Stable Diffusion 3, as the author of a trainer would write it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from pipeline_networks import autoencoder, transformer_3  # noqa: E402

from seeds_theory import SeededNoise, kl, log_prob, require_repeatable  # noqa: E402
from seeds_theory.diffusers import SEEDSScheduler  # noqa: E402
from seeds_theory.diffusers.policy_step import sde_step_with_logprob  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the two libraries' own
    pytest.mark.filterwarnings("ignore::FutureWarning:diffusers.*"),
]

GROUP = 4


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


PROMPT, POOLED = normals(1, 5, 16, seed=11), normals(1, 12, seed=12)


class LowRank(torch.nn.Module):
    """A linear map and a product of two small matrices beside it, 0 at first."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.down = torch.nn.Parameter(normals(2, linear.in_features, seed=1))
        self.up = torch.nn.Parameter(torch.zeros(linear.out_features, 2))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.linear(x) + x @ (self.up @ self.down).T
        return found


def pipeline(**options: Any) -> Any:
    """The pipeline as it ships, and in it a transformer with weights to train."""
    transformer = copy.deepcopy(transformer_3()).requires_grad_(False)
    transformer.proj_out = LowRank(transformer.proj_out)
    numbers = ("", "_2", "_3")
    parts = dict.fromkeys(f"{part}{n}" for part in ("text_encoder", "tokenizer") for n in numbers)
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    pipe = diffusers.StableDiffusion3Pipeline(
        transformer=transformer, vae=copy.deepcopy(autoencoder()), scheduler=theirs, **parts
    )
    pipe.scheduler = SEEDSScheduler.from_config(theirs.config, **options)
    pipe.scheduler.noise = SeededNoise(range(GROUP))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sampled(pipe: Any, guidance: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
    prompts = {
        "prompt_embeds": PROMPT.expand(GROUP, -1, -1),
        "pooled_prompt_embeds": POOLED.expand(GROUP, -1),
        "negative_prompt_embeds": -PROMPT.expand(GROUP, -1, -1),
        "negative_pooled_prompt_embeds": -POOLED.expand(GROUP, -1),
    }
    latents = pipe(
        output_type="latent",
        guidance_scale=guidance,
        num_inference_steps=4,
        latents=normals(GROUP, 4, 8, 8).to(dtype),
        **{name: value.to(dtype) for name, value in prompts.items()},
    ).images
    assert isinstance(latents, Tensor)
    return latents


def network_of(pipe: Any, guidance: float = 1.0) -> Callable[[Tensor, Tensor], Tensor]:
    def network(x: Tensor, times: Tensor) -> Tensor:
        prompts, pooled = (one.expand(len(x), *one.shape[1:]).to(x) for one in (PROMPT, POOLED))
        led: Tensor = pipe.transformer(x, prompts, pooled, times).sample
        if guidance == 1.0:
            return led
        away = pipe.transformer(x, -prompts, -pooled, times).sample
        return away + guidance * (led - away)

    return network


def trained(pipe: Any) -> list[Tensor]:
    return [one for one in pipe.transformer.parameters() if one.requires_grad]


def advantages(latents: Tensor) -> Tensor:
    rewards = latents.mean(dim=(1, 2, 3)).double()
    return (rewards - rewards.mean()) / rewards.std()


@pytest.mark.parametrize(
    ("method", "guidance"), [("seeds-1", 1.0), ("seeds-2", 1.0), ("sde-dpm-solver++-2m", 3.0)]
)
def test_an_epoch_on_the_record_of_the_pipelines_run(method: str, guidance: float) -> None:
    pipe = pipeline(method=method, eta=0.7, log_prob="mean")
    latents = sampled(pipe, guidance)
    record = pipe.scheduler.record
    assert torch.equal(record.x, latents)
    policy = pipe.scheduler.denoiser(network_of(pipe, guidance))
    require_repeatable(policy, record, within=1e-5)
    old, weights = copy.deepcopy(pipe.transformer), trained(pipe)
    optimizer = torch.optim.SGD(weights, lr=0.02)
    objectives = []
    for _ in range(3):
        ratio = (log_prob(policy, record) - record.log_prob).exp()
        if not objectives:
            torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=1e-5)
        objective = (ratio * advantages(latents)[:, None]).mean()
        objectives.append(float(objective.detach()))
        optimizer.zero_grad()
        (-objective).backward()
        assert all(bool(one.grad.isfinite().all()) for one in weights if one.grad is not None)
        if len(objectives) == 1:  # the other factor is 0 yet
            assert float(pipe.transformer.proj_out.up.grad.abs().max()) > 0
        optimizer.step()
    assert objectives[0] < objectives[1] < objectives[2]
    before = copy.copy(pipe)
    before.transformer = old
    reference = pipe.scheduler.denoiser(network_of(before, guidance))
    assert bool((kl(policy, reference, record) > 0).all())


def test_gradients_of_the_low_rank_weights_are_those_of_finite_differences() -> None:
    pipe = pipeline(method="seeds-2", log_prob="mean")
    sampled(pipe)
    record = pipe.scheduler.record.mapped(lambda t: t.double())
    pipe.transformer.double()
    network = network_of(pipe)
    policy = pipe.scheduler.denoiser(lambda x, times: network(x, times.double()))
    up = pipe.transformer.proj_out.up
    direction = normals(*up.shape, seed=5).double()
    (gradient,) = torch.autograd.grad(log_prob(policy, record).sum(), up)
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            up.add_(direction, alpha=sign * 1e-4)
            values.append(float(log_prob(policy, record).sum()))
            up.add_(direction, alpha=-sign * 1e-4)
    slope = (values[0] - values[1]) / 2e-4
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-5)
    assert abs(slope) > 1e-3


@pytest.mark.parametrize("method", ["seeds-1", "flow-sde", "cps", "dance-sde", "precise"])
def test_an_epoch_by_single_steps_in_a_shuffled_order(method: str) -> None:
    """As Flow-GRPO's trainer: what a run gave is cut into steps, which are shuffled for each sample."""
    level = None if method == "seeds-1" else 0.4
    options = {} if level is None else {"options": {"level": level}}
    pipe = pipeline(method=method, log_prob="mean", **options)
    latents, network = sampled(pipe), network_of(pipe)
    scheduler, record = pipe.scheduler, pipe.scheduler.record
    ends = [record.states[0], *record.states[2::2]]  # a call and an end for each step
    steps = torch.stack(
        [torch.randperm(3, generator=torch.Generator().manual_seed(i)) for i in range(GROUP)]
    )
    first = True
    optimizer = torch.optim.SGD(trained(pipe), lr=0.5)
    for j in range(3):
        chosen = steps[:, j]
        x, action = (
            torch.stack([ends[n + after][i] for i, n in enumerate(chosen.tolist())])
            for after in (0, 1)
        )
        times = scheduler.timesteps[chosen]
        old = record.log_prob[torch.arange(GROUP), chosen]
        found, new, mean, deviation = sde_step_with_logprob(
            scheduler, network(x, times), times, x, level, action
        )
        ratio = (new - old).exp()
        if first:
            torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=1e-5)
        else:
            assert float((ratio - 1).detach().abs().max()) > 1e-6
        first = False
        assert found is action and mean.shape == x.shape and deviation.shape == (GROUP, 1, 1, 1)
        optimizer.zero_grad()
        (-(ratio * advantages(latents)).mean()).backward()
        optimizer.step()


def test_a_pipeline_in_half_precision_gives_finite_densities() -> None:
    pipe = pipeline(method="seeds-2", log_prob="sum")
    pipe.to(torch.bfloat16)
    sampled(pipe, dtype=torch.bfloat16)
    record, network = pipe.scheduler.record, network_of(pipe)
    assert record.log_prob.dtype == torch.float64 and record.log_prob.isfinite().all()
    policy = pipe.scheduler.denoiser(lambda x, times: network(x.bfloat16(), times))
    with torch.no_grad():
        again = log_prob(policy, record)
    torch.testing.assert_close(again, record.log_prob, rtol=1e-9, atol=1e-6)
