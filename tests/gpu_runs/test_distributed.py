import io
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from tiny_networks import tiny_checkpoint

from gpu_runs.files.whole import OutputError
from gpu_runs.generate import main
from gpu_runs.generation import image_run
from gpu_runs.generation.image_run import generate_images
from gpu_runs.generation.network_images import NetworkImages
from gpu_runs.generation.sampler import Generation
from gpu_runs.machine import heartbeat
from gpu_runs.machine.distributed import Processes, processes
from seeds_theory.command import run_command
from seeds_theory.errors import ParameterError

pytestmark = pytest.mark.slow  # processes that each load torch

SETTINGS = Generation("euler-maruyama", 4)  # a baseline: no formulas to be derived first


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def alone(checkpoint, tmp_path_factory):
    """The run of ten seeds that others are compared with, in one process."""
    out = tmp_path_factory.mktemp("alone") / "run"
    generate_images(checkpoint, SETTINGS, range(10), out, batch=3)
    return files(out)


def command(checkpoint, out, *more):
    arguments = ["--network", checkpoint, "--method", "euler-maruyama", "--steps", "4"]
    return [*arguments, "--seeds", "0-9", "--batch", "3", "--out", str(out), *more]


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.glob("*/*.png")}


def pixels(data):
    with Image.open(io.BytesIO(data)) as picture:
        return picture.mode, picture.size, picture.tobytes()


def worker(rank, world, port, main, arguments, log):
    """One process of a run, with the environment that a launcher would give it."""
    torch.set_num_threads(1)
    os.environ |= {"SEEDS_DISTRIBUTED": "1"}
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    sys.argv = ["seeds-generate", *arguments]
    sys.stdout = sys.stderr = log.open("w", buffering=1)
    main()


def commanded():
    """`work_for_ever` as a command ends it."""
    heartbeat.BEAT = 0.5
    app = typer.Typer()
    app.command()(work_for_ever)
    sys.argv = ["seeds-test"]
    run_command(app, "seeds-test")


def gather():
    """What the processes of a group say to one another."""
    with processes() as group:
        print(group.gather(group.rank), group.gather_to_first(group.rank))
        print([group.new_run().count("images", 1 + group.rank) > 2 for _ in range(2)])


def start(folder, world, arguments, main=main):
    """Start the command in so many processes; these, and the files that they write to, by rank.

    arguments : of all, or a list for each.
    """
    # Children of a process that has imported torch, and done nothing else, start at once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gpu_runs.generate"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logs = [folder / f"log{rank}" for rank in range(world)]
    each = arguments if isinstance(arguments[0], list) else [arguments] * world
    children = [
        context.Process(target=worker, args=(rank, world, port, main, each[rank], log))
        for rank, log in enumerate(logs)
    ]
    for child in children:
        child.start()
    return children, logs


def run(folder, world, arguments, main=main):
    """As `start`, to the end: exit codes and outputs, by rank."""
    children, logs = start(folder, world, arguments, main)
    for child in children:
        child.join(60)
    return [child.exitcode for child in children], [log.read_text() for log in logs]


def test_three_processes_make_the_images_of_one(checkpoint, alone, tmp_path):
    # Ten seeds are four batches, the last of one image: the shares are uneven.
    codes, outputs = run(tmp_path, 3, command(checkpoint, tmp_path / "run"))
    assert codes == [0, 0, 0], outputs
    assert outputs[0].startswith(f"10 images in {tmp_path / 'run'}: ")
    assert not any(outputs[1:])
    assert files(tmp_path / "run") == alone
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [(entry["processes"], entry["images"]) for entry in content["runs"]] == [(3, 10)]


def test_two_processes_join_their_batches_in_one_array(checkpoint, tmp_path):
    codes, outputs = run(tmp_path, 2, command(checkpoint, tmp_path / "x.npz"))
    assert codes == [0, 0], outputs
    generate_images(checkpoint, SETTINGS, range(10), tmp_path / "y.npz", batch=3)
    for name in ("images", "seeds"):
        assert np.array_equal(np.load(tmp_path / "x.npz")[name], np.load(tmp_path / "y.npz")[name])


