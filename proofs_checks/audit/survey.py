"""The survey: other libraries' samplers under audit, as a record with versions, command and date.

``python -m proofs_checks.audit.survey FILE`` makes the record. The book shows it, and makes it anew where
the libraries are installed and the record is of other versions of them or of the audit.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import os
import runpy
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from proofs_checks.audit.checks import audit_all
from proofs_checks.audit.expectation import Expectation
from proofs_checks.audit.findings import Severity
from proofs_checks.audit.peers import library
from proofs_checks.audit.peers.kdiffusion import sampling_module
from proofs_checks.audit.report import Report
from seeds_theory.command import require_writable, run_command, write_json
from seeds_theory.errors import ParameterError

PACKAGES = {
    "kdiffusion": "k-diffusion",
    "diffusers": "diffusers",
    "azula": "azula",
    "torchsde": "torchsde",
    "diffrax": "diffrax",
}
"""The adapter's name to the name of the distribution."""

SCRIPTS = Path(__file__).parents[2] / "book" / "_static" / "reports"
"""The reproductions in the reports, each self-contained; the record keeps what they print."""


@dataclass(frozen=True)
class Entry:
    """A sampler in the survey, and what its own name, options or documentation claim, if anything."""

    target: str
    claims: Expectation | None = None

    @property
    def library(self) -> str:
        """The adapter's name; `sa_solver` here is diffusers'."""
        name = self.target.partition(":")[0]
        return name if name in PACKAGES else "diffusers"


def sa_solver(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Any = None,
    callback: Any = None,
    disable: Any = None,
    tau: float = 1.0,
    order: int = 2,
) -> Tensor:
    """SASolver of diffusers with one tau at all times, as its own option, a function, is in no name."""
    options = {
        "tau_func": lambda t: tau,
        "predictor_order": order,
        "corrector_order": order,
    }
    solve = library("diffusers").load("SASolverScheduler", options)
    return solve(model, x, sigmas, extra_args, callback, disable)


# ------------------------------------------------------------------------------------- what is claimed


def _ode(order: int) -> Expectation:
    return Expectation(ode=order)


def _sde(order: int) -> Expectation:
    """Of a multistep method of the SDE: past estimates give weak order 2 and no more is promised here."""
    return Expectation(weak=min(order, 2))


def _query(**options: object) -> str:
    return "?" + "&".join(f"{name}={value}" for name, value in options.items()) if options else ""


def _of(library_: str, name: str, claims: Expectation | None, **options: object) -> Entry:
    return Entry(f"{library_}:{name}{_query(**options)}", claims)


def _by_order(scheduler: str, orders: Iterable[int] = (1, 2, 3), **options: object) -> list[Entry]:
    """A multistep or singlestep scheduler of the ODE at each order of its option."""
    return [_of("diffusers", scheduler, _ode(k), solver_order=k, **options) for k in orders]


def _both_modes(scheduler: str) -> list[Entry]:
    """DPM-Solver++ of the ODE and of the SDE, at each order."""
    sde = "sde-dpmsolver++"
    stochastic = [
        _of("diffusers", scheduler, _sde(k), algorithm_type=sde, solver_order=k) for k in (1, 2, 3)
    ]
    return _by_order(scheduler) + stochastic


# -------------------------------------------------------------------------------------- what is audited


def _k_diffusion() -> list[Entry]:
    def k(name: str, claims: Expectation | None, **options: object) -> Entry:
        return _of("kdiffusion", name, claims, **options)

    return [
        k("euler", _ode(1)),
        k("euler", None, s_churn=10),
        k("euler_ancestral", _sde(1)),
        k("heun", _ode(2)),
        k("heun", None, s_churn=10),
        k("dpm_2", _ode(2)),
        k("dpm_2_ancestral", _sde(2)),
        *(k("lms", _ode(order), order=order) for order in (1, 2, 3, 4)),
        k("dpm_fast", None),
        k("dpm_adaptive", None),
        k("dpmpp_2s_ancestral", _sde(2)),
        k("dpmpp_sde", None),
        k("dpmpp_sde", _ode(2), eta=0),
        k("dpmpp_2m", _ode(2)),
        k("dpmpp_2m_sde", _sde(2)),
        k("dpmpp_2m_sde", _sde(2), solver_type="heun"),
        k("dpmpp_2m_sde", _ode(2), eta=0),
        k("dpmpp_3m_sde", _sde(3)),
        k("dpmpp_3m_sde", _ode(3), eta=0),
    ]


