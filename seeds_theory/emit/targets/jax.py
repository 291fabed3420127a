"""One function of jax, for `jit` and under `lax.scan`."""

from __future__ import annotations

from string import Template

from seeds_theory.emit import description
from seeds_theory.emit.method import MethodProgram
from seeds_theory.emit.targets import python_text

_FILE = Template('''\
$header
$module
$math
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer
from jax.numpy import $functions
$helpers

def sample(denoiser, x, sigmas, normals, eta=1.0):
$summary

$meaning

$formula

$noise
$source

    For jax.jit(sample, static_argnums=0): all but the denoiser may be traced. Coefficients have the
    precision of jax's floats, 32 bits or 64 (jax_enable_x64); states keep their own. At eta = 0
    there are no derivatives by eta and sigmas, since the noise grows like sqrt(eta); by x there are.

    denoiser : denoiser(u, sigma), with a scalar sigma, returns the denoised u.
    x : states at sigmas[0], an array of any shape; unit noise if that level is infinite.
    sigmas : noise levels that descend strictly; the last may be 0.
    normals : for each step its unit noises, $count in time order: (steps, $count, *x.shape).
        A step from an infinite level uses the first, a step to 0 none. None is for eta = 0 alone.
    eta : 1 is the reverse SDE, 0 the ODE.
    """
    sigmas = jnp.asarray(sigmas, float)
    if sigmas.ndim != 1 or len(sigmas) < 2:
        raise ValueError(f"sigmas are two or more noise levels; got the shape {sigmas.shape}")
    if not isinstance(sigmas, Tracer) and not (sigmas[1:] < sigmas[:-1]).all() & (sigmas[-1] >= 0):
        raise ValueError(f"sigmas descend strictly, to 0 at the lowest; got {sigmas}")
    if not isinstance(eta, Tracer) and not 0 <= eta < jnp.inf:
        raise ValueError(f"eta is a finite number >= 0; got {eta}")
    if normals is None and (isinstance(eta, Tracer) or eta != 0):
        raise ValueError("only eta = 0, a number, takes no normals")
    if normals is None:
        normals = jnp.zeros((len(sigmas) - 1, $count, *x.shape), x.dtype)

    def cast(u):
        return u.astype(x.dtype)

    def finite_step(x, D_1, s, t, normals):
$step
        return x

    def step(x, inputs):
        s, t, normals = inputs
        D_1 = cast(denoiser(x, s))

        def to_zero():
            return D_1

        def from_infinity():
            return cast(D_1 + t * jnp.where(eta > 0, normals[0], x))

        def from_finite():
            return lax.cond(t == 0, to_zero, lambda: finite_step(x, D_1, s, t, normals))

        return lax.cond(jnp.isinf(s), from_infinity, from_finite), None

    levels = sigmas[:-1], sigmas[1:]
    return lax.scan(step, x, (*levels, jnp.asarray(normals, x.dtype)))[0]
''')

_PHI = '''
def phi(k, z):
    """(e^z - sum_{j<k} z^j / j!) / z^k, without cancellation."""
    near = jnp.abs(z) <= 3
    up = jnp.where(near & (z > 0), z, 0.0)
    down = jnp.where(near & (z < 0), -z, 0.0)
    rising = sum(up**n * (1 / factorial(n + k)) for n in range(30))
    # After Kummer's transformation all terms have one sign.
    falling = sum(down**n * (k / ((k + n) * factorial(n) * factorial(k))) for n in range(30))
    far = jnp.where(near, 4.0, z)
    value = expm1(far) / far
    for j in range(1, k):
        value = (value - 1 / factorial(j)) / far
    return jnp.where(near, jnp.where(z > 0, rising, exp(-down) * falling), value)
'''

_DAMPED_PHI = '''
def damped_phi(k, z):
    """e^-z phi_k(z) for z >= 0, which stays finite."""
    near, far = jnp.minimum(z, 3.0), jnp.maximum(z, 3.0)
    value = -expm1(-far) / far
    for j in range(1, k):
        value = (value - exp(-far) / factorial(j)) / far
    return jnp.where(z <= 3, exp(-near) * phi(k, near), value)
'''


def files(method: MethodProgram) -> dict[str, str]:
    """One file, of the name of the method."""
    helpers = python_text.helpers(method.step.program, phi=_PHI, damped_phi=_DAMPED_PHI)
    names = python_text.math_names(method.step.program, helpers).split(", ")
    text = _FILE.substitute(
        header=python_text.header(),
        module=python_text.module(method, "jax"),
        math="\nfrom math import factorial\n" if "factorial" in names else "",
        functions=", ".join(name for name in names if name != "factorial"),
        helpers=helpers,
        **python_text.docstring(method, indent=4),
        count=method.normals,
        step=python_text.indented(_step(method), 8),
    )
    return {f"{description.identifier(method)}.py": text}


def _step(method: MethodProgram) -> list[str]:
    lines = [] if method.prediction == "data" else ["eps_1 = cast((x - D_1) / s)"]
    lines += [*python_text.level_lines(method), f"{python_text.normals(method)} = normals"]
    return [*lines, *python_text.row_lines(method, "denoiser({u}, {s})", cast="cast")]
