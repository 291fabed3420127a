"""Ctrl-C at any time of a command is one line and status 130."""

import os
import signal
import subprocess
import sys

import pytest

# A module that takes long to import, or whose function runs long; either says when it is there.
MODULE = """
import sys, time
def wait():
    print("there", flush=True)
    time.sleep(60)
if {importing}:
    try:
        wait()
    except KeyboardInterrupt:
        raise ImportError("what an import makes of an interruption")
main = wait
"""
LAUNCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.{handler})
from seeds_theory.launcher import launch
sys.path.insert(0, {folder!r})
launch("seeds-x", "slow")
"""


def interrupted(folder, importing, handler="default_int_handler"):
    (folder / "slow.py").write_text(MODULE.format(importing=importing))
    command = [sys.executable, "-c", LAUNCH.format(folder=str(folder), handler=handler)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout.readline() == "there\n"
    started.send_signal(signal.SIGINT)
    return started


@pytest.mark.parametrize("importing", [True, False])
def test_ctrl_c_is_a_line_also_in_an_import(tmp_path, importing):
    started = interrupted(tmp_path, importing)
    _, errors = started.communicate(timeout=60)
    assert (started.returncode, errors) == (130, "seeds-x: stopped\n")


IN_A_WRITE = """
import io, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from seeds_theory.interruption import ending_at_once
class Output(io.RawIOBase):
    def writable(self):
        return True
    def write(self, data):
        os.kill(os.getpid(), signal.SIGINT)
        return len(data)
sys.stdout = io.TextIOWrapper(io.BufferedWriter(Output()))
with ending_at_once("seeds-x"):
    print("there", flush=True)
"""


def test_ctrl_c_while_a_line_is_written_is_a_line():
    ended = subprocess.run([sys.executable, "-c", IN_A_WRITE], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "seeds-x: stopped\n")


def test_a_command_that_is_not_to_be_interrupted_goes_on(tmp_path):
    # As under nohup, or in the background of a script.
    started = interrupted(tmp_path, True, "SIG_IGN")
    with pytest.raises(subprocess.TimeoutExpired):
        started.communicate(timeout=1)
    os.kill(started.pid, signal.SIGKILL)
    started.communicate()
