"""Who starts several processes, and how they notice that one is gone."""

import threading
import time

import pytest
from torch.distributed import HashStore

from gpu_runs.machine import heartbeat
from gpu_runs.machine.device import require_device
from gpu_runs.machine.heartbeat import SILENCE, Heartbeat
from gpu_runs.machine.launch import Place, is_one_of_several
from seeds_theory.errors import ParameterError

TORCH = {"RANK": "2", "WORLD_SIZE": "8", "MASTER_ADDR": "node1", "MASTER_PORT": "29500"}


def test_only_a_launcher_that_says_so_starts_several():
    assert not is_one_of_several({})
    assert not is_one_of_several({"RANK": "0"})
    assert not is_one_of_several({**TORCH, "LOCAL_RANK": "0", "SLURM_PROCID": "2"})
    assert not is_one_of_several({**TORCH, "SEEDS_DISTRIBUTED": "0"})
    assert not is_one_of_several({**TORCH, "TORCHELASTIC_RUN_ID": ""})
    assert is_one_of_several({"TORCHELASTIC_RUN_ID": "none"})
    assert not is_one_of_several({"TORCHELASTIC_RUN_ID": "none", "SEEDS_DISTRIBUTED": "0"})
    assert is_one_of_several({"SEEDS_DISTRIBUTED": "1"})
    with pytest.raises(ParameterError, match="SEEDS_DISTRIBUTED is 1 or 0; got 'yes'"):
        is_one_of_several({"SEEDS_DISTRIBUTED": "yes"})


@pytest.mark.parametrize(
    "name", ["meta", "cuda:99", "cuda:-1", "", "xla", "gpu", "cpu\n", "\ud800"]
)
def test_a_device_that_cannot_compute_is_none(name):
    with pytest.raises(ParameterError, match="is not available here") as caught:
        require_device(name)
    assert "\n" not in str(caught.value)


def test_a_place_is_as_it_is_told():
    launched = {**TORCH, "SEEDS_DISTRIBUTED": "1"}
    assert Place.told(launched) == Place(2, 8, 0, "node1", 29500, "0")
    again = {"LOCAL_RANK": "1", "TORCHELASTIC_RESTART_COUNT": "3"}
    assert Place.told({**launched, **again}) == Place(2, 8, 1, "node1", 29500, "3")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"RANK": None},
            "SEEDS_DISTRIBUTED says that .*, and RANK is not set: set it, or set SEEDS",
        ),
        ({"MASTER_ADDR": "", "MASTER_PORT": None}, "MASTER_ADDR, MASTER_PORT is not set"),
        ({"RANK": "8"}, "RANK is below WORLD_SIZE; got 8 and 8"),
        ({"RANK": "-1"}, "RANK is a whole number from 0 to 1048576; got '-1'"),
        ({"RANK": "\u0663"}, "RANK is a whole number"),
        ({"RANK": "9" * 5000}, "RANK is a whole number from 0 to 1048576; got '9{40}'$"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is a whole number from 1"),
        ({"LOCAL_RANK": "one"}, "LOCAL_RANK is a whole number"),
        ({"MASTER_PORT": "70000"}, "MASTER_PORT is a whole number from 1 to 65535; got '70000'"),
    ],
)
def test_what_a_launcher_leaves_out_or_gets_wrong_is_a_line(change, message):
    told = {**TORCH, "SEEDS_DISTRIBUTED": "1", **change}
    with pytest.raises(ParameterError, match=message):
        Place.told({name: value for name, value in told.items() if value is not None})


# ---------------------------------------------------------------------------------------- heartbeats


class Line:
    """A process's own connection to the store; it can be cut, or stop to answer."""

    def __init__(self, store):
        self.store, self.cut, self.hangs = store, False, threading.Event()
        self.hangs.set()

    def add(self, key, amount):
        self.hangs.wait()
        if self.cut:
            raise RuntimeError("Connection reset by peer")
        return self.store.add(key, amount)


@pytest.fixture
def group(monkeypatch):
    """Three processes: their lines, heartbeats and what each ended with."""
    monkeypatch.setattr(heartbeat, "BEAT", 0.02)
    store = HashStore()
    lines, ends = [Line(store) for _ in range(3)], [[] for _ in range(3)]
    beats = [Heartbeat(line, rank, 3, ends[rank].append) for rank, line in enumerate(lines)]
    yield lines, beats, ends
    for line, beat in zip(lines, beats, strict=True):
        beat.stop()
        line.hangs.set()


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_those_that_live_hear_of_nothing(group):
    _, _, ends = group
    time.sleep(0.02 * SILENCE * 5)
    assert ends == [[], [], []]


def test_one_that_falls_silent_ends_all(group):
    lines, _, ends = group
    lines[2].hangs.clear()
    wait_for(lambda: all(ends))
    for said in ends[:2]:
        assert len(said) == 1 and said[0].startswith(
            "process 2 has given no sign of life for 0 s: "
        )
    assert ends[2][0].startswith("the store of the run has not answered")  # as it looks from there


def test_one_that_leaves_is_not_missed(group):
    _, beats, ends = group
    beats[1].stop()
    time.sleep(0.02 * SILENCE * 5)
    assert ends == [[], [], []]
    beats[0].stop()
    time.sleep(0.02 * SILENCE * 5)
    assert ends == [[], [], []]


def test_a_connection_that_comes_back_ends_nothing(group):
    lines, _, ends = group
    for line in lines:
        line.cut = True
    time.sleep(0.02 * 3)
    for line in lines:
        line.cut = False
    time.sleep(0.02 * SILENCE * 3)
    assert ends == [[], [], []]


def test_a_store_that_is_gone_ends_all(group):
    lines, _, ends = group
    for line in lines:
        line.cut = True
    wait_for(lambda: all(ends))
    assert all(said[0].startswith("the store of the run has not answered") for said in ends)
