"""Forge's ipndm_v with a constant derivative, steps h, 2h, h, 2h, ... in log sigma. Run in Forge's folder.

Its package imports parts of the web interface; the module of samplers asks for one class of them.
"""

import sys
from types import ModuleType, SimpleNamespace

import torch

for name in ("backend", "backend.modules"):
    sys.modules[name] = ModuleType(name)
sys.modules["backend.modules.k_prediction"] = SimpleNamespace(PredictionFlux=type("None", (), {}))
from k_diffusion.sampling import sample_ipndm_v  # noqa: E402

parts = torch.tensor([0.0, *[1.0, 2.0] * 8], dtype=torch.float64).cumsum(0)
sigmas = 10 ** (1 - 3 * parts / parts[-1])
x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
for order in (2, 3, 4):
    end = sample_ipndm_v(lambda x, s: x - s.reshape(-1, 1, 1, 1), x, sigmas, max_order=order)
    print(f"max_order {order}: moves by {float((x - end) / (10 - 0.01)):.3f} of the distance")
