r"""From sympy to straight-line code: expressions in `Phi` become a `Program`.

Written in `Phi`, a formula keeps its digits at every length of step. What it subtracts itself stays
subtracted: a weight given as :math:`(e^z - 1)/z`, and not as ``Phi(1, z)``, loses them at short steps.

Three rules of arithmetic do all of it, and hold for real arguments:

* :math:`u\,\varphi_1(u) = e^u - 1` is ``expm1(u)``, wherever what is left of the product has nothing but
  numbers and nodes below the line;
* exponentials of one product are one, and so are roots, as far as the signs under them are known;
* a subexpression that occurs twice gets a name.

What a name says: ``z_3`` is :math:`c_3 z`, ``h_3`` :math:`c_3 h`, ``phi_2_3`` :math:`\varphi_2(c_3 z)`,
``kappa`` :math:`1 + \eta`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

import sympy as sp

from seeds_theory.emit.program import (
    MINUS_ONE,
    ONE,
    ZERO,
    Call,
    Expression,
    Name,
    Number,
    Power,
    Product,
    Program,
    RealPower,
    Statement,
    Sum,
    substituted,
    walk,
)
from seeds_theory.errors import TableauError
from seeds_theory.exact import eta
from seeds_theory.noise import h
from seeds_theory.phi import MAX_ORDER, DampedPhi, Phi
from seeds_theory.tableau import z

_SHORT = {Name("h"), Name("eta"), Name("z")}  # a product of these and a number reads best as it is


def _may_vanish(divisor: sp.Expr) -> bool:
    """Whether a formula may still have a limit where this is 0; nodes never are."""
    return not all(symbol.name.startswith("c_") for symbol in divisor.free_symbols)


class Lowering:
    """Expressions of sympy as those of a program.

    Parameters
    ----------
    what : whose they are, for errors.
    rate : what z is, over h; arguments of functions that are multiples of it are written in z. None: no z.
    """

    def __init__(self, what: str, rate: sp.Expr | None = None) -> None:
        self._what, self._rate = what, rate

    def __call__(self, expression: sp.Expr) -> Expression:
        """The program's expression for one of sympy's.

        Raises
        ------
        TableauError : it holds something that no target language has: another function, the imaginary
            unit, a root of a negative number, a phi-function of an order that is not offered.
        """
        e = sp.sympify(expression)
        if e.is_Rational:
            return Number(Fraction(int(e.p), int(e.q)))
        if e.is_Float and e.is_finite:
            return Number(Fraction(*map(int, e.as_integer_ratio())))
        if e.is_Symbol:
            return Name(e.name)
        if e.is_Add:
            return add(*map(self, e.args))
        if isinstance(e, Phi | DampedPhi):
            k, u = e.args
            if not (k.is_Integer and 1 <= k <= MAX_ORDER):
                raise TableauError(
                    f"{self._what!r} has {e}: a phi-function's order k is a whole number from 0 to "
                    f"{MAX_ORDER}"
                )
            return Call("phi" if isinstance(e, Phi) else "damped_phi", self._argument(u), int(k))
        if e.is_Mul or e.is_Pow or isinstance(e, sp.exp):
            return self._product(sp.Mul.make_args(e))
        if isinstance(e, sp.log):
            return Call("log", self._argument(e.args[0]))
        if e.is_number and e.is_real:
            return Number(Fraction(float(e)))
        raise TableauError(
            f"{self._what!r} has {e.func.__name__} in {e}: coefficients are made of numbers, symbols, "
            "exp, log, roots and Phi"
        )

    def _argument(self, u: sp.Expr) -> Expression:
        """An argument of a function in factors: h (c - 1), not c h - h; in z if it is a multiple of it."""
        if self._rate is not None:
            ratio = sp.cancel(u / (self._rate * h))
            if not ratio.free_symbols & {h, eta}:
                return self(sp.factor(ratio) * z)
        return self(sp.factor(u))

    def _product(self, factors: Sequence[sp.Expr]) -> Expression:
        if sp.I in factors:
            raise TableauError(
                f"{self._what!r} has the imaginary unit in {sp.Mul(*factors)}: coefficients are real"
            )
        exponent, under, rest = sp.Integer(0), [], []
        for factor in factors:
            base, power = factor.as_base_exp()
            if base is sp.E:
                exponent += power
            elif power.is_Rational and power.q == 2:
                under.append((base, power))
            else:
                rest.append(factor)
        parts = self._integrated(rest)
        parts += self._roots(under)
        if exponent != 0:
            parts.append(Call("exp", self._argument(exponent)))
        return multiply(*parts)

    def _integrated(self, factors: Sequence[sp.Expr]) -> list[Expression]:
        r"""The product of factors, with :math:`u\,\varphi_1(u)` as expm1."""
        for factor in factors:
            if isinstance(factor, Phi) and factor.args[0] == 1:
                others = list(factors)
                others.remove(factor)
                u = factor.args[1]
                ratio = sp.factor(sp.Mul(*others) / u)
                if not _may_vanish(sp.fraction(ratio)[1]):
                    return [self(ratio), Call("expm1", self._argument(u))]
        return [self._power(*factor.as_base_exp()) for factor in factors]

    def _power(self, base: sp.Expr, power: sp.Expr) -> Expression:
        if power == 1:
            return self(base)
        if power.is_Integer:
            return raised(self(base), int(power))
        if base.is_negative and base.is_number:
            raise TableauError(
                f"{self._what!r} has {base**power}, a root of a negative number: coefficients are real"
            )
        return RealPower(self(base), self._argument(power))

    def _roots(self, under: Sequence[tuple[sp.Expr, sp.Expr]]) -> list[Expression]:
        """Powers of 1/2: as one root where at most one of the bases has an unknown sign."""
        known = [(b, p) for b, p in under if _is_nonnegative(b)]
        unknown = [(b, p) for b, p in under if not _is_nonnegative(b)]
        groups = [known + unknown[:1], *([one] for one in unknown[1:])]
        return [self._root(group) for group in groups if group]

    def _root(self, group: Sequence[tuple[sp.Expr, sp.Expr]]) -> Expression:
        if all(power < 0 for _, power in group):
            return raised(self._root([(base, -power) for base, power in group]), -1)
        number, inside = sp.Mul(*(base ** (2 * power) for base, power in group)).as_coeff_Mul()
        return multiply(*_square_root(self(inside), Fraction(int(number.p), int(number.q))))


def _square_root(inside: Expression, number: Fraction) -> tuple[Expression, ...]:
    """The factors of a root: what is a square of the number comes out."""
    whole = multiply(Number(number), inside)
    value = _coefficient(whole)
    if value == 0:
        return (ZERO,)
    above, below = (_square_part(n) for n in (abs(value.numerator), value.denominator))
    outside = Fraction(above, below)
    return Number(outside), Call("sqrt", multiply(Number(1 / outside**2), whole))


def _square_part(n: int) -> int:
    """The largest whole number, of small prime factors, whose square divides n."""
    powers = sp.factorint(n, limit=1000) if n > 1 else {}
    return int(sp.Mul(*(p ** (e // 2) for p, e in powers.items())))


def _is_nonnegative(base: sp.Expr) -> bool:
    if isinstance(base, Phi | DampedPhi):
        return True  # an integral of a positive function, for a real argument
    if base.is_Mul:
        return all(map(_is_nonnegative, base.args))
    if base.is_Pow and base.exp.is_Integer:
        return _is_nonnegative(base.base)
    return bool(base.is_nonnegative)


def add(*terms: Expression) -> Expression:
    """The sum, without zeros; what is subtracted comes later."""
    flat = [t for term in terms for t in (term.terms if isinstance(term, Sum) else (term,))]
    kept = [term for term in flat if term != ZERO]
    kept.sort(key=lambda term: _coefficient(term) < 0)
    return Sum(tuple(kept)) if len(kept) > 1 else kept[0] if kept else ZERO


def _coefficient(term: Expression) -> Fraction:
    match term:
        case Number(value):
            return value
        case Product((Number(value), *_)):
            return value
    return Fraction(1)


def multiply(*factors: Expression) -> Expression:
    """The product: its numbers made one and first, then levels, nodes, sums, other names, and calls."""
    flat = [f for one in factors for f in (one.factors if isinstance(one, Product) else (one,))]
    number = Fraction(1)
    others: list[Expression] = []
    for factor in flat:
        if isinstance(factor, Number):
            number *= factor.value
        elif isinstance(factor, Sum) and _is_negative(factor):
            number, others = -number, [*others, negative(factor)]
        else:
            others.append(factor)
    if number == 0:
        return ZERO
    others.sort(key=_rank)
    if number != 1 or not others:
        others.insert(0, Number(number))
    return Product(tuple(others)) if len(others) > 1 else others[0]


def _is_negative(total: Sum) -> bool:
    """Whether a sum is better written as minus another: c_2 - 1 as 1 - c_2, c_2 - c_3 as c_3 - c_2."""
    signs = [_coefficient(term) < 0 for term in total.terms]
    if all(signs):
        return True
    match total.terms:
        case (Number(), *_):
            return signs[0]
        case (Name(first), Product((Number(minus), Name(second)))) if minus == -1:
            return first.startswith("c_") and second.startswith("c_") and first < second
        case (Name(node), Number()):
            return node.startswith("c_")
    return False


def _rank(factor: Expression) -> int:
    base = factor.base if isinstance(factor, Power) else factor
    match base:
        case Name(name):
            level = name in ("s", "t") or name.startswith("s_")
            return 0 if level else 1 if name.startswith("c_") else 3 if name == "eta" else 4
        case Sum():
            return 2
    return 5


def raised(base: Expression, exponent: int) -> Expression:
    """A whole power."""
    match base:
        case Number(value):
            return Number(value**exponent)
        case Power(inner, power):
            return raised(inner, power * exponent)
        case Product(factors):
            return multiply(*(raised(factor, exponent) for factor in factors))
    return base if exponent == 1 else Power(base, exponent) if exponent else ONE


def negative(expression: Expression) -> Expression:
    """Minus an expression."""
    if isinstance(expression, Sum):
        return add(*map(negative, expression.terms))
    return multiply(MINUS_ONE, expression)


def log_ratio(above: str, below: str) -> Expression:
    """log(above / below) of two levels, as accurate for close ones: their difference is exact."""
    difference = add(Name(above), negative(Name(below)))
    return Call("log1p", multiply(difference, raised(Name(below), -1)))


# ------------------------------------------------------------------------ names for what occurs twice


def with_names(
    name: str, inputs: Sequence[str], statements: Iterable[Statement]
) -> tuple[Program, dict[str, str]]:
    """A program in which every subexpression that occurs twice is computed once, before its first use.

    Returns
    -------
    The program, and for each of the given statements that became another's name, that name.
    """
    listed, same = list(statements), {}
    given = {*inputs, *(statement.name for statement in listed)}
    auxiliary: dict[str, str] = {}  # with the stems of their names
    while repeated := _repeated(listed):
        first = next(i for i, s in enumerate(listed) if repeated in walk(s.value))
        if listed[first].value == repeated:
            by, rest = {repeated: Name(listed[first].name)}, listed[first + 1 :]
            before = listed[: first + 1]
        else:
            new = Statement(f"_{len(auxiliary)}", repeated)
            auxiliary[new.name] = _stem(repeated)
            by, rest = {repeated: Name(new.name)}, listed[first:]
            before = [*listed[:first], new]
        listed = before
        for s in rest:
            value = substituted(s.value, by)
            if isinstance(value, Name):
                same[s.name] = value.name
                by[Name(s.name)] = value
            else:
                listed.append(Statement(s.name, value))
    final = _numbered([s.name for s in listed if s.name in auxiliary], auxiliary, given)
    renamed: dict[Expression, Expression] = {Name(old): Name(new) for old, new in final.items()}
    program = Program(
        name,
        tuple(inputs),
        tuple(Statement(final.get(s.name, s.name), substituted(s.value, renamed)) for s in listed),
    )
    return program, {old: final.get(new, new) for old, new in same.items()}


def _repeated(statements: Sequence[Statement]) -> Expression | None:
    """The largest expression that is worth a name and occurs more than once, or is a sum under a root."""
    counts = Counter(part for s in statements for part in walk(s.value) if _is_worth_a_name(part))
    roots = {part for s in statements for root in walk(s.value) for part in _sums_under(root)}
    found = [part for part, count in counts.items() if count > 1 or part in roots]
    return max(found, key=lambda part: sum(1 for _ in walk(part)), default=None)


def _sums_under(root: Expression) -> Iterator[Expression]:
    """The sums in the product under a root."""
    match root:
        case Call("sqrt", Product(factors)):
            yield from (factor for factor in factors if isinstance(factor, Sum))


def _is_worth_a_name(part: Expression) -> bool:
    match part:
        case Number() | Name():
            return False
        case Power(_, exponent):
            return exponent > 0
        case Product((Number(), _)):
            return False
        case Product(factors):
            return any(not isinstance(f, Number) and f not in _SHORT for f in factors)
    return True


def _numbered(order: Sequence[str], stems: Mapping[str, str], given: set[str]) -> dict[str, str]:
    """Names that tell stems apart by numbers, in the order of the statements."""
    taken, final = set(given), {}
    for name in order:
        stem = stems[name]
        candidates = (stem, *(f"{stem}{'_' * stem[-1].isdigit()}{i}" for i in range(2, 1000)))
        final[name] = next(c for c in candidates if c not in taken)
        taken.add(final[name])
    return final


def _stem(part: Expression) -> str:
    """What an auxiliary value is called."""
    match part:
        case Sum((Number(one), Name("eta"))) if one == 1:
            return "kappa"
        case Call("phi" | "damped_phi" as function, argument, order):
            return f"{'phi' if function == 'phi' else 'damped'}_{order}{_node(argument)}"
        case Call("exp", argument, _):
            return "decay" + _node(argument)
        case Call("expm1", argument, _):
            return "growth" + _node(argument)
        case Call("sqrt", argument, _):
            return "std" if _is_variance(argument) else "root"
        case Product((Name(node), Name("z" | "h" as length))) if node.startswith("c_"):
            return length + node[1:]
        case Sum((Number(one), Product((Number(minus), Name(node))))) if one == 1 and minus == -1:
            return "rest" + node[1:] if node.startswith("c_") else "rest"
        case Sum((Name(late), Product((Number(), Name(early))))) if early[:2] == late[:2] == "c_":
            return f"gap{early[1:]}{late[2:]}"
    return "q"


def _is_variance(argument: Expression) -> bool:
    """Whether it is that of the exact noise over a stretch, a multiple of expm1."""
    factors = argument.factors if isinstance(argument, Product) else (argument,)
    return any(isinstance(factor, Call) and factor.function == "expm1" for factor in factors)


def _node(argument: Expression) -> str:
    """The node that an argument c_j z has, as a suffix."""
    match argument:
        case Product((Name(node), Name("z" | "h"))) if node.startswith("c_"):
            return node[1:]
    return ""
