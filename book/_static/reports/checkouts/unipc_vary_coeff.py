"""UniPC's variants on N(0, 1/4) data: relative error of the end state. Run in a checkout of wl-zhao/UniPC."""

import contextlib
import io

import torch
from uni_pc import NoiseScheduleVP, UniPC

torch.set_default_dtype(torch.float64)
schedule = NoiseScheduleVP("linear")


def deviation(t):
    """Of the state at time t: the solution of the ODE is proportional to it."""
    alpha, sigma = schedule.marginal_alpha(t), schedule.marginal_std(t)
    return (alpha**2 / 4 + sigma**2).sqrt()


def predict_noise(x, t):
    """E[noise | x]."""
    scale = schedule.marginal_std(t) / deviation(t) ** 2
    return scale[:, None, None, None] * x


end = torch.tensor(1e-3)
exact = deviation(end) / deviation(torch.tensor(1.0))
for variant in ("bh1", "bh2", "vary_coeff"):
    for order in (1, 2, 3):
        errors = []
        for steps in (40, 80, 160):
            solver = UniPC(predict_noise, schedule, variant=variant)
            with contextlib.redirect_stdout(io.StringIO()):
                x = solver.sample(
                    torch.ones(1, 1, 1, 1),
                    steps=steps,
                    t_end=float(end),
                    order=order,
                    skip_type="logSNR",
                    lower_order_final=False,
                )
            errors.append(f"{float(x / exact - 1):+.1e}")
        print(f"{variant:10} order {order}:", *errors, "at 40, 80, 160 steps")
