"""`assert_density` on steps that are right, and on each kind of wrong one."""

import math

import pytest
import torch
from typer.testing import CliRunner

from proofs_checks.audit import assert_density, audit_density, trainer_step
from proofs_checks.audit.command import app
from proofs_checks.audit.densities.own import solver_step
from proofs_checks.audit.densities.statistics import correlation
from proofs_checks.audit.densities.targets import find_step
from seeds_theory.errors import ParameterError, UnknownNameError
from seeds_theory.policies import POLICIES, policy
from seeds_theory.solver import Solver

HALF_LOG = math.log(2 * math.pi) / 2


def gaussian(
    *,
    reduce="sum",
    factor=lambda d: 1 / (2 * d**2),
    constant=lambda d: -math.log(d) - HALF_LOG,
    noise=torch.randn_like,
    mean=lambda m: m,
    deviation=lambda d: d,
    density_deviation=lambda d: d,
    given=lambda action: action,
    value=lambda density: density,
    network_of=lambda v: v,
    drawn=lambda state: state.detach(),
):
    """A step of one Gaussian, x + (r - t) v and deviation 0.6 (t - r)^(1/2) + 0.1, perhaps with a fault."""

    def step(network, x, t, t_next, action=None):
        m = x + (t_next - t) * network_of(network(x, t))
        d = 0.6 * math.sqrt(t - t_next) + 0.1
        state = m + deviation(d) * noise(m) if action is None else given(action)
        if state is None:
            state = m + d * torch.randn_like(m)
        e = density_deviation(d)
        each = -((drawn(state) - mean(m)) ** 2) * factor(e) + constant(e)
        total = each.flatten(1).sum(1) if reduce == "sum" else each.flatten(1).mean(1)
        return state, value(total)

    return step


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 4, 4), (5,), (1,), (2, 40)])
def test_a_right_step_has_no_findings(shape, dtype):
    report = audit_density(gaussian(), shape=shape, dtype=dtype)
    assert report.findings == () and report.reduction == "sum" and report.belongs
    assert_density(gaussian(), shape=shape, reduction="sum", fail_on="note")
    for figures in report.figures:
        expected = 0.6 * math.sqrt(figures.times[0] - figures.times[1]) + 0.1
        assert figures.deviation == pytest.approx(expected, abs=4 * figures.error)
        assert abs(figures.ratio - 1) < 4 * figures.ratio_error
        assert abs(figures.score) < 4 * figures.score_error


@pytest.mark.slow
def test_single_precision_of_a_picture_is_not_half_precision():
    report = audit_density(gaussian(), shape=(3, 32, 32), dtype=torch.float32, draws=512)
    assert report.findings == ()
    found = audit_density(half_inside, shape=(3, 16, 16), dtype=torch.float32, draws=512)
    assert "half-precision" in {finding.id for finding in found.findings}


def test_no_seed_accuses_a_right_step():
    for seed in range(10):
        report = audit_density(gaussian(reduce="mean"), seed=seed, draws=512)
        assert [finding.id for finding in report.findings] == ["reduction"]


def shared(m):
    return torch.randn(len(m), 1, 1, 1).expand_as(m)


def half_inside(network, x, t, t_next, action=None):
    """Squares in half precision, added up in single."""
    m, d = x + (t_next - t) * network(x, t), 0.5
    state = m + d * torch.randn_like(m) if action is None else action
    each = -(((state.detach() - m) / d) ** 2).bfloat16().float() / 2 - math.log(d) - HALF_LOG
    return state, each.flatten(1).sum(1)


def deviation_of_network(network, x, t, t_next, action=None):
    """A deviation that the network says, and no constant."""
    v = network(x, t)
    m, d = x + (t_next - t) * v, 0.3 + 0.2 * torch.sigmoid(v.flatten(1).sum(1))[:, None, None, None]
    state = m + d * torch.randn_like(m) if action is None else action
    return state, (-((state.detach() - m) ** 2) / (2 * d**2)).flatten(1).sum(1)


