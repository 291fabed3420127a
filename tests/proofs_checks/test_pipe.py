"""The client of the protocol: it asks and answers, and a bad program is one line and leaves no process."""

from __future__ import annotations

import math
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from proofs_checks.audit.limits import TimeUp, time_limit
from proofs_checks.pipe import NoiseRequest, Program, ProgramError, Refusal, ended_by_signals
from seeds_theory.errors import ParameterError

X = np.array([[1.0, -2.0], [0.1, 3e-7], [4.0, 5.0]])


class Echo:
    """Half the state as the estimate, ones as normals; notes what it is asked."""

    def __init__(self) -> None:
        self.requests: list[object] = []

    def denoised(self, x: np.ndarray, sigma: float) -> np.ndarray:
        self.requests.append((x, sigma))
        return x / 2

    def noise(self, request: NoiseRequest) -> np.ndarray:
        self.requests.append(request)
        return np.ones((request.degree, *X.shape))


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    """Makes a program of lines of Python, in which `tell` and `read` speak; each notes its process."""
    started = []

    def make(lines: str) -> Program:
        file = tmp_path / "program.py"
        file.write_text(
            "import json, os, signal, subprocess, sys, time\n"
            f"open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
            "def tell(text): print(text, flush=True)\n"
            "def read(): return json.loads(sys.stdin.readline())\n"
            "def ask(message): tell(json.dumps(message)); return read()\n"
            f"PIDS = {str(tmp_path / 'pids')!r}\n" + textwrap.dedent(lines)
        )
        started.append(Program([sys.executable, "-S", str(file)]))
        return started[-1]

    yield make
    for each in started:
        each.kill()
    for pid in pids(tmp_path):
        assert gone(pid)


def pids(folder: Path) -> list[int]:
    file = folder / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def gone(pid: int) -> bool:
    """Whether a process has ended, at once or as soon as the system has come to it."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True  # killed, and not ours to reap
        time.sleep(0.02)
    return False


HALF = """
while line := sys.stdin.readline():
    run = json.loads(line)["run"]
    answer = ask({"denoise": {"x": run["x"], "sigma": run["sigmas"][0]}})
    tell(json.dumps({"result": answer["denoised"]}))
