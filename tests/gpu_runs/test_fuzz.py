"""Ten thousand mutated checkpoints: each is a network or a CheckpointError, and nothing else happens."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from edm_writer import bombs, edm_pickle, small_network
from foreign_files import FLAGS, adm, saved, score
from torch import nn

from gpu_runs.checkpoints.checkpoint import save_checkpoint

WORKER = Path(__file__).parent / "fuzz_worker.py"


def fuzz(folder, seed, *counts):
    command = [sys.executable, WORKER, folder, str(seed), *map(str, counts)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout)


def part_of_a_network():
    """A record without most of its tensors: complete for the reader, and quickly read."""
    net = small_network()
    net.model.enc, net.model.dec = nn.ModuleDict(), nn.ModuleDict()
    return net


@pytest.mark.slow
def test_mutations_are_networks_or_errors(tmp_path):
    net, part = small_network(), part_of_a_network()
    (tmp_path / "net-2").write_bytes(edm_pickle(net, protocol=2))
    (tmp_path / "net-4").write_bytes(edm_pickle(net, protocol=4))
    save_checkpoint(net, tmp_path / "net-safetensors")
    (tmp_path / "part-2").write_bytes(edm_pickle(part, protocol=2))
    (tmp_path / "part-4").write_bytes(edm_pickle(part, protocol=4))
    save_checkpoint(part, tmp_path / "part-safetensors")
    outcome = fuzz(tmp_path, 0, 300, 300, 400, 4000, 4000, 1000)
    assert outcome["problems"] == []
    assert outcome["accepted"] + outcome["refused"] == 10_000
    # Faults of the numbers make another network; those of the structure are found.
    assert 200 < outcome["accepted"] < 5000


@pytest.mark.slow
def test_mutations_of_a_file_of_the_original_layout(edm_files, tmp_path):
    source = edm_files / "networks" / "tiny_vp_ddpmpp.pkl"
    (tmp_path / "net").write_bytes(source.read_bytes())
    outcome = fuzz(tmp_path, 1, 40)
    assert outcome["problems"] == []
    assert outcome["accepted"] + outcome["refused"] == 40


@pytest.mark.slow
def test_mutations_of_files_of_other_projects(tmp_path):
    networks = {"net-a@" + FLAGS["consistency_edm_plain"]: adm("consistency_edm_plain")}
    kept = ("model", "ema")
    networks["net-b"] = {key: score("score_ve_residual")[key] for key in kept}
    for name, content in networks.items():
        (tmp_path / name).write_bytes(saved(content))
    (tmp_path / "net-c").write_bytes(saved(networks["net-b"], zipped=False))
    outcome = fuzz(tmp_path, 2, 150, 150, 100)
    assert outcome["problems"] == []
    assert outcome["accepted"] + outcome["refused"] == 400
    assert 20 < outcome["accepted"] < 300


@pytest.mark.slow
def test_small_files_that_ask_for_much_are_refused(tmp_path):
    (tmp_path / "net").write_bytes(edm_pickle(small_network()))
    files = bombs()
    for name, data in files.items():
        (tmp_path / f"bomb {name}").write_bytes(data)
    outcome = fuzz(tmp_path, 0, 0)
    assert outcome == {"accepted": 0, "refused": len(files), "problems": []}


def watched(folder, *treatment, seconds=5.0):
    """The worker's process with another loader, which gives mutated files this treatment."""
    (folder / "net").write_bytes(edm_pickle(small_network()))
    script = folder / "other.py"
    lines = [
        "import itertools, sys; sys.path.insert(0, sys.argv.pop())",
        "import fuzz_worker",
        "def load(path):",
        "    if str(path).endswith('mutated'):",
        *(f"        {line}" for line in treatment),
        "fuzz_worker.load_checkpoint = load",
        f"fuzz_worker.SECONDS = {seconds}",
        "fuzz_worker.main(sys.argv[1], 0, [2])",
    ]
    script.write_text("\n".join(lines))
    command = [sys.executable, script, folder, WORKER.parent]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def test_the_worker_notices_what_a_file_does(tmp_path):
    result = watched(tmp_path, "open(str(path) + '.out', 'w').close()", "raise KeyError('none')")
    problems = json.loads(result.stdout)["problems"]
    assert any("mutated.out" in problem for problem in problems)
    assert any("KeyError" in problem for problem in problems)


def test_the_worker_ends_what_hangs(tmp_path):
    result = watched(tmp_path, "max(itertools.repeat(0))", seconds=0.1)
    assert result.returncode == -signal.SIGPROF
    assert "line 5 in load" in result.stderr and not result.stdout
