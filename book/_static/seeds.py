"""SEEDS-1, -2 and -3 in data prediction as a program behind a pipe; the standard library is all it takes.

States are nested lists (batch, numbers) in the frame x / alpha; a step goes from the noise level s to t < s.
"""

import json
import sys
from itertools import pairwise
from math import exp, expm1, factorial, log, sqrt


def phi(k, z):
    """phi_0 = e^z, phi_k = (phi_(k-1) - 1/(k-1)!) / z; the series where the difference would lose digits."""
    if abs(z) < 1:
        return sum(z**n / factorial(n + k) for n in range(20))
    return exp(z) if k == 0 else (phi(k - 1, z) - 1 / factorial(k - 1)) / z


def total(*terms):
    """The sum of weight * states over pairs of these."""
    weights, states = zip(*terms, strict=True)
    return [
        [
            sum(w * v for w, v in zip(weights, values, strict=True))
            for values in zip(*rows, strict=True)
        ]
        for rows in zip(*states, strict=True)
    ]


# --- the steps


def seeds_1(model, noise, x, s, t, eta):
    """One call a step."""
    k, h = 1 + eta, log(s / t)
    (n,) = noises(noise, eta, x, s, t)
    d = model(x, s)
    return total((exp(-k * h), x), (-expm1(-k * h), d), (1, n))


def seeds_2(model, noise, x, s, t, eta, c=1 / 2):
    """Two calls; c is the node of the stage at the level m."""
    k, h = 1 + eta, log(s / t)
    m = s * exp(-c * h)
    n_m, n = noises(noise, eta, x, s, m, t)
    d = model(x, s)
    u = total((exp(-k * c * h), x), (-expm1(-k * c * h), d), (1, n_m))
    d_m = model(u, m)
    mean = total((1 - 1 / (2 * c), d), (1 / (2 * c), d_m))
    return total((exp(-k * h), x), (-expm1(-k * h), mean), (1, n))


def seeds_3(model, noise, x, s, t, eta, c=1 / 3, e=2 / 3):
    """Three calls; c and e are the nodes of the stages, at the levels m and l."""
    k, h = 1 + eta, log(s / t)
    m, l = s * exp(-c * h), s * exp(-e * h)
    n_m, n_l, n = noises(noise, eta, x, s, m, l, t)
    d = model(x, s)
    u = total((exp(-k * c * h), x), (-expm1(-k * c * h), d), (1, n_m))
    d_m = total((1, model(u, m)), (-1, d))
    a = k * h * e**2 / c * phi(2, -k * e * h)
    u = total((exp(-k * e * h), x), (-expm1(-k * e * h), d), (a, d_m), (1, n_l))
    d_l = total((1, model(u, l)), (-1, d))
    b = k * h / e * phi(2, -k * h)
    return total((exp(-k * h), x), (-expm1(-k * h), d), (b, d_l), (1, n))


def noises(noise, eta, x, *levels):
    """The exact noise that starts at the first level, at each of the others; joined from normals."""
    n, found = total((0, x)), []
    for s, t in pairwise(levels):
        if eta > 0:
            h = log(s / t)
            spread = t * sqrt(-expm1(-2 * eta * h))
            n = total((exp(-(1 + eta) * h), n), (spread, noise(s, t)))
        found.append(n)
    return found


# --- the protocol

METHODS = {"seeds-1": seeds_1, "seeds-2": seeds_2, "seeds-3": seeds_3}


def tell(message):
    """One line, at once."""
    print(json.dumps(message), flush=True)


def ask(message):
    """The answer to a request."""
    tell(message)
    return json.loads(sys.stdin.readline())


def model(x, s):
    """The estimate of the data."""
    return ask({"denoise": {"x": x, "sigma": s}})["denoised"]


def noise(s, t):
    """The normals of the stretch from s down to t."""
    return ask({"noise": {"from": s, "to": t, "degree": 1}})["noise"][0]


def run(x, sigmas, options):
    """The last message of a run."""
    method, eta = options.pop("method", "seeds-3"), options.pop("eta", 1.0)
    if options or method not in METHODS or not eta >= 0:
        return {"error": f"no {method} with eta = {eta} and {options} here"}
    for s, t in pairwise(sigmas):
        x = METHODS[method](model, noise, x, s, t, eta) if t > 0 else model(x, s)
    return {"result": x}


def main():
    """Serve runs until the input ends."""
    while line := sys.stdin.readline():
        tell(run(**json.loads(line)["run"]))


if __name__ == "__main__":
    main()