def _diffusers() -> list[Entry]:
    """Without DPMSolverSDE and CosineDPMSolverMultistep: a tree of their own takes minutes here."""

    def d(name: str, claims: Expectation | None, **options: object) -> Entry:
        return _of("diffusers", f"{name}Scheduler", claims, **options)

    multistep, singlestep = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"
    flow = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    return [
        d("DDPM", _sde(1)),
        d("DDPM", _sde(1), variance_type="fixed_large"),
        d("DDPM", _sde(1), variance_type="fixed_small_log"),
        d("DDPM", _sde(1), variance_type="fixed_large_log"),
        d("DDIM", _ode(1)),
        d("DDIM", _sde(1), eta=1.0),
        d("PNDM", None),
        d("PNDM", None, skip_prk_steps=True),
        d("PNDM", None, prediction_type="v_prediction"),
        d("IPNDM", None),
        d("EulerDiscrete", _ode(1)),
        d("EulerDiscrete", None, s_churn=10),
        d("EulerAncestralDiscrete", _sde(1)),
        d("LMSDiscrete", _ode(2), order=2),
        d("HeunDiscrete", _ode(2)),
        d("KDPM2Discrete", _ode(2)),
        d("KDPM2AncestralDiscrete", _sde(2)),
        *_both_modes(multistep),
        *_by_order(multistep, (2, 3), algorithm_type="dpmsolver"),
        _of("diffusers", multistep, _sde(2), algorithm_type="sde-dpmsolver"),
        _of("diffusers", multistep, _ode(2), solver_type="heun"),
        _of("diffusers", multistep, _ode(2), **flow),
        *_both_modes(singlestep),
        *_by_order(singlestep, (2, 3), algorithm_type="dpmsolver"),
        *_by_order("UniPCMultistepScheduler"),
        *_by_order("UniPCMultistepScheduler", lower_order_final=False),
        *_by_order("UniPCMultistepScheduler", (2,), solver_type="bh1"),
        *_by_order("UniPCMultistepScheduler", (2,), predict_x0=False),
        *_by_order("DEISMultistepScheduler"),
        d("SASolver", None),
        Entry("proofs_checks.audit.survey:sa_solver?tau=1&order=2", _sde(2)),
        Entry("proofs_checks.audit.survey:sa_solver?tau=1&order=3", _sde(3)),
        d("EDMEuler", _ode(1)),
        d("EDMEuler", None, s_churn=10),
        *_both_modes("EDMDPMSolverMultistepScheduler"),
        d("FlowMatchEulerDiscrete", _ode(1)),
        d("FlowMatchEulerDiscrete", None, stochastic_sampling=True),
        d("FlowMatchEulerDiscrete", None, s_churn=10),
        d("FlowMatchHeunDiscrete", _ode(2)),
        d("FlowMatchHeunDiscrete", None, s_churn=10),
        d("LTXEulerAncestralRF", _sde(1)),
    ]


def _azula() -> list[Entry]:
    multistep = ("zABSampler", "vABSampler", "zEABSampler", "xEABSampler", "REABSampler")
    return [
        _of("azula", "DDPMSampler", None),
        _of("azula", "DDIMSampler", _ode(1)),
        _of("azula", "DDIMSampler", None, eta=1.0),
        _of("azula", "EulerSampler", _ode(1)),
        _of("azula", "HeunSampler", _ode(2)),
        _of("azula", "ItoSampler", None),
        _of("azula", "ItoSampler", None, eta=0.0),
        *(_of("azula", name, _ode(k), order=k) for name in multistep for k in (1, 2, 3)),
        _of("azula", "PCSampler", None),
    ]


def _torchsde() -> list[Entry]:
    order = {"euler": 1, "milstein": 1, "midpoint": 2, "heun": 2, "reversible_heun": 2}
    methods = ("euler", "milstein", "srk", "midpoint", "heun", "euler_heun", "reversible_heun")
    return [
        *(_of("torchsde", name, None) for name in (*methods, "log_ode")),
        *(_of("torchsde", name, _ode(k), eta=0) for name, k in order.items()),
    ]


def _diffrax() -> list[Entry]:
    """Of solvers that differ little on additive noise, one: jax calls the model back slowly."""
    of_the_sde = ("Euler", "Heun", "ReversibleHeun", "SEA", "SRA1", "ShARK")
    orders = {"Bosh3": 3, "Tsit5": 5, "Dopri5": 5, "Dopri8": 8}
    return [
        *(_of("diffrax", name, None) for name in of_the_sde),
        _of("diffrax", "Heun", _ode(2), eta=0),
        *(_of("diffrax", name, _ode(k)) for name, k in orders.items()),
    ]