"""


def test_numbers_come_back_exactly_and_a_program_serves_many_runs(program, tmp_path) -> None:
    served, echo = program(HALF), Echo()
    x = np.array([[math.pi, -1e-300, 5e-324], [1e300, 0.1, -0.0]])
    for _ in range(3):
        assert np.array_equal(served.run(x, [0.1, 0.05], {}, echo), x / 2)
    assert [sigma for _, sigma in echo.requests] == [0.1] * 3
    assert np.array_equal(echo.requests[0][0], x)
    assert len(pids(tmp_path)) == 1
    served.finish(30.0)


def test_a_request_for_noise_is_what_it_says(program) -> None:
    served, echo = (
        program(
            """
        run = read()["run"]
        first = ask({"noise": {"from": 2, "to": 1.5, "degree": 1}})["noise"]
        others = ask({"noise": {"to": 1, "from": 1.5, "degree": 3, "form": "noise", "path": 2}})
        ask({"noise": {"from": 1.5, "to": 1, "degree": 1, "area": True}})
        assert [len(first), len(others["noise"]), len(first[0])] == [1, 3, 3]
        tell(json.dumps({"result": run["x"]}))
        """
        ),
        Echo(),
    )
    served.run(X, [2.0, 1.0], {}, echo)
    assert echo.requests == [
        NoiseRequest(2.0, 1.5),
        NoiseRequest(1.5, 1.0, 3, "noise", 2),
        NoiseRequest(1.5, 1.0, area=True),
    ]
    for request in echo.requests:
        assert isinstance(request, NoiseRequest)
        assert NoiseRequest.parse(json_floats(request.to_json())) == request


def json_floats(record: dict) -> dict:
    whole = ("degree", "path")
    return {name: float(value) if name in whole else value for name, value in record.items()}


def test_a_refusal_keeps_the_program(program, tmp_path) -> None:
    served = program(
        """
        while line := sys.stdin.readline():
            run = json.loads(line)["run"]
            if run["options"].get("late"):
                ask({"denoise": {"x": run["x"], "sigma": 1}})
            tell(json.dumps({"error": "no\\nsuch thing"}))
        """
    )
    for late in (False, True):
        with pytest.raises(Refusal, match="answers with an error: no such thing") as caught:
            served.run(X, [2.0, 1.0], {"late": late}, Echo())
        assert caught.value.late == late
    assert len(pids(tmp_path)) == 1


ROWS = "[[1, 2], [3, 4], [5, 6]]"
FAULTS = {
    # Dies, in its way.
    "sys.exit(3)": "ends with status 3, in place of an answer",
    "sys.exit('out of luck')": "ends with status 1: out of luck, in place of an answer",
    "os.kill(os.getpid(), signal.SIGSEGV)": "is killed by signal 11 (SIGSEGV)",
    "read(); sys.exit(0)": "ends with status 0",
    "read(); ask({'denoise': {'x': " + ROWS + ", 'sigma': 1}}); 1 / 0": "ZeroDivisionError",
    "os.close(1); time.sleep(60)": "closes its output",
    # Hangs.
    "time.sleep(60)": "does not end a run within 0.5 s",
    "read(); time.sleep(60)": "does not end a run within 0.5 s",
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)": "within 0.5 s",
    "read()\nwhile True: ask({'denoise': {'x': " + ROWS + ", 'sigma': 1}})": "within 0.5 s",
    # Prints what is none of the messages.
    "print('Hello'); print('World', flush=True); time.sleep(60)": "no JSON: 'Hello'",
    "tell('[1, 2]'); read()": "none of",
    "tell('3'); read()": "none of",
    "tell('{}'); read()": "none of",
    "tell('{\"answer\": 1}'); read()": "none of",
    "tell('{\"result\": ' + '[' * 20000); read()": "no JSON",
    "sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.stdout.flush(); read()": "no JSON",
    "tell(''); read()": "no JSON",
    "read(); tell('{\"result\": [[NaN, 1], [1, 1], [1, 1]]}')": "NaN is no number of JSON",
    "sys.stdout.write('x' * 10_000_000); sys.stdout.flush(); time.sleep(60)": "more than",
    # Sends what is no state.
    "read(); tell('{\"result\": [[1, 2], [3, 4]]}')": "a result that are no numbers of shape (3, 2)",
    "read(); tell('{\"result\": [[1, 2], [3], [4, 5]]}')": "no numbers of shape (3, 2)",
    "read(); tell('{\"result\": [[1, 2], [3, null], [4, 5]]}')": "no numbers of shape (3, 2)",
    'read(); tell(\'{"result": [["1", "2"], ["3", "4"], ["5", "6"]]}\')': "no numbers",
    "read(); tell('{\"result\": [[1, 2], [3, 1e999], [4, 5]]}')": "not finite",
    "read(); tell('{\"result\": null}')": "no numbers",
    "read(); tell('{\"denoise\": 3}')": "without",
    'read(); tell(\'{"denoise": {"x": ' + ROWS + ', "sigma": 0}}\')': "at the level",
    'read(); tell(\'{"denoise": {"x": [1], "sigma": 1}}\')': "sends states that are no",
    # Asks for noise in a way that is none.
    'read(); tell(\'{"noise": {"from": 1, "to": 2, "degree": 1}}\')': "in a way that is none",
    'read(); tell(\'{"noise": {"from": 2, "to": 0, "degree": 1}}\')': "in a way that is none",
    'read(); tell(\'{"noise": {"from": 2, "to": 1}}\')': "in a way that is none",
    'read(); tell(\'{"noise": {"from": 2, "to": 1, "degree": 1e9}}\')': "in a way that is none",
    'read(); tell(\'{"noise": {"from": 2, "to": 1, "degree": 1.5}}\')': "in a way that is none",
    'read(); tell(\'{"noise": {"from": 2, "to": 1, "degree": 1, "eta": 1}}\')': "a way that is none",
    "read(); tell('{\"noise\": [2, 1]}')": "in a way that is none",
}


@pytest.mark.parametrize("lines", FAULTS)
def test_a_bad_program_is_one_line_and_is_gone(lines: str, program, tmp_path: Path) -> None:
    served = program(lines)
    # What is to end by itself is given time: the machine may be busy.
    seconds = 0.5 if "0.5 s" in FAULTS[lines] or "within" in FAULTS[lines] else 30.0
    with pytest.raises(ProgramError) as caught:
        served.run(X, [2.0, 1.0], {}, Echo(), seconds=seconds)
    text = str(caught.value)
    assert FAULTS[lines] in text
    assert "\n" not in text and len(text) < 400
    for pid in pids(tmp_path):
        assert gone(pid)


def test_a_long_message_to_a_program_that_never_reads_does_not_lock_up(program) -> None:
    served = program('tell(\'{"error": "no"}\'); time.sleep(60)')
    with pytest.raises(ProgramError, match="before it has read"):
        served.run(np.ones((3, 100_000)), [2.0, 1.0], {}, Echo(), seconds=30.0)
    served = program("time.sleep(60)")
    with pytest.raises(ProgramError, match="within"):
        served.run(np.ones((3, 100_000)), [2.0, 1.0], {}, Echo(), seconds=0.5)


def test_more_than_one_result_is_noticed(program) -> None:
    served = program(
        """
        while run := read()["run"]:
            tell(json.dumps({"result": run["x"]}) + "\\n" + json.dumps({"result": run["x"]}))
        """
    )
    served.run(X, [2.0, 1.0], {}, Echo())
    with pytest.raises(ProgramError, match="prints more than it is asked for"):
        served.run(X, [2.0, 1.0], {}, Echo())


def test_a_program_begins_anew_after_a_fault(program, tmp_path: Path) -> None:
    served = program(
        """
        if len(open(PIDS).read().split()) == 1:
            sys.exit(1)
        """
        + HALF.replace("\n", "\n        ")
    )
    with pytest.raises(ProgramError, match="ends with status 1"):
        served.run(X, [2.0, 1.0], {}, Echo())
    assert np.array_equal(served.run(X, [2.0, 1.0], {}, Echo()), X / 2)
    assert len(pids(tmp_path)) == 2


def test_what_a_program_started_ends_with_it(program, tmp_path: Path) -> None:
    children = """
        for ignored in range(2):
            child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
            open(PIDS, "a").write(f"{child.pid}\\n")
        """
    served = program(children + "time.sleep(60)")
    with pytest.raises(ProgramError, match="within"):
        served.run(X, [2.0, 1.0], {}, Echo(), seconds=2.0)
    # One that has gone, while its children keep its output open.
    served = program(children + "os._exit(7)")
    with pytest.raises(ProgramError, match="ends with status 7"):
        served.run(X, [2.0, 1.0], {}, Echo(), seconds=30.0)
    for pid in pids(tmp_path):
        assert gone(pid)


def test_the_end_of_the_input_is_the_end(program, tmp_path: Path) -> None:
    served = program(HALF + "print('bye', file=sys.stderr)\n")
    served.run(X, [2.0, 1.0], {}, Echo())
    served.finish(30.0)
    served = program(HALF + "sys.exit(4)\n")
    served.run(X, [2.0, 1.0], {}, Echo())
    with pytest.raises(ProgramError, match="at the end of its input it ends with status 4"):
        served.finish(30.0)
    served = program(HALF + "time.sleep(60)\n")
    served.run(X, [2.0, 1.0], {}, Echo())
    with pytest.raises(ProgramError, match=r"does not end within 0.3 s of the end of its input"):
        served.finish(0.3)
    for pid in pids(tmp_path):
        assert gone(pid)


@pytest.mark.slow
def test_an_interrupt_or_an_alarm_while_it_waits_ends_the_program(program, tmp_path: Path) -> None:
    served = program("time.sleep(60)")
    with pytest.raises(TimeUp), time_limit(0.5):
        served.run(X, [2.0, 1.0], {}, Echo())

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            served.run(X, [2.0, 1.0], {}, Echo())
    finally:
        signal.signal(signal.SIGALRM, before)
    for pid in pids(tmp_path):
        assert gone(pid)


def test_an_error_in_an_answer_ends_the_program(program, tmp_path: Path) -> None:
    class Fails(Echo):
        def denoised(self, x: np.ndarray, sigma: float) -> np.ndarray:
            raise RuntimeError("the model is broken")

    class Diverges(Echo):
        def denoised(self, x: np.ndarray, sigma: float) -> np.ndarray:
            return x * np.inf

    served = program(HALF)
    with pytest.raises(RuntimeError, match="the model is broken"):
        served.run(X, [2.0, 1.0], {}, Fails())
    with pytest.raises(ProgramError, match="a number in 'denoised' that is not finite"):
        served.run(X, [2.0, 1.0], {}, Diverges())
    assert len(pids(tmp_path)) == 2


def test_a_program_ends_with_the_interpreter(program, tmp_path: Path) -> None:
    served = program(HALF + "time.sleep(60)\n")
    script = f"""
        import numpy as np
        from proofs_checks.pipe import Program
        class Echo:
            def denoised(self, x, sigma): return x
        kept = Program({list(served.command)!r})
        kept.run(np.ones((1, 1)), [2.0, 1.0], {{}}, Echo())
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
    (pid,) = pids(tmp_path)
    assert gone(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["conformance", "audit"])
