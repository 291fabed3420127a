"""The solver's own cost per step, the model excluded, against the same or the nearest sampler elsewhere.

Forty steps of a model that returns what it is given, in the signature of k-diffusion. "drawn": each sampler
draws its normals; "given": a noise sampler that draws nothing, so that arithmetic alone is compared.
"""

import pytest
import straightforward
import torch

from proofs_checks.audit.peers import LibraryError
from proofs_checks.audit.peers.kdiffusion import sampling_module
from seeds_theory import kdiffusion

SHAPES = {"4 numbers": (4, 1), "4x64x64": (1, 4, 64, 64)}
SIGMAS = torch.cat([torch.logspace(1.3, -1.7, 41), torch.zeros(1)])

every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def model(x, sigma):
    return x


def states(shape):
    return 20 * torch.randn(shape)


def runner(sampler, x, noise):
    keywords = {"noise_sampler": noise} if noise else {}
    return lambda: sampler(model, x, SIGMAS, disable=True, **keywords)


@every_shape
@pytest.mark.parametrize("noise", ["drawn", "given"])
@pytest.mark.parametrize(
    ("name", "peer", "limit"),
    [("seeds_1", "euler_ancestral", 1.0), ("seeds_2", "seeds_2", 0.5), ("seeds_3", "seeds_3", 0.5)],
)
def test_against_straightforward_formulas(compare, shape, noise, name, peer, limit):
    x, fixed = states(shape), torch.randn(shape)
    given = (lambda sigma, sigma_next: fixed) if noise == "given" else None
    ratio = compare(
        runner(getattr(kdiffusion, f"sample_{name}"), x, given),
        runner(getattr(straightforward, peer), x, given),
        ours=name,
        peer=f"formulas of {peer}",
        shape=label(shape),
        noise=noise,
    )
    # Of large states the normals are most of the work, the same on both sides: see the book's page.
    drawing = noise == "drawn" and x.numel() > 1000  # then the normals are most of both
    assert ratio < max(limit, 0.75 if drawing else 0.0)


@every_shape
@pytest.mark.parametrize(
    ("name", "peer"), [("seeds_1", "euler_ancestral"), ("seeds_2", "dpmpp_sde")]
)
def test_against_k_diffusion(compare, shape, name, peer):
    """With as many model calls and normals per step; its Brownian tree is left out."""
    ratio = compare(
        runner(getattr(kdiffusion, f"sample_{name}"), x := states(shape), None),
        runner(k_diffusion(peer), x, lambda sigma, sigma_next: torch.randn_like(x)),
        ours=name,
        peer=f"k-diffusion's {peer}",
        shape=label(shape),
        noise="drawn",
    )
    assert ratio < 1.0


@every_shape
def test_the_multistep_method_against_k_diffusion(compare, shape):
    """A baseline, not a plan: its coefficients are computed again in each run. No bound is claimed."""
    compare(
        runner(kdiffusion.sample_seeds_2m, x := states(shape), None),
        runner(k_diffusion("dpmpp_2m_sde"), x, lambda sigma, sigma_next: torch.randn_like(x)),
        ours="seeds_2m",
        peer="k-diffusion's dpmpp_2m_sde",
        shape=label(shape),
        noise="drawn",
    )


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@every_shape
def test_against_diffusers(compare, shape):
    """Its multistep SDE solver, of one model call per step."""
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++")
    x = torch.randn(shape)

    def theirs():
        scheduler.set_timesteps(40)
        state = x
        for t in scheduler.timesteps:
            state = scheduler.step(state, t, state).prev_sample

    ratio = compare(
        runner(kdiffusion.sample_seeds_1, 20 * x, None),
        theirs,
        ours="seeds_1",
        peer="diffusers' sde-dpmsolver++",
        shape=label(shape),
        noise="drawn",
    )
    assert ratio < 1.0


def k_diffusion(name):
    try:
        return getattr(sampling_module(), f"sample_{name}")
    except LibraryError as error:
        pytest.skip(str(error))


def label(shape):
    return next(name for name, value in SHAPES.items() if value == shape)
