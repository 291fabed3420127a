"""Data of any distribution: an arbitrary density of the noisy state, its denoiser and Ito's formula."""

from __future__ import annotations

import sympy as sp

from seeds_theory.exact import diffusion, eta, lam

LEVEL = sp.exp(-2 * lam)
"""The square of the noise level."""


class AnyData:
    """An arbitrary positive density p of the noisy state in d dimensions, which solves the heat equation."""

    def __init__(self, dimension: int, name: str = "p") -> None:
        self.state = sp.symbols(f"y1:{dimension + 1}", real=True)
        self.density = sp.Function(name, positive=True)(*self.state, lam)
        self.denoiser = [y + LEVEL * sp.diff(self.density, y) / self.density for y in self.state]

    def laplacian(self, field: sp.Expr) -> sp.Expr:
        """The sum of the second derivatives in the state."""
        return sp.Add(*(sp.diff(field, y, 2) for y in self.state))

    def heat(self, expression: sp.Expr) -> sp.Expr:
        """With the derivative of p in lambda replaced by what the heat equation says."""
        rate = -LEVEL * self.laplacian(self.density)
        return expression.subs(sp.Derivative(self.density, lam), rate).doit()

    def transport(self, field: sp.Expr) -> sp.Expr:
        """Along the pull towards the data: (D - y) applied to the gradient of a field."""
        pairs = zip(self.denoiser, self.state, strict=True)
        return sp.Add(*((to - y) * sp.diff(field, y) for to, y in pairs))

    def drift(self, field: sp.Expr) -> sp.Expr:
        """The drift of field(Y, lambda) along the SDE, by Ito's formula."""
        spread = diffusion**2 / 2 * self.laplacian(field)
        return self.heat(sp.diff(field, lam)) + (1 + eta) * self.transport(field) + spread

    def response(self, field: sp.Expr) -> sp.Expr:
        """What is left of the drift of D but for its factor eta - 1."""
        return self.transport(field) + LEVEL * self.laplacian(field)