@pytest.mark.slow
def test_a_command_that_is_ended_ends_its_program(
    name: str, number: signal.Signals, program, tmp_path: Path
) -> None:
    command = program("time.sleep(60)").command
    audited = [f"pipe:{shlex.join(command)}"]
    arguments = audited if name == "audit" else ["check", "--method", "seeds-1", "--", *command]
    ours = signal.signal(
        number, signal.SIG_DFL
    )  # a runner may ignore it, and a child inherits that
    try:
        running = subprocess.Popen(
            [sys.executable, "-m", f"proofs_checks.{name}.command", *arguments],
            stdout=subprocess.DEVNULL,
        )
    finally:
        signal.signal(number, ours)
    try:
        while not pids(tmp_path) and running.poll() is None:
            time.sleep(0.02)
        running.send_signal(number)
        assert running.wait(30) == 128 + number
    finally:
        running.kill()
    (pid,) = pids(tmp_path)
    assert gone(pid)


def test_handlers_are_restored_and_what_is_ignored_stays_so() -> None:
    before = signal.getsignal(signal.SIGTERM)
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit) as end, ended_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        assert end.value.code == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, ignored)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_command_that_cannot_be_started_is_one_typed_line() -> None:
    for command, says in {
        ("/no/such/program",): "cannot start '/no/such/program': No such file",
        (__file__,): "cannot start",  # a file that is no program
        ("a\0b",): "cannot start",
    }.items():
        with pytest.raises(ParameterError, match=says):
            Program(command).run(X, [2.0, 1.0], {}, Echo())
    with pytest.raises(ParameterError, match="named by a command"):
        Program([])
