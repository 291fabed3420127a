# Made by `make emitted` from seeds_theory.methods.METHODS.
# Made from: sha256 768de89edf3c76bc8ccd989c1b962510
"""The registered methods, by name: what a plan needs beside the numbers of a step."""

from __future__ import annotations

from fractions import Fraction

from seeds_theory.scheme import Emitted

EMITTED = {
    "seeds-1": Emitted(
        nodes=(),
        fixed=(),
        predictions=("data", "noise"),
        degrees=1,
        cuts_at_nodes=True,
    ),
    "seeds-2": Emitted(
        nodes=(Fraction(1, 2),),
        fixed=(),
        predictions=("data", "noise"),
        degrees=1,
        cuts_at_nodes=True,
    ),
    "seeds-2b": Emitted(
        nodes=(Fraction(1, 2),),
        fixed=(),
        predictions=("data", "noise"),
        degrees=1,
        cuts_at_nodes=True,
    ),
    "seeds-3": Emitted(
        nodes=(Fraction(1, 3), Fraction(2, 3)),
        fixed=(),
        predictions=("data", "noise"),
        degrees=1,
        cuts_at_nodes=True,
    ),
    "seeds-3b": Emitted(
        nodes=(Fraction(1, 3), Fraction(2, 3)),
        fixed=(),
        predictions=("data", "noise"),
        degrees=1,
        cuts_at_nodes=True,
    ),
    "seeds-2s": Emitted(
        nodes=(Fraction(3, 4),),
        fixed=(),
        predictions=("data",),
        degrees=2,
        cuts_at_nodes=False,
    ),
    "seeds-3s": Emitted(
        nodes=(Fraction(1, 2),),
        fixed=(Fraction(1, 1),),
        predictions=("data",),
        degrees=3,
        cuts_at_nodes=False,
    ),
    "seeds-4s": Emitted(
        nodes=(),
        fixed=(Fraction(53, 165), Fraction(1, 3), Fraction(5, 6)),
        predictions=("data",),
        degrees=3,
        cuts_at_nodes=False,
    ),
}
