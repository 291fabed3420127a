"""The version of what is installed, as `pyproject.toml` has it."""

from importlib.metadata import version

__version__ = version("seeds-theory")
