"""What comfy reads of a command line."""

from types import SimpleNamespace

args = SimpleNamespace(cpu=False)
