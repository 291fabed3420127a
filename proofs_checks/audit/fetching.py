"""The checkouts that the audit runs: ``python -m proofs_checks.audit.fetching FOLDER`` fetches them.

Each is a shallow one of the pinned commit, in ``FOLDER/owner+name``. One that is there is left alone.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from proofs_checks.audit.names import LIBRARIES
from proofs_checks.audit.peers import library
from proofs_checks.audit.peers.checkout import VARIABLE, Checkout
from proofs_checks.audit.reproductions import PROGRAMS
from seeds_theory.command import run_command
from seeds_theory.errors import LibraryError

SOURCE = "https://github.com"


def checkouts() -> dict[str, Checkout]:
    """The checkout of each adapter that has one, by the adapter's name, and those of the reports alone."""
    adapters = {name: library(name) for name in LIBRARIES}
    found = {n: adapter.CHECKOUT for n, adapter in adapters.items() if hasattr(adapter, "CHECKOUT")}
    return {**found, **PROGRAMS}


def fetch(checkout: Checkout, folder: Path, source: str | None = None) -> bool:
    """Bring a repository at its commit into ``folder/owner+name``; False if it was there.

    Parameters
    ----------
    source : what is before ``/owner/name`` in the address; None for `SOURCE`.

    Raises
    ------
    LibraryError : git is missing, or says why it does not work.
    """
    target = folder / checkout.directory
    if (target / ".git").exists() and _git(
        target, "rev-parse", "--verify", "-q", "HEAD", check=False
    ) == checkout.commit:
        return False
    target.mkdir(parents=True, exist_ok=True)
    _git(target, "init", "-q")
    _git(
        target,
        "fetch",
        "-q",
        "--depth",
        "1",
        f"{source or SOURCE}/{checkout.repository}",
        checkout.commit,
    )
    _git(target, "checkout", "-q", "--detach", checkout.commit)
    return True


def _git(folder: Path, *words: str, check: bool = True) -> str:
    """What git prints. Large files and passwords are never asked for."""
    quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            check=False,
            env=quiet,
        )
    except FileNotFoundError:
        raise LibraryError("checkouts are fetched with git, which is not installed") from None
    if check and run.returncode:
        said = run.stderr.strip().splitlines() or [f"it ended with {run.returncode}"]
        raise LibraryError(f"git {words[0]} in {folder}: {said[0]}")
    return run.stdout.strip()


app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command()
def fetch_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where they go.")],
    list_only: Annotated[
        bool, typer.Option("--list", help="Fetch nothing: say what is where.")
    ] = False,
) -> None:
    """Fetch the repositories that the audit runs from checkouts, at the pinned commits.

    Example: [bold]python -m proofs_checks.audit.fetching .checkouts[/bold]
    """
    failed = []
    for name, checkout in checkouts().items():
        what = f"{name}: {checkout.repository} at {checkout.commit[:12]}"
        if list_only:
            print(f"{what} in {folder / checkout.directory}")
            continue
        try:
            print(f"{what}: {'fetched' if fetch(checkout, folder) else 'is there'}", flush=True)
        except LibraryError as error:
            failed.append(name)
            print(f"{what}: {error}", flush=True)
    if failed:
        raise LibraryError(f"not fetched: {', '.join(failed)}; run it again for these alone")
    if not list_only:
        print(f"export {VARIABLE}={folder.resolve()}")


def main() -> None:
    """The command."""
    run_command(app, "fetching")


if __name__ == "__main__":
    main()