def test_if_one_fails_all_end_with_its_message_and_the_rest_is_kept(checkpoint, alone, tmp_path):
    out = tmp_path / "run"
    generate_images(checkpoint, SETTINGS, [0], out)
    (out / "000000" / "000004.png.part").mkdir()  # of the second process: no file can be written
    codes, outputs = run(tmp_path, 2, command(checkpoint, out))
    assert codes == [2, 2]
    assert outputs[0].startswith(f"seeds-generate: cannot write {out / '000000' / '000004.png'}: ")
    assert outputs[0].count("\n") == 1 and not outputs[1]
    assert 3 <= len(files(out)) < 10
    (out / "000000" / "000004.png.part").rmdir()
    generate_images(checkpoint, SETTINGS, range(10), out, batch=3)
    resumed = files(out)
    first = Path("000000/000000.png")  # it was made in a batch of one, perhaps rounded otherwise
    assert resumed.pop(first)
    assert resumed == {path: data for path, data in alone.items() if path != first}


def test_wrong_input_is_said_once(checkpoint, tmp_path):
    codes, outputs = run(tmp_path, 2, command(checkpoint, tmp_path / "run", "--labels", "9"))
    assert codes == [2, 2]
    assert outputs == [
        "seeds-generate: the classes of this network are 0 to 3; got 9\n",
        "",
    ]


def test_processes_with_different_runs_end_before_any_image(checkpoint, tmp_path):
    other = tiny_checkpoint(tmp_path, label_dim=3)
    each = [command(network, tmp_path / "run") for network in (checkpoint, other)]
    codes, outputs = run(tmp_path, 2, each)
    assert codes == [2, 2]
    assert outputs[0].startswith("seeds-generate: process 1 has checkpoint = '")
    assert outputs[0].endswith("all need the same command, files and versions\n")
    assert outputs[0].count("\n") == 1 and not outputs[1]
    assert not (tmp_path / "run").exists()


def test_each_process_loads_code_of_the_user_by_itself(alone, tmp_path):
    file = tmp_path / "my_network.py"
    file.write_text(
        "from tiny_networks import tiny_network\n"
        "def network(device):\n    print('made')\n    return tiny_network().to(device)\n"
        "def missing(device):\n    raise OSError('no weights')\n"
    )
    codes, outputs = run(tmp_path, 2, command(f"{file}:network", tmp_path / "run"))
    assert codes == [0, 0], outputs
    assert [output.count("made") for output in outputs] == [1, 1]
    found = files(
        tmp_path / "run"
    )  # they say of which run they are, so only their pixels are the same
    assert {path: pixels(data) for path, data in found.items()} == {
        path: pixels(data) for path, data in alone.items()
    }
    codes, outputs = run(tmp_path, 2, command(f"{file}:missing", tmp_path / "other"))
    assert codes == [2, 2] and not outputs[1]
    assert outputs[0].count("\n") == 1 and "missing raises OSError: no weights" in outputs[0]


def test_code_and_a_checkpoint_are_different_runs(checkpoint, tmp_path):
    file = tmp_path / "my_network.py"
    file.write_text(
        "from tiny_networks import tiny_network as network_\nnetwork = lambda d: network_()\n"
    )
    each = [command(network, tmp_path / "run") for network in (checkpoint, f"{file}:network")]
    codes, outputs = run(tmp_path, 2, each)
    assert codes == [2, 2]
    assert outputs[0].startswith("seeds-generate: process 1 has checkpoint = None, process 0 '")


def test_with_several_processes_the_rank_chooses_the_gpu(checkpoint, tmp_path):
    codes, outputs = run(tmp_path, 2, command(checkpoint, tmp_path / "run", "--device", "cuda:1"))
    assert codes == [2, 2]
    assert outputs == [
        "seeds-generate: with several processes a device is cpu or cuda, and the local rank chooses the "
        "GPU; got 'cuda:1'\n",
        "",
    ]


