"""The method on one page, for LaTeX: its tableau and formulas printed from the objects of sympy."""

from __future__ import annotations

from collections.abc import Iterator
from string import Template

import sympy as sp

from seeds_theory.emit import description
from seeds_theory.emit.method import MethodProgram
from seeds_theory.tableau import z

_FILE = Template(r"""$header
\documentclass[11pt]{article}
\usepackage[a4paper, margin=22mm]{geometry}
\usepackage{amsmath}
\usepackage{amssymb}
\pagestyle{empty}
\begin{document}

\section*{$title in $prediction prediction}

With $orders.

\paragraph{Setting.} States are $$x/\alpha$$; $$\sigma = e^{-\lambda}$$ is their noise level, from $$s$$
down to $$t$$ in a step, and $$h = \log(s/t)$$ its length. $$D_i$$ is the denoised state $$u_i$$ at the level
$$s_i = s\,e^{-c_i h}$$, with $$u_1 = x$$ and $$s_1 = s$$. $$\eta = 1$$ is the reverse SDE, $$\eta = 0$$ the
ODE. $meaning With
\begin{equation*}
\varphi_k(z) = \frac{1}{z^k} \Bigl(e^z - \sum_{j<k} \frac{z^j}{j!}\Bigr),
\end{equation*}
row $$j$$ of the tableau has the weights of $$F_1$$ and of $$F_i - F_1$$ in the integral of $$F$$ up to its
node; the last one is the step itself.

\paragraph{Tableau.}
\begin{equation*}
\renewcommand{\arraystretch}{1.7}
\begin{array}{c|$columns}
c_j & $heads \\
\hline
$rows
\end{array}
\end{equation*}

\paragraph{Step.}
\begin{align*}
$formulas
\end{align*}

\paragraph{Noise.} $noise
The last of them is the exact noise of the step, of variance $variance.

\paragraph{Ends.} A step to the level 0 is $$x_0 = D_1$$. From an infinite level, where $$x$$ is unit
noise, it is $$D_1 + t\,w$$ with unit noise $$w$$, and $$D_1 + t\,x$$ for $$\eta = 0$$.

\paragraph{Orders.} Declared and decided for an arbitrary smooth denoiser: strong $strong, weak $weak; $ode at
$$\eta = 0$$. Claims of seeds-theory: $claims.

\paragraph{Source.} $source.

\end{document}
""")


def files(method: MethodProgram) -> dict[str, str]:
    """One file, of the name of the method."""
    data = method.prediction == "data"
    declared, reference = method.tableau.orders, description.reference(method)
    text = _FILE.substitute(
        header=description.header("% "),
        title=description.title(method),
        prediction=method.prediction,
        orders=description.orders(method.calls, declared),
        meaning=r"Integrated is $F_i = D_i$, with $z = -(1 + \eta) h$."
        if data
        else r"Integrated is $F_i = (u_i - D_i)/s_i$, the noise that is predicted, with $z = h$.",
        columns="c" * method.calls,
        heads=" & ".join(_differences(method.calls)),
        rows="\n".join(_tableau(method)),
        formulas=" \\\\\n".join(_formulas(method)),
        noise=_noise(method),
        variance=r"$t^2 (1 - e^{-2 \eta h})$" if data else r"$\eta\,t^2 (e^{2 h} - 1)$",
        strong=f"{float(declared.strong):g}",
        weak=declared.weak,
        ode=declared.ode,
        claims=", ".join(rf"\texttt{{{claim}}}" for claim in method.claims),
        source=reference[0].upper() + reference[1:],
    )
    return {f"{description.identifier(method)}.tex": text}


def _differences(count: int) -> list[str]:
    return ["F_1", *(f"F_{i} - F_1" for i in range(2, count + 1))]


def _tableau(method: MethodProgram) -> Iterator[str]:
    for node, weights in description.weights_of_differences(method):
        if node is method.tableau.rows[-1][0] and len(weights) == method.calls:
            yield r"\hline"
        cells = [_text(weight) if weight != 0 else "" for weight in weights]
        cells += [""] * (method.calls - len(cells))
        yield rf"{sp.latex(node)} & {' & '.join(cells)} \\"


def _formulas(method: MethodProgram) -> Iterator[str]:
    letter = "D" if method.prediction == "data" else "F"
    for j, (node, weights) in enumerate(description.weights_of_differences(method), start=2):
        last = j == method.calls + 1
        name, noise = ("x_t", "N_t") if last else (f"u_{j}", f"N_{j}")
        if letter == "D":
            state, scale = rf"{_text(sp.exp(node * z))}\,x", "z"
        else:
            level = "t" if node == 1 else f"s_{j}"
            state, scale = "x", rf"(1 + \eta)\,{level}\,h"
        terms = [
            rf"{_factor(weight)}\,{difference}"
            for weight, difference in zip(weights, _factors(letter), strict=False)
            if weight != 0
        ]
        inside = (" \\\\\n&\\qquad + " if any(map(_is_long, weights)) else " + ").join(terms)
        yield rf"{name} &= {state} - {scale}\,\bigl[{inside}\bigr] + {noise}"


def _factors(letter: str) -> list[str]:
    return [f"{letter}_1", *(f"({letter}_{i} - {letter}_1)" for i in range(2, 6))]


def _factor(weight: sp.Expr) -> str:
    return rf"\bigl({_text(weight)}\bigr)" if weight.is_Add else _text(weight)


def _is_long(weight: sp.Expr) -> bool:
    """Whether it has several terms, above or below a line."""
    return bool(weight.has(sp.Add))


def _text(weight: sp.Expr) -> str:
    """A weight with its number in front, what is subtracted last."""
    if weight.is_Add:
        first, *others = map(_text, description.by_sign(weight.args))
        return first + "".join(f" {t}" if t.startswith("-") else f" + {t}" for t in others)
    number, rest = weight.as_coeff_Mul()
    shown = sp.latex(rest, fold_short_frac=not _is_long(weight))
    return shown if number == 1 else rf"{sp.latex(number)}\,{shown}"


def _noise(method: MethodProgram) -> str:
    rate = r"\eta" if method.prediction == "data" else "-1"
    if method.degree == 1:
        noises = (
            "jointly Gaussian, with the covariance that the values of one path of the exact noise $N$ have "
            "at the stages and at the end; they are made of independent normals, one for each stretch "
            "between consecutive levels"
        )
    else:
        noises = (
            "jointly Gaussian functionals of one path of the exact noise $N$, made of "
            f"{method.degree} independent normals: those of the integrals of "
            r"$e^{-r (\lambda_t - l)}\,(\lambda_t - l)^k$ against $dW_l$ over the step, "
            f"$k < {method.degree}$"
        )
    return rf"""The $N_j$ are {noises}. With $r = {rate}$,
\begin{{equation*}}
N(\lambda) = \sqrt{{2 \eta}}\,e^{{-\lambda}} \int_{{\lambda_s}}^\lambda e^{{-r (\lambda - l)}}\,dW_l .
\end{{equation*}}"""
