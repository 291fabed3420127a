"""Samplers that ask of the model what ComfyUI's ask."""

import comfy.model_sampling
import torch


def _report(callback, x, i, sigma, denoised):
    if callback is not None:
        callback({"x": x, "i": i, "sigma": sigma, "sigma_hat": sigma, "denoised": denoised})


def _model_sampling(model):
    found = model.inner_model.model_patcher.get_model_object("model_sampling")
    assert found is model.inner_model.inner_model.model_sampling
    return found


def sample_euler(model, x, sigmas, extra_args=None, callback=None, disable=None):
    """Euler's method in sigma."""
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones(len(x)), **extra_args)
        _report(callback, x, i, sigmas[i], denoised)
        x = denoised + sigmas[i + 1] / sigmas[i] * (x - denoised)
    return x


def sample_euler_cfg_pp(model, x, sigmas, extra_args=None, callback=None, disable=None):
    """Euler's method whose direction is that of the unconditional estimate."""
    seen = []

    def keep(args):
        seen.append(args["uncond_denoised"])
        return args["denoised"]

    options = dict(extra_args["model_options"])
    options["sampler_post_cfg_function"] = [*options.get("sampler_post_cfg_function", []), keep]
    extra_args["model_options"] = options
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones(len(x)), **extra_args)
        x = denoised + sigmas[i + 1] / sigmas[i] * (x - seen[-1])
    assert len(seen) == len(sigmas) - 1
    return x


def sample_exact_noise(
    model, x, sigmas, extra_args=None, callback=None, disable=None, noise_sampler=None
):
    """To alpha times the estimate, and sigma times new noise."""
    flow = isinstance(_model_sampling(model), comfy.model_sampling.CONST)
    draw = noise_sampler or (lambda sigma, sigma_next: torch.randn_like(x))
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones(len(x)), **extra_args)
        alpha = 1 - sigmas[i + 1] if flow else 1.0
        x = alpha * denoised + sigmas[i + 1] * draw(sigmas[i], sigmas[i + 1])
    return x


def sample_stochastic(
    model, x, sigmas, extra_args=None, callback=None, disable=False, tau_func=None
):
    """Adds up the taus of the levels."""
    if tau_func is None:
        start = _model_sampling(model).percent_to_sigma(0.2)
        return x * 0 + sum(float(sigma <= start) for sigma in sigmas)
    return x * 0 + sum(tau_func(sigma) for sigma in sigmas)


def sample_ends(model, x, sigma_min, sigma_max, n, extra_args=None, callback=None, disable=None):
    """One step between the ends, told the number of calls."""
    assert n == 3
    return sample_euler(model, x, torch.tensor([sigma_max, sigma_min]), extra_args, callback)


def sample_ar_video(model, x, sigmas, extra_args=None, callback=None, disable=None):
    """Of another kind of model."""
    raise NotImplementedError