def uneven(network, x, t, t_next, action=None):
    """Draws whose deviation differs from element to element, in a density that does not know."""
    m, d = x + (t_next - t) * network(x, t), torch.linspace(0.4, 0.6, 4)
    even = float(d.square().mean().sqrt())
    state = m + d * torch.randn_like(m) if action is None else action
    each = -((state.detach() - m) ** 2) / (2 * even**2) - math.log(even) - HALF_LOG
    return state, each.flatten(1).sum(1)


def laplace(network, x, t, t_next, action=None):
    """A log-density that is no quadratic, of normal draws."""
    m, d = x + (t_next - t) * network(x, t), 0.5
    state = m + d * torch.randn_like(m) if action is None else action
    return state, -(math.sqrt(2) * (state.detach() - m).abs() / d).flatten(1).sum(1)


def paired(first, second):
    """Normals of which each second element is made of the one before it and one of its own."""

    def noise(m):
        z = torch.randn_like(m).flatten(1)
        z[:, 1::2] = second(z[:, ::2], z[:, 1::2])
        z[:, ::2] = first(z[:, ::2])
        return z.view_as(m)

    return noise


def correlated(r):
    return paired(lambda a: a, lambda a, b: r * a + math.sqrt(1 - r**2) * b)


def opposite_in_half(m):
    """Pairs of elements that are equal or opposite, half and half: their sum has the right variance."""
    z = torch.randn_like(m).flatten(1)
    signs = torch.ones(z.shape[1] // 2)
    signs[::2] = -1
    z[:, 1::2] = signs * z[:, ::2]
    return z.view_as(m)


def uniform(m):
    return math.sqrt(12) * (torch.rand_like(m) - 0.5)


FAULTS = {
    "1/(2 d^2)": (
        gaussian(factor=lambda d: 1.0),
        "error weight: a factor 1/(2 d^2) is missing: squares",
    ),
    "1/(2 d^2), mean, no constant": (
        gaussian(factor=lambda d: 1.0, reduce="mean", constant=lambda d: 0.0),
        "error weight: a factor 1/(2 d^2) is missing, in a mean over pixels",
    ),
    "1/d^2": (gaussian(factor=lambda d: 0.5), "error weight: a factor 1/d^2 is missing"),
    "1/2": (gaussian(factor=lambda d: 1 / d**2), "error weight: a factor 1/2 is missing"),
    "another factor": (
        gaussian(factor=lambda d: 0.3 / d**2, constant=lambda d: 0.0),
        "times what the draws' deviation says, neither once as a sum nor",
    ),
    "deviation": (
        gaussian(density_deviation=lambda d: 0.9 * d),
        "error deviation: deviation of another step: the log-density has 0.",
    ),
    "deviation, mean": (
        gaussian(deviation=lambda d: 1.05 * d, reduce="mean"),
        "error deviation: deviation of another step",
    ),
    "mean": (gaussian(mean=lambda m: 1.2 * m), "error mean: mean of another step"),
    "half": (
        gaussian(value=lambda density: density.half()),
        "error half-precision: log-density in half precision (float16)",
    ),
    "bfloat16 and back": (
        gaussian(value=lambda density: density.bfloat16().float()),
        "error half-precision: log-density in half precision (bfloat16)",
    ),
    "half inside": (half_inside, "error half-precision: log-density in half precision inside"),
    "state in half": (
        gaussian(drawn=lambda state: state.detach().bfloat16().float()),
        "error half-precision: log-density in half precision inside",
    ),
    "action drawn anew": (
        gaussian(given=lambda action: None),
        "error action: prev_sample is not used: the step returns another state",
    ),
    "action not in the density": (
        gaussian(value=lambda density: torch.full_like(density, -3.0)),
        "error action: prev_sample is not used: the log-density is the same",
    ),
    "detached": (
        gaussian(network_of=lambda v: v.detach()),
        "error gradient: gradient detached: the log-density has none",
    ),
    "detached value": (
        gaussian(value=lambda density: density.detach() + 0 * density),
        "error gradient: gradient detached: it is 0",
    ),
    "half of the gradient": (
        gaussian(network_of=lambda v: (v + v.detach()) / 2),
        "error gradient: the gradient is 0.5 times the derivative",
    ),
    "no network": (
        gaussian(network_of=lambda v: 0 * v.detach()),
        "error gradient: the log-density does not depend on the network",
    ),
    "gradient through the draw": (
        gaussian(drawn=lambda state: state),
        "warning gradient: the gradient of a step that draws is",
    ),
    "no noise": (
        gaussian(noise=torch.zeros_like),
        "error noise: the step draws no noise: its next states have no density",
    ),
    "noise of the batch": (
        gaussian(noise=lambda m: torch.randn(m.shape[1:]).expand_as(m)),
        "error noise: all rows of a batch have the same noise",
    ),
    "noise of a seed": (
        gaussian(noise=lambda m: torch.randn(m.shape, generator=torch.Generator().manual_seed(1))),
        "error noise: each call draws the same numbers again",
    ),
    "noise shared": (gaussian(noise=shared), "error noise: elements of a state share noise"),
    "noise that cancels": (
        gaussian(noise=correlated(-0.3)),
        "error noise: elements of a state share noise",
    ),
    "noise that cancels in pairs": (
        gaussian(noise=correlated(-0.99)),
        "error noise: elements of a state share noise",
    ),
    "noise equal or opposite": (
        gaussian(noise=opposite_in_half),
        "error noise: the draws are not independent of each other: squared correlations",
    ),
    "noise of one size": (
        gaussian(noise=paired(lambda a: a, lambda a, b: a.abs() * b.sign())),
        "error noise: the sizes of the draws are not independent of each other",
    ),
    "noise of half of the batch": (
        gaussian(noise=lambda m: torch.randn_like(m[::2]).repeat(2, *[1] * (m.ndim - 1))[: len(m)]),
        "error noise: the draws are not independent of each other",
    ),
    "noise uniform": (gaussian(noise=uniform), "error noise: the draws are not normal"),
    "noise in part": (
        gaussian(noise=lambda m: torch.randn_like(m) * torch.tensor([1.0, 1.0, 1.0, 0.0])),
        "error noise: some elements have no noise",
    ),
    "uneven": (uneven, "error deviation: the variance of an element is"),
    "deviation of the network": (
        deviation_of_network,
        "error normaliser: constant log normaliser left out, though the deviation depends on the network",
    ),
    "laplace": (laplace, "error information: the score's mean square is 1."),
    "batch": (
        gaussian(value=lambda density: density - density.mean()),
        "error batch: the log-density of a state depends on its batch",
    ),
    "other constant for draws": (
        lambda network, x, t, t_next, action=None: (
            lambda found: (found[0], found[1] + 5.0 * (action is None))
        )(gaussian()(network, x, t, t_next, action)),
        "error again: the log-density asked again of the same state is another one",
    ),
    "each element": (
        lambda *a, **k: (lambda s: (s[0], s[0]))(gaussian()(*a, **k)),
        "error runs: returns log-densities of shape (256, 3, 4, 4)",
    ),
    "raises": (lambda *a, **k: 1 / 0, "error runs: raises ZeroDivisionError"),
    "no tuple": (lambda network, x, *a, **k: x, "error runs: returns Tensor"),
    "nan": (
        gaussian(value=lambda density: density * math.nan),
        "error runs: returns states or log-densities that are not finite",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_told_in_words_once(name):
    step, words = FAULTS[name]
    report = audit_density(step, draws=1024)
    told = [str(finding) for finding in report.findings if finding.severity.rank > 0]
    assert [line for line in told if words in line], report
    assert len(told) == 1, report
    with pytest.raises(AssertionError, match=told[0].partition(":")[0]):
        assert_density(step, draws=1024, fail_on="warning")


CONSTANTS = {
    "constant log normaliser left out": lambda d: 0.0,
    "constant log(2 pi)/2 left out of the normaliser": lambda d: -math.log(d),
    "log d left out of the normaliser": lambda d: -HALF_LOG,
    "another constant in place of the log normaliser": lambda d: 1.0,
}


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("words", CONSTANTS)
def test_a_constant_is_harmless_for_ratios(words, reduce):
    report = audit_density(gaussian(constant=CONSTANTS[words], reduce=reduce))
    (finding,) = [f for f in report.findings if f.id == "normaliser"]
    assert report.belongs and report.reduction == reduce
    assert finding.found == (
        f"{words}: harmless for ratios, since the deviation does not depend on the network"
    )


def test_a_mean_is_a_convention_unless_a_sum_is_asked():
    step = gaussian(reduce="mean")
    report = audit_density(step)
    assert report.belongs and report.reduction == "mean"
    (finding,) = report.findings
    assert finding.severity == "note" and finding.figure == pytest.approx(1 / 48)
    assert "mean over pixels (scale 1/n, here 1/48): ratios are those of" in finding.found
    assert_density(step, reduction="mean", fail_on="note")
    with pytest.raises(AssertionError, match="a mean over elements; expected a sum"):
        assert_density(step, reduction="sum")
    with pytest.raises(AssertionError, match="a sum over elements; expected a mean"):
        assert_density(gaussian(), reduction="mean")


@pytest.mark.slow
@pytest.mark.parametrize("name", POLICIES)
def test_our_policies_pass(name):
    for pair in ((4.0, 1.2), (0.7, 0.3)):
        assert_density(
            solver_step(policy(name, pair)), times=[pair], reduction="sum", fail_on="note"
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["seeds-1", "seeds-2", "seeds-3s", "seeds-2m", "ddpm"])
def test_steps_with_stages_pass_by_their_ratios(name):
    report = audit_density(solver_step(Solver(name)), times=((4.0, 1.2), (0.7, 0.3)))
    assert report.belongs, report
    assert {finding.id for finding in report.findings} <= {"form"}


def test_a_step_with_stages_and_a_wrong_density_is_found():
    right = solver_step(Solver("seeds-2"))

    def step(*args, **options):
        states, density = right(*args, **options)
        return states, 1.3 * density

    with pytest.raises(AssertionError, match=r"mean square is 1\.3 ±"):
        assert_density(step, times=((4.0, 1.2), (0.7, 0.3)))


def shifted(amount, elements):
    """A mean that is so many deviations off in the first elements."""

    def mean(m):
        off = torch.zeros_like(m).flatten(1)
        off[:, :elements] = amount * 0.4
        return m + off.view_as(m)

    return gaussian(mean=mean)


@pytest.mark.parametrize(
    ("found", "missed", "make"),
    [
        (0.2, 0.07, lambda amount: shifted(amount, 1)),
        (0.03, 0.01, lambda amount: shifted(amount, 48)),
        (1.015, 1.005, lambda factor: gaussian(density_deviation=lambda d: factor * d)),
    ],
    ids=["mean of an element", "mean of all", "deviation of all"],
)
def test_limits_are_where_the_book_says(found, missed, make):
    """For 48 elements and 2048 draws the book has 0.14, 0.02 and 0.01."""
    for seed in range(3):
        assert not audit_density(make(found), seed=seed).belongs
        assert audit_density(make(missed), seed=seed).belongs


@pytest.mark.slow
def test_limits_of_a_factor_of_a_step_with_stages_fall_with_the_draws():
    right = solver_step(Solver("seeds-2"))

    def audited(factor, draws, seed):
        def step(*args, **options):
            states, density = right(*args, **options)
            return states, factor * density

        return audit_density(step, times=((4.0, 1.2), (0.7, 0.3)), draws=draws, seed=seed)

    for seed in range(2):
        assert not audited(1.25, 2048, seed).belongs
        assert not audited(1.125, 8192, seed).belongs
        assert audited(1.02, 2048, seed).belongs


def test_correlations_of_independent_columns_are_within_their_error():
    generator = torch.Generator().manual_seed(0)
    for shape in ((512, 2), (512, 48), (256, 600)):
        offs = torch.tensor(
            [
                correlation(torch.randn(shape, generator=generator, dtype=torch.float64).abs())[1]
                for _ in range(100)
            ]
        )
        assert abs(float(offs.mean())) < 0.5 and 0.7 < float(offs.std()) < 1.3
    assert correlation(torch.randn(8, 1)) == (1.0, 0.0)


class Scheduler:
    """What a trainer's step reads of one."""

    def __init__(self, times):
        self.sigmas, self.timesteps = times, 1000 * times[:-1]

    def index_for_timestep(self, timestep):
        return int((self.timesteps == timestep).nonzero()[0])


def sde_step_with_logprob(
    scheduler, model_output, timestep, sample, noise_level=0.7, prev_sample=None, fault=False
):
    """Precise's step, as trainers write one."""
    at = [scheduler.index_for_timestep(t) for t in timestep]
    t, r = (scheduler.sigmas[[i + k for i in at]].view(-1, 1, 1, 1) for k in (0, 1))
    d = r * (1 - (r * (1 - t) / (t * (1 - r))) ** (noise_level**2)).sqrt()
    estimate, noise = sample - t * model_output, sample + (1 - t) * model_output
    mean = (1 - r) * estimate + (r**2 - d**2).sqrt() * noise
    if prev_sample is None:
        prev_sample = mean + d * torch.randn_like(mean)
    squares = (prev_sample.detach() - mean) ** 2
    density = -squares if fault else -squares / (2 * d**2) - d.log() - HALF_LOG
    return prev_sample, density.mean((1, 2, 3)), mean, d


def test_a_trainers_step():
    assert_density(trainer_step(sde_step_with_logprob, Scheduler), reduction="mean")
    with pytest.raises(AssertionError, match=r"1/\(2 d\^2\) is missing, in a mean over pixels"):
        assert_density(trainer_step(sde_step_with_logprob, Scheduler, fault=True))


def test_the_command_takes_files_names_and_options(tmp_path):
    file = tmp_path / "steps.py"
    file.write_text(
        "import math, torch\n"
        "def step(network, x, t, t_next, action=None, factor=0.5):\n"
        "    m = x + (t_next - t) * network(x, t)\n"
        "    action = m + torch.randn_like(m) if action is None else action\n"
        "    return action, -factor * ((action - m) ** 2).flatten(1).sum(1)\n"
    )
    run = CliRunner().invoke
    good = run(app, ["--density", f"{file}:step", "seeds-1", "--json", str(tmp_path / "d.json")])
    assert good.exit_code == 0, good.output
    assert (
        "harmless for ratios" in good.output and "seeds-1: the density of its step" in good.output
    )
    assert '"verdict": "the density of its step, sum over elements"' in (
        tmp_path / "d.json"
    ).read_text(encoding="utf-8")
    bad = run(app, ["--density", f"{file}:step?factor=0.7"])
    assert bad.exit_code == 1 and "error weight: squares count 1.4" in bad.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"times": ()}, "pairs"),
        ({"times": [0.5, 0.2]}, "pairs"),
        ({"times": 3}, "pairs"),
        ({"shape": ()}, "lengths"),
        ({"shape": (3, 0)}, "lengths"),
        ({"reduction": "max"}, "'sum' or 'mean'"),
        ({"draws": 10}, "256 or more"),
        ({"draws": 1001}, "multiple of 4"),
        ({"fail_on": "never"}, "fail_on is one of note, warning, error"),
    ],
)
def test_bad_input_is_told(options, said):
    with pytest.raises(ParameterError, match=said):
        assert_density(gaussian(), **options)


def test_names_that_are_no_steps():
    with pytest.raises(ParameterError, match="those that have are flow_grpo, dance_grpo"):
        find_step("ddim:generalized_steps")
    with pytest.raises(UnknownNameError, match="seeds-22"):
        find_step("seeds-22")
