import tarfile
from pathlib import Path

import pytest

DATA = Path(__file__).parent.parent / "data" / "edm"


@pytest.fixture(scope="session")
def edm_files(tmp_path_factory):
    """The folder with `networks` and `broken`, unpacked, and a link to `oracles`."""
    folder = tmp_path_factory.mktemp("edm")
    for name in ("networks", "broken"):
        with tarfile.open(DATA / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
    (folder / "oracles").symlink_to(DATA / "oracles")
    return folder
