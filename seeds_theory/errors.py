"""Typed errors: each states the rule, the value that broke it and the way out."""


class SeedsError(ValueError):
    """Base class of every error that bad input can raise in this project."""


class UnknownNameError(SeedsError):
    """A name that is not in a registry; the message lists the known ones."""


class ParameterError(SeedsError):
    """A scalar parameter outside its range (eta, a variance, a noise level, a count)."""


class GridError(SeedsError):
    """A grid of noise levels that no sampler can follow."""


class TableauError(SeedsError):
    """A tableau that is not an explicit exponential Runge-Kutta method."""


class DenoiserError(SeedsError):
    """A denoiser that breaks the protocol ``D(x, sigma)``: shape, dtype or a value not finite."""


class NoiseError(SeedsError):
    """A noise source that breaks the protocol, or that cannot serve what is asked of it."""


class LibraryError(SeedsError, ImportError):
    """An optional library that is not installed; the message says how to install it."""
