"""Which of ER-SDE-Solver's methods run. Run in a checkout of QinpengCui/ER-SDE-Solver."""

import numpy as np
import torch
from er_sde_solver import ER_SDE_Solver

print("torch", torch.__version__, "numpy", np.__version__)
levels = torch.linspace(5, 0.5, 6, dtype=torch.float64)
alphas = (1 + levels**2).rsqrt()
x = torch.zeros(2, 3, 4, 4, dtype=torch.float64)


def zero(x, t):
    """An estimate."""
    return torch.zeros_like(x)


for kind in ("ve", "vp"):
    for kinds_of_array in (lambda table: table, lambda table: table.numpy()):
        tables = [levels] if kind == "ve" else [alphas, alphas * levels]
        tables = [kinds_of_array(table) for table in tables]
        for order in ("1_order", "2_order_taylor", "3_order_taylor"):
            method = getattr(ER_SDE_Solver(sde_type=kind), f"{kind}_{order}")
            try:
                method(zero, x, *tables, levels)
                said = "runs"
            except TypeError as error:
                said = f"TypeError: {error}"
            print(f"{kind}_{order}, {type(tables[0]).__name__}: {said}")
score = ER_SDE_Solver(model_prediction_type="score")
print("estimate from a score:", score._predict_xstart_from_others(x, x, levels[0]))
