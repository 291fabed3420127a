"""Parametrizations, told apart by their classes."""


class EPS:
    """States x + sigma noise."""


class CONST:
    """States (1 - t) x + t noise."""


class ModelSamplingDiscrete:
    """Levels of a table."""

    def percent_to_sigma(self, percent):
        return 10.0 * (1 - percent)


class ModelSamplingDiscreteFlow:
    """Levels from 1 to 0."""

    def percent_to_sigma(self, percent):
        return 1 - percent
