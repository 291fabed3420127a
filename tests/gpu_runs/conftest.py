import tarfile
from pathlib import Path

import pytest
import torch

DATA = Path(__file__).parent.parent / "data" / "edm"


@pytest.fixture(scope="session")
def edm_files(tmp_path_factory):
    """The folder with `networks` and `broken`, unpacked, and a link to `oracles`."""
    folder = tmp_path_factory.mktemp("edm")
    for name in ("networks", "broken"):
        (folder / name).mkdir()
        with tarfile.open(DATA / f"{name}.tar.xz") as archive:
            for member in archive:  # extractall's filter is not in Python 3.11.0
                if file := archive.extractfile(member):
                    (folder / member.name).write_bytes(file.read())
    (folder / "oracles").symlink_to(DATA / "oracles")
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small networks gain nothing from more, and lose much where the cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
