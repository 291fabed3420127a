"""The scripts of the reports: which library each is about, and what it prints.

Each uses that library and torch alone. It is called by the adapter's name, an underscore and its subject; or
by the name of one of `PROGRAMS`, which have no adapter.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import runpy
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from proofs_checks.audit.names import LIBRARIES
from proofs_checks.audit.peers import library
from proofs_checks.audit.peers.checkout import Checkout
from proofs_checks.audit.peers.kdiffusion import sampling_module
from seeds_theory.processes import in_processes

FOLDER = Path(__file__).parents[2] / "book" / "_static" / "reports"
"""In it those of libraries that pip installs; in its folder ``checkouts`` those that run in a checkout."""


PROGRAMS = {
    "forge": Checkout(
        "lllyasviel/stable-diffusion-webui-forge",
        "dfdcbab685e57677014f05a3309b48cc87383167",
        stand_ins=("torchvision.transforms",),
        bare={"k_diffusion": "k_diffusion"},  # not the package of that name
    ),
    "sdnext": Checkout(
        "vladmandic/sdnext", "058a7f0cf326f39c0135c6257d7b7e61073e51fd", root="modules/schedulers"
    ),
}
"""Programs without an adapter, by how their scripts' names begin."""


def scripts() -> dict[str, Path]:
    """All of them by their names without ``.py``."""
    return {path.stem: path for path in sorted(FOLDER.rglob("*.py"))}


def library_of(name: str) -> str | None:
    """The adapter's name in that of a script; None if there is no adapter for it."""
    return max(
        (known for known in LIBRARIES if name.startswith(f"{known}_")), key=len, default=None
    )


def reproduce(script: Path) -> str:
    """What a script prints on stdout, in a process of its own, as it may change what others import.

    Raises
    ------
    LibraryError : there is no checkout, or it is at another commit.
    ImportError : the library, or what it imports, is not installed.
    """
    with _importable(script.stem):
        pass  # what is not there is told at once
    (printed,) = in_processes(
        _printed, [script], jobs=1, label="scripts", progress=False, fresh=True
    )
    return printed


def _printed(script: Path) -> str:
    printed = io.StringIO()
    with (
        warnings.catch_warnings(action="ignore"),
        _importable(script.stem),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(io.StringIO()),  # a library's own log
    ):
        runpy.run_path(str(script), run_name="__main__")
    return printed.getvalue()


def _importable(name: str) -> contextlib.AbstractContextManager[None]:
    """What a script imports, where it is not simply installed."""
    for program, checkout in PROGRAMS.items():
        if name.startswith(f"{program}_"):
            return checkout.importable()
    about = library_of(name)
    if about is None:
        return contextlib.nullcontext()
    if about == "kdiffusion":
        return _importable_k_diffusion()
    adapter = library(about)
    if hasattr(adapter, "importable"):
        return adapter.importable()
    return (
        adapter.CHECKOUT.importable() if hasattr(adapter, "CHECKOUT") else contextlib.nullcontext()
    )


@contextlib.contextmanager
def _importable_k_diffusion() -> Iterator[None]:
    """Let ``from k_diffusion.sampling import ...`` work where the rest of the package does not import."""
    if importlib.util.find_spec("k_diffusion") is None or "k_diffusion" in sys.modules:
        yield
        return
    sampling, package = sampling_module(), ModuleType("k_diffusion")
    vars(package).update(sampling=sampling, __path__=[])
    modules = {"k_diffusion": package, "k_diffusion.sampling": sampling}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
