r"""The jackknife over groups of images: statistics without their bias, and what their scatter is.

With T a statistic of all n images and :math:`T_{-g}` that of all but the :math:`n_g` of group g, the
pseudo-values are

.. math::  P_g = h_g T - (h_g - 1) T_{-g} , \qquad h_g = n / n_g .

In each the bias of order 1/n is removed (Tukey 1958; Busing, Meijer and van der Leeden 1999, for groups of
unequal sizes), and of a mean it is the mean of the group. They are treated as independent estimates of one
number, so groups are dealt at random: dealt in turn, a group may have one class alone, where the images have
their classes in turn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def random_groups(count: int, groups: int) -> np.ndarray:
    """The group of each of `count` images, (count,), always the same; sizes differ by one at most."""
    return np.random.default_rng(0).permutation(count) % min(groups, count)


def pseudo_values(
    whole: float, without: Sequence[float], sizes: Sequence[int] | np.ndarray
) -> tuple[float, ...]:
    """The pseudo-values of a statistic of the whole, and of it without each group of these sizes."""
    count = sum(sizes)
    return tuple(
        float(count / size * whole - (count / size - 1) * rest)
        for rest, size in zip(without, sizes, strict=True)
    )
