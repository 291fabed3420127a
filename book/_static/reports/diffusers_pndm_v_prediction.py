"""One denoiser as epsilon- and as v-prediction, on N(0, 1/4) data."""

import torch
from diffusers import PNDMScheduler

for prediction in ("epsilon", "v_prediction"):
    errors = []
    for steps in (25, 50, 100):
        scheduler = PNDMScheduler(prediction_type=prediction, skip_prk_steps=True)
        scheduler.set_timesteps(steps)
        square = scheduler.alphas_cumprod.double()
        x = torch.ones(1, 1, dtype=torch.float64)
        for t in scheduler.timesteps:
            a, s = square[t].sqrt(), (1 - square[t]).sqrt()
            denoised = a / 4 / (a**2 / 4 + s**2) * x
            epsilon = (x - a * denoised) / s
            output = epsilon if prediction == "epsilon" else a * epsilon - s * denoised
            x = scheduler.step(output, t, x).prev_sample
        first, last = square[scheduler.timesteps[0]], square[0]
        exact = ((1 - 0.75 * last) / (1 - 0.75 * first)).sqrt()
        errors.append(f"{float(x / exact - 1):+.2e}")
    print(f"{prediction}:", *errors, "at 25, 50, 100 steps")
