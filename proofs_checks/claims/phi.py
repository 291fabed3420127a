"""Chapter "phi-functions": definition, recurrence, closed form, series, and the accuracy of their numbers."""

import mpmath
import numpy as np
import sympy as sp

from proofs_checks.ledger import Evidence, Verdict, claim, measure_at_most, prove
from seeds_theory.phi import MAX_ORDER, Phi, closed_form, integral, phi, taylor

z = sp.Symbol("z", real=True, nonzero=True)
theta = sp.Symbol("theta", positive=True)
k = sp.Symbol("k", integer=True, positive=True)
n = sp.Symbol("n", integer=True, nonnegative=True)
ORDERS = range(1, MAX_ORDER + 1)
BOOK = "Hochbruck and Ostermann (2010), section 2.1"


@claim(
    "phi-integral",
    r"The integral that defines $\varphi_k$ has the closed form "
    r"$\big(e^z - \sum_{j<k} z^j/j!\big)/z^k$, $k = 1, \dots, 5$.",
    source=BOOK,
    expected=Verdict.proved,
)
def _() -> Evidence:
    return prove(
        ((integral(order, z).doit(), closed_form(order, z)) for order in ORDERS),
        "integrated for symbolic z",
    )


@claim(
    "phi-recurrence",
    r"$\varphi_{k+1}(z) = (\varphi_k(z) - 1/k!)/z$ for every integer $k \ge 1$.",
    source=BOOK,
    expected=Verdict.proved,
)
def _() -> Evidence:
    # d/dtheta of e^{(1-theta) z} theta^k/k! integrates to 1/k!, and is phi_k's integrand minus z
    # times that of phi_{k+1}.
    growth = sp.exp((1 - theta) * z)
    boundary = growth * theta**k / sp.factorial(k)
    integrand = growth * theta ** (k - 1) / (sp.factorial(k) / k)  # (k - 1)! = k!/k
    identities = [
        (sp.diff(boundary, theta), integrand - z * boundary),
        (boundary.subs(theta, 1), 1 / sp.factorial(k)),
    ]
    identities += [
        (closed_form(j + 1, z), (closed_form(j, z) - 1 / sp.factorial(j)) / z) for j in ORDERS
    ]
    return prove(identities, "by parts for symbolic k and z, and from the closed forms")


@claim(
    "phi-taylor",
    r"$\varphi_k(z) = \sum_{n \ge 0} z^n/(n+k)!$.",
    source=BOOK,
    expected=Verdict.proved,
)
def _() -> Evidence:
    # e^{(1-theta) z} expanded under the integral: the coefficient of z^n is the integral I(n, k) of
    # (1-theta)^n theta^{k-1} / (n! (k-1)!). This derivative, integrated from 0 to 1 where its boundary
    # term vanishes (n > 0), says I(n, k) = I(n-1, k+1); and I(0, m) = 1/m!. So I(n, k) = 1/(n+k)!.
    m = sp.Symbol("m", integer=True, positive=True)
    scale = 1 / (sp.factorial(m) * sp.factorial(k))
    boundary = scale * (1 - theta) ** m * theta**k
    power = (1 - theta) ** (m - 1) * theta ** (k - 1)  # common to both integrands, and not zero
    difference = scale * (k * (1 - theta) - m * theta)  # k/k! = 1/(k-1)!, m/m! = 1/(m-1)!
    identities = [
        (sp.simplify(sp.diff(boundary, theta) / power), difference),
        (boundary.subs(theta, 1), sp.Integer(0)),
        (boundary.subs(theta, 0), sp.Integer(0)),
        (sp.diff(theta**k / sp.factorial(k), theta), k * theta ** (k - 1) / sp.factorial(k)),
    ]
    identities += [
        (sp.series(closed_form(order, z), z, 0, 8).removeO(), taylor(order, z, 8))
        for order in ORDERS
    ]
    return prove(identities, "termwise by parts for symbolic n and k, and the first 8 terms")


@claim(
    "phi-kummer",
    r"$\varphi_k(z) = \frac{e^z}{k!}\sum_n \frac{k}{k+n}\frac{(-z)^n}{n!}$: for $z < 0$ every term "
    r"is positive, so its sum loses no digits.",
    source="Kummer's transformation",
    expected=Verdict.proved,
)
def _() -> Evidence:
    # e^{-theta z} under the integral, term by term.
    term = (-z) ** n / sp.factorial(n) * theta ** (n + k - 1) * k / sp.factorial(k)
    antiderivative = (-z) ** n / sp.factorial(n) * theta ** (n + k) * k / sp.factorial(k) / (n + k)
    stated = k / (k + n) * (-z) ** n / sp.factorial(n) / sp.factorial(k)
    return prove(
        [(sp.diff(antiderivative, theta), term), (antiderivative.subs(theta, 1), stated)],
        "termwise integration for symbolic k, n and z",
    )


@claim(
    "phi-derivative",
    r"$\varphi_k' = \varphi_k - k\,\varphi_{k+1}$ for every integer $k \ge 1$.",
    source="this project",
    expected=Verdict.proved,
)
def _() -> Evidence:
    # Under the integral, d/dz brings down (1 - theta), which splits into the two integrands.
    density = theta ** (k - 1) / (sp.factorial(k) / k)
    identities = [((1 - theta) * density, density - k * theta**k / sp.factorial(k))]
    identities += [(sp.diff(closed_form(j, z), z), Phi(j, z).diff(z).doit()) for j in ORDERS]
    return prove(identities, "under the integral for symbolic k, and from the closed forms")


@claim(
    "phi-accuracy",
    r"The numbers of $\varphi_0, \dots, \varphi_5$ have a relative error of at most $10^{-14}$ for "
    r"$|z| \le 100$, $z = 10^{-300}$ and $z = 0$ included.",
    source="this project",
    expected=Verdict.measured,
)
def _() -> Evidence:
    magnitudes = np.concatenate([np.logspace(-300, -8, 40), np.logspace(-8, 2, 400), [3.0]])
    points = np.concatenate([-magnitudes, [0.0], magnitudes])
    errors = []
    with mpmath.workdps(50):
        for order in range(MAX_ORDER + 1):
            for value, point in zip(phi(order, points), points, strict=True):
                exact = mpmath.hyp1f1(1, order + 1, mpmath.mpf(point)) / mpmath.factorial(order)
                errors.append(float(abs(mpmath.mpf(value) - exact) / abs(exact)))
    return measure_at_most(errors, 1e-14, f"worst relative error at {len(errors)} points")
