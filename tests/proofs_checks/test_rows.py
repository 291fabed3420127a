import pytest
import sympy as sp

from proofs_checks import trees
from proofs_checks.order_conditions import local_step
from proofs_checks.rows import repeated
from proofs_checks.taylor import PLAIN, exact_weight, method_weight, rates
from seeds_theory import method
from seeds_theory.exact import DATA

half = sp.Rational(1, 2)


@pytest.mark.parametrize("name", ["seeds-1", "seeds-2", "seeds-3s"])
def test_one_step_repeated_once_is_the_step(name):
    step = local_step(method(name), rates(DATA))
    for forest in trees.forests(2):
        once = method_weight(forest, repeated(step, 1), 3)
        assert {n: sp.expand(c) for n, c in once.items()} == method_weight(forest, step, 3)


@pytest.mark.parametrize(
    ("forest", "weight"),
    [
        ((((),),), 1),  # f'(f): the second step has moved by the first
        (((1, 1),), 1),  # f''(e, e): the noise of the first step is in the second
        (((1,), 1), 1),
        (((1,), (1,)), 1),
        (((trees.TIME,),), 1),
    ],
)
def test_two_steps_of_euler_maruyama(forest, weight):
    two = repeated(local_step(method("seeds-1"), PLAIN), 2)
    assert method_weight(forest, two, 3)[int(trees.grade(forest))] == weight


def test_noise_grows_along_the_steps():
    # The noise of two steps, over that of one: 1 + exp(2 r h), r the rate of the noise.
    form = rates(DATA, sp.Integer(1))
    two = repeated(local_step(method("seeds-1"), form), 2)
    exact = exact_weight((1, 1), form.noise, 3)
    assert method_weight((1, 1), two, 3) == {n: 2**n * c for n, c in exact.items()}