def test_values_are_gathered_in_all_or_in_the_first(tmp_path):
    codes, outputs = run(tmp_path, 2, ["unused"], gather)
    assert codes == [0, 0], outputs
    assert outputs[0].splitlines()[0] == "[0, 1] [0, 1]"
    assert outputs[1].splitlines()[0] == "[0, 1] []"
    # Each run counts from 0: either only the second of the two saw a sum of 3, in each.
    sums = [json.loads(output.splitlines()[1].lower()) for output in outputs]
    assert [a != b for a, b in zip(*sums, strict=True)] == [True, True]


def test_images_of_another_node_get_time_to_be_seen(checkpoint, tmp_path, monkeypatch):
    generate_images(checkpoint, SETTINGS, [0, 1], tmp_path / "run")
    answers = [[0, 1], [1], []]
    monkeypatch.setattr(image_run.time, "sleep", lambda _: None)

    def lost(world):
        opened = partial(NetworkImages, checkpoint, SETTINGS)
        one = image_run._Run(opened, tmp_path / "run", Processes(world=world))
        one.numbers = [0, 1]
        left = iter(answers)
        monkeypatch.setattr(one.output, "missing", lambda _: next(left))
        return one._lost()

    assert lost(world=1) == [0, 1]
    assert lost(world=2) == []
    monkeypatch.setattr(image_run, "_UNTIL_SEEN", 0.0)
    assert lost(world=2) == [0, 1]


def test_one_group_serves_several_runs(checkpoint, tmp_path):
    group = Processes()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        generate_images(checkpoint, SETTINGS, [0], tmp_path / "file", group=group)
    for name in ("first", "second"):
        content = generate_images(checkpoint, SETTINGS, [0, 1], tmp_path / name, group=group)
        assert content["images"] == len(files(tmp_path / name)) == 2


def work_for_ever():
    """Two processes: the second waits for the first, which does not come to it."""
    with processes() as group:
        print("there", flush=True)
        group.gather(None)
        if group.rank == 0:
            time.sleep(120)
        group.gather(None)


@pytest.mark.parametrize(
    ("lost", "way"), [(0, signal.SIGSTOP), (1, signal.SIGSTOP), (1, signal.SIGKILL)]
)
def test_if_one_is_lost_the_others_end_with_a_line(tmp_path, lost, way):
    # Stopped, a process says as little as one whose node lost its power: no connection is closed.
    children, logs = start(tmp_path, 3, ["unused"], commanded)
    end = time.monotonic() + 60
    while not all(log.exists() and "there" in log.read_text() for log in logs):
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(1)
    os.kill(children[lost].pid, way)
    others = [rank for rank in range(3) if rank != lost]
    try:
        for rank in others:
            children[rank].join(30)
        assert [children[rank].exitcode for rank in others] == [2, 2]
    finally:
        for child in children:
            child.kill()
    for rank in others:
        said = logs[rank].read_text().splitlines()
        assert len(said) == 2 and said[0] == "there", said
        assert "what is done is kept, run the same command again" in said[1]
        if way == signal.SIGSTOP and lost:
            assert f"process {lost} has given no sign of life for 4 s" in said[1]


@pytest.mark.slow
def test_torchrun(checkpoint, alone, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    subprocess.run(
        [*torchrun, "-m", "gpu_runs.generate", *command(checkpoint, tmp_path / "run")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        timeout=120,
    )
    assert files(tmp_path / "run") == alone


@pytest.mark.parametrize("variables", [{}, {"RANK": "0"}, {"RANK": "3", "WORLD_SIZE": "8"}])
def test_without_a_launcher_there_is_one_process(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with processes() as group:
        assert (group.rank, group.world, group.gather("x")) == (0, 1, ["x"])
        assert group.gather_to_first("x") == ["x"]
        assert [group.count("images", n) for n in (2, 0, 3)] == [2, 2, 5]


def test_a_failure_alone_is_raised_as_it_is():
    group = Processes()

    def work():
        raise ParameterError("wrong")

    assert not group.failed
    with pytest.raises(ParameterError, match="wrong"):
        group.together(work)
    assert group.failed
    assert Processes().together(lambda: 3) == 3
