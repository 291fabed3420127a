"""Samplers outside the module of the others; their callback tells no level."""


def sample_unipc(
    model, noise, sigmas, extra_args=None, callback=None, disable=False, variant="bh1"
):
    """Euler's method."""
    x = noise
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones(len(x)), **extra_args)
        x = denoised + sigmas[i + 1] / sigmas[i] * (x - denoised)
        if callback is not None:
            callback({"x": x, "i": i, "denoised": denoised})
    return x


def sample_unipc_bh2(model, noise, sigmas, extra_args=None, callback=None, disable=False):
    """The same."""
    return sample_unipc(model, noise, sigmas, extra_args, callback, disable, variant="bh2")