ENTRIES: tuple[Entry, ...] = (
    *_k_diffusion(),
    *_diffusers(),
    *_azula(),
    *_torchsde(),
    *_diffrax(),
)
"""What is audited, by library."""


# ------------------------------------------------------------------------------------------ the record


def versions() -> dict[str, str | None]:
    """The installed version of each library; None if it is not installed."""
    found: dict[str, str | None] = {}
    for distribution in [*PACKAGES.values(), "torch"]:
        try:
            found[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            found[distribution] = None
    return found


def fingerprint() -> str:
    """A hash of the audit's own code: a record made with other code may say other things.

    What only prints, the command line and this module, is left out.
    """
    here, printing = Path(__file__).parent, {"command.py", "survey.py"}
    digest = hashlib.sha256()
    for source in sorted(path for path in here.rglob("*.py") if path.name not in printing):
        digest.update(source.relative_to(here).as_posix().encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _quiet_workers() -> Iterator[None]:
    """Keep the libraries' warnings out of the terminal and the book: what matters is a finding."""
    quiet = {"PYTHONWARNINGS": "ignore", "DIFFUSERS_VERBOSITY": "error", "OMP_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in quiet}
    os.environ.update(quiet)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def reproduce(script: Path) -> str:
    """What one of the scripts of the reports prints; k_diffusion imports in it as it does here."""
    printed = io.StringIO()
    with (
        torch.random.fork_rng(),
        warnings.catch_warnings(action="ignore"),
        _importable_k_diffusion(),
        contextlib.redirect_stdout(printed),
    ):
        runpy.run_path(str(script), run_name="__main__")
    return printed.getvalue()


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


def make(path: Path, *, jobs: int = 2, progress: bool = False) -> dict[str, Any]:
    """Audit all entries and write the record, strict JSON."""
    targets, claims = [e.target for e in ENTRIES], [e.claims for e in ENTRIES]
    start = {"versions": versions(), "audit": fingerprint()}  # before the work, which takes minutes
    with _quiet_workers():
        outputs = {script.stem: reproduce(script) for script in sorted(SCRIPTS.glob("*.py"))}
        reports = audit_all(targets, claims, jobs=jobs, progress=progress)
    record = {
        "command": "make survey",
        "date": datetime.date.today().isoformat(),
        **start,
        "reproductions": outputs,
        "reports": [_row(*pair) for pair in zip(ENTRIES, reports, strict=True)],
    }
    write_json(record, str(path))
    return record


def _row(entry: Entry, report: Report) -> dict[str, Any]:
    claimed = entry.claims.said if entry.claims else {}
    return {"library": entry.library, "claims": claimed, **report.to_json()}


def is_current(record: dict[str, Any]) -> bool:
    """Whether the record is of the installed libraries, of this code of the audit and of all entries."""
    return (
        record["versions"] == versions()
        and record["audit"] == fingerprint()
        and [report["target"] for report in record["reports"]] == [e.target for e in ENTRIES]
    )


def survey(path: Path) -> dict[str, Any]:
    """The record, made anew if it is out of date and all libraries are installed."""
    record: dict[str, Any] = json.loads(path.read_text())
    complete = all(versions()[name] for name in PACKAGES.values())
    if complete and not is_current(record):
        return make(path)
    return record


# ----------------------------------------------------------------------------------------- the command

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command()
def survey_command(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The record to write, JSON.")],
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 2,
) -> None:
    """Audit the samplers of k-diffusion, diffusers, azula, torchsde and diffrax, and write the record.

    It takes a few minutes on two cores, and needs the libraries: `make peers` installs them.

    Example: [bold]python -m proofs_checks.audit.survey book/survey.json --jobs 4[/bold]
    """
    require_writable(path)
    missing = [name for name in PACKAGES.values() if versions()[name] is None]
    if missing:
        raise ParameterError(f"not installed: {', '.join(missing)}; make peers installs them")
    record = make(path, jobs=jobs, progress=sys.stderr.isatty())
    print(f"{path}: {summary(record)}")


def summary(record: dict[str, Any]) -> str:
    """One line: how many samplers, and how many findings of each severity."""
    found = [finding["severity"] for row in record["reports"] for finding in row["findings"]]
    counts = ", ".join(f"{found.count(level.value)} {level.value}s" for level in reversed(Severity))
    return f"{len(record['reports'])} samplers, {counts}"


def main() -> None:
    """The command."""
    run_command(app, "survey")


if __name__ == "__main__":
    main()
