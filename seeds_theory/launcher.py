"""The console scripts: each imports its command when it is run, and says so if what it needs is missing.

Only the standard library is imported here, as the libraries of the commands are an extra.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from seeds_theory.interruption import ending_at_once, stopped


def launch(name: str, module: str, function: str = "main") -> None:
    """Run a command, the function of a module; a library that is missing is one line and status 2."""
    try:
        with ending_at_once(name):
            command = _imported(name, module, function)
        command()
    except KeyboardInterrupt:
        raise stopped(name) from None


def _imported(name: str, module: str, function: str) -> Callable[[], object]:
    import importlib

    from seeds_theory.errors import LibraryError
    from seeds_theory.extras import optional_imports

    try:
        with optional_imports():
            return getattr(importlib.import_module(module), function)
    except LibraryError as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(2) from None


order = partial(launch, "seeds-order", "toy_models.order")
tune = partial(launch, "seeds-tune", "toy_models.tune")
verify = partial(launch, "seeds-verify", "proofs_checks.verify")
mutate = partial(launch, "seeds-mutate", "proofs_checks.mutate")
audit = partial(launch, "seeds-audit", "proofs_checks.audit.command")
conformance = partial(launch, "seeds-conformance", "proofs_checks.conformance.command")
export = partial(launch, "seeds-export", "seeds_theory.emit.command")
generate = partial(launch, "seeds-generate", "gpu_runs.generate")
train = partial(launch, "seeds-train", "gpu_runs.train")
fid = partial(launch, "seeds-fid", "gpu_runs.fid")
bench = partial(launch, "seeds-bench", "gpu_runs.bench")
selftest = partial(launch, "seeds-selftest", "gpu_runs.selftest")
inspect = partial(launch, "seeds-inspect", "gpu_runs.checkpoint_commands", "inspect_main")
convert = partial(launch, "seeds-convert", "gpu_runs.checkpoint_commands", "convert_main")
