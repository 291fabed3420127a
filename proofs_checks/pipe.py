"""A sampler in any language: a program that speaks JSON lines on its standard input and output.

To the program, one object a line::

    {"run": {"x": [[...]], "sigmas": [...], "options": {...}}}   begins a run
    {"denoised": [[...]]}   {"noise": [[[...]]]}                 answer what it asks

From it::

    {"denoise": {"x": [[...]], "sigma": s}}                      the model's estimate, please
    {"noise": {"from": s, "to": t, "degree": 1}}                 normals of that stretch, please
    {"result": [[...]]}   {"error": "..."}                       ends the run

States are ``(batch, numbers)``, noise is ``(degree, batch, numbers)``. The book's chapter "For implementers"
has the rest. A program lives for many runs; one that hangs, ends, or prints anything else is killed with its
process group, and begins anew with the next run.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import numpy as np

from seeds_theory.errors import ParameterError, SeedsError

_PATIENCE = 1.0  # seconds for a program that has closed its output to end
_GLANCE = 0.05  # seconds between looks whether it still lives
_MOST_DEGREE = 16
_SPARE, _PER_NUMBER = 65536, 64  # characters of a line: it may be printed with spaces


class ProgramError(SeedsError):
    """What a program did instead of its part of the protocol."""


class Refusal(ProgramError):
    """A run that a program answered with an error; `late` if it had asked for something before."""

    def __init__(self, text: str, *, late: bool) -> None:
        super().__init__(text)
        self.late = late


@dataclass(frozen=True)
class NoiseRequest:
    """What a program asks for: normals of one stretch; the fields are those of `seeds_theory.plan.Interval`.

    degree : how many: the noise itself, then the normals that the moments of power 1, 2, ... add.
    """

    sigma: float
    sigma_next: float
    degree: int = 1
    form: str = "data"
    path: int = 0
    area: bool = False

    @classmethod
    def parse(cls, value: Any) -> NoiseRequest:
        """From what stands in a message; raises ProgramError."""
        try:
            given = dict(value)
            levels = _level(given.pop("from")), _level(given.pop("to"))
            degree = _whole(given.pop("degree"), 1, _MOST_DEGREE)
            path = _whole(given.pop("path", 0.0), 0, 2**31)
            form, area = given.pop("form", "data"), given.pop("area", False)
            fits = isinstance(form, str) and isinstance(area, bool) and levels[0] > levels[1]
            if given or not fits:
                raise ValueError(value)
        except (KeyError, TypeError, ValueError):
            raise ProgramError(f"asks for noise in a way that is none: {_excerpt(value)}") from None
        return cls(*levels, degree, form, path, area)

    def to_json(self) -> dict[str, Any]:
        """What stands in a message: what is not the default."""
        record: dict[str, Any] = {"from": self.sigma, "to": self.sigma_next, "degree": self.degree}
        further = {"form": self.form, "path": self.path, "area": self.area}
        usual = {"form": "data", "path": 0, "area": False}
        return record | {name: value for name, value in further.items() if value != usual[name]}


class Answers(Protocol):
    """Who answers what a program asks for."""

    def denoised(self, x: np.ndarray, sigma: float) -> np.ndarray:
        """The model's estimate for the states x (batch, numbers) at that level, shaped like x."""
        ...

    def noise(self, request: NoiseRequest) -> np.ndarray:
        """Standard normals ``(degree, batch, numbers)``."""
        ...


class Program:
    """A program that serves runs: started by the first, ended with the context or with the interpreter.

    Parameters
    ----------
    command : what to execute, with its arguments; no shell reads it.

    Raises
    ------
    ParameterError : no command, or a system without the pipes that this takes.
    """

    def __init__(self, command: Sequence[str]) -> None:
        if not command:
            raise ParameterError("a program is named by a command, as ./sampler --fast")
        if os.name != "posix":
            raise ParameterError("programs behind a pipe run on Linux and macOS only")
        self.command = tuple(command)
        self._process: _Process | None = None

    def __str__(self) -> str:
        return shlex.join(self.command)

    @property
    def running(self) -> bool:
        """Whether it has been started, and not been ended."""
        return self._process is not None

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def run(
        self,
        x: np.ndarray,
        sigmas: Sequence[float],
        options: Mapping[str, Any],
        answers: Answers,
        *,
        seconds: float = math.inf,
    ) -> np.ndarray:
        """One run from the states x (batch, numbers), float64; returns those at the last level.

        seconds : the longest that it may take.

        Raises
        ------
        Refusal : the program says that it cannot; it lives on.
        ProgramError : it broke the protocol or the time limit, and was killed.
        ParameterError : the command cannot be started.
        """
        deadline = time.monotonic() + seconds
        try:
            return self._run(x, sigmas, options, answers, deadline)
        except Refusal:
            raise
        except _Late:
            self.kill()
            raise ProgramError(f"does not end a run within {seconds:g} s") from None
        except BaseException:
            self.kill()
            raise

    def _run(
        self,
        x: np.ndarray,
        sigmas: Sequence[float],
        options: Mapping[str, Any],
        answers: Answers,
        deadline: float,
    ) -> np.ndarray:
        process = self._process = self._process or _Process(self.command)
        most = _SPARE + _PER_NUMBER * x.size
        message: dict[str, Any] = {
            "run": {"x": x.tolist(), "sigmas": list(sigmas), "options": dict(options)}
        }
        asked = False
        while True:
            name, value = _parse(process.exchange(_line(message), most, deadline))
            if name == "error":
                text = " ".join(str(value).split())[:300]
                raise Refusal(f"answers with an error: {text}", late=asked)
            if name == "result":
                return _array(value, x.shape, "a result")
            asked = True
            if name == "noise":
                request = NoiseRequest.parse(value)
                normals = answers.noise(request)
                message = {"noise": normals.tolist()}
            else:
                states, sigma = _denoise_request(value, x.shape)
                message = {"denoised": answers.denoised(states, sigma).tolist()}

    def finish(self, seconds: float) -> None:
        """End its input and wait for it to end; raises ProgramError if it does not, or with a status."""
        if self._process is None:
            return
        try:
            self._process.finish(time.monotonic() + seconds)
        except _Late:
            raise ProgramError(
                f"does not end within {seconds:g} s of the end of its input"
            ) from None
        finally:
            self.kill()

    def kill(self) -> None:
        """End the program and all of its process group, at once; nothing happens if it is not running."""
        if self._process is not None:
            self._process.kill()
            self._process = None


class _Ended(BaseException):
    """SIGTERM or SIGHUP came. No Exception or SystemExit: of those an audit makes findings."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """In the main thread, SIGTERM and SIGHUP raise SystemExit: what holds a program then ends it.

    A signal that is ignored, as under nohup, stays ignored; the handlers are restored afterwards.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread() and os.name == "posix":
        numbers = (signal.SIGTERM, signal.SIGHUP)
        before = {n: h for n in numbers if (h := signal.getsignal(n)) is not signal.SIG_IGN}

    def end(number: int, _: object) -> None:
        raise _Ended(number)

    for each in before:
        signal.signal(each, end)
    try:
        yield
    except _Ended as ended:
        raise SystemExit(128 + ended.number) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _Late(Exception):
    """The deadline is over."""


class _Process:
    """A running program: it is written to and read from at the same time, so that neither can lock up."""

    def __init__(self, command: Sequence[str]) -> None:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ParameterError(f"cannot start {command[0]!r}: {reason}") from None
        self._process = process
        self.kill = weakref.finalize(self, _kill, process, os.getpid())
        assert process.stdin and process.stdout and process.stderr
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        for stream in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(stream.fileno(), False)
        self._received, self._said = bytearray(), bytearray()
        self._selector = selectors.PollSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)

    def exchange(self, line: bytes, most: int, deadline: float) -> bytes:
        """Write a line and read one of `most` characters at the most, without its end."""
        if self._received:
            self._refuse_more()
        pending, searched = memoryview(line), 0
        self._selector.register(self._stdin, selectors.EVENT_WRITE)
        while True:
            end = self._received.find(b"\n", searched)
            if end >= 0:
                found = bytes(self._received[:end])
                del self._received[: end + 1]
                if pending:
                    raise ProgramError(f"answers before it has read its input: {_excerpt(found)}")
                return found
            searched = len(self._received)
            if searched > most:
                raise ProgramError(f"prints a line of more than {most} characters")
            ready = self._ready(deadline)
            if not ready and self._ended() is not None:
                self._refuse_end()  # something that it started keeps its output open
            for stream in ready:
                if stream is self._stdin:
                    pending = self._written(pending)
                elif not self._read(stream):
                    self._refuse_end()

    def finish(self, deadline: float) -> None:
        """Close its input and read until it ends."""
        if self._received:
            self._refuse_more()
        self._stdin.close()
        while (
            self._ended() is None
        ):  # its output may be closed before: then there is nothing to wait for
            for stream in self._ready(deadline):
                self._read(stream)
            if self._received:
                self._refuse_more()
        if self._ended():
            raise ProgramError(f"at the end of its input it {self._end()}")

    def _ready(self, deadline: float) -> list[Any]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _Late
        return [key.fileobj for key, _ in self._selector.select(min(left, _GLANCE))]

    def _streams(self) -> list[Any]:
        return [key.fileobj for key in self._selector.get_map().values()]

    def _written(self, pending: memoryview) -> memoryview:
        try:
            pending = pending[os.write(self._stdin.fileno(), pending) :]
        except BrokenPipeError:  # it is about to end, and says why
            self._selector.unregister(self._stdin)
            return pending
        if not pending:
            self._selector.unregister(self._stdin)
        return pending

    def _read(self, stream: Any) -> bool:
        """Take what is there; False at the end of its output."""
        data = os.read(stream.fileno(), 1 << 20)
        if not data:
            self._selector.unregister(stream)
            return stream is not self._stdout
        if stream is self._stdout:
            self._received += data
        else:
            self._said = (self._said + data)[-4096:]
        return True

    def _ended(self) -> int | None:
        """The status it ended with, or minus a signal; None if it runs.

        It is not reaped here: until then no other process can have its number.
        """
        found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def _end(self) -> str:
        """How it ended, with the last line of its standard error."""
        status = self._ended()
        if status is None:
            how = "closes its output"
        elif status < 0:
            how = f"is killed by signal {-status} ({signal.Signals(-status).name})"
        else:
            how = f"ends with status {status}"
        lines = self._said.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"{how}: {last[:300]}" if last else how

    def _refuse_end(self) -> NoReturn:
        until = time.monotonic() + _PATIENCE
        while self._ended() is None and time.monotonic() < until:
            time.sleep(0.01)
        with contextlib.suppress(BlockingIOError):
            while self._stderr in self._streams() and self._read(self._stderr):
                pass
        raise ProgramError(f"{self._end()}, in place of an answer")

    def _refuse_more(self) -> NoReturn:
        raise ProgramError(f"prints more than it is asked for: {_excerpt(bytes(self._received))}")


def _kill(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:  # a copy of this process, made by fork: not its program
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _line(message: dict[str, Any]) -> bytes:
    try:
        return json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except ValueError:
        name = next(iter(message))
        raise ProgramError(f"is to be sent a number in {name!r} that is not finite") from None


def _parse(line: bytes) -> tuple[str, Any]:
    """The name of a message and what it holds; every number becomes a float."""
    try:
        message = json.loads(line, parse_int=float, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        hint = f" ({error})" if isinstance(error, ProgramError) else ""
        raise ProgramError(f"prints what is no JSON{hint}: {_excerpt(line)}") from None
    if isinstance(message, dict) and len(message) == 1:
        [(name, value)] = message.items()
        if name in ("denoise", "noise", "result", "error"):
            return name, value
    raise ProgramError(f'prints none of "denoise", "noise", "result" and "error": {_excerpt(line)}')


def _refuse_constant(name: str) -> NoReturn:
    raise ProgramError(f"{name} is no number of JSON")


def _denoise_request(value: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, float]:
    if not isinstance(value, dict) or set(value) != {"x", "sigma"}:
        raise ProgramError(f'asks for an estimate without "x" and "sigma": {_excerpt(value)}')
    try:
        sigma = _level(value["sigma"])
    except ValueError:
        raise ProgramError(
            f"asks for an estimate at the level {_excerpt(value['sigma'])}"
        ) from None
    return _array(value["x"], shape, "states"), sigma


def _array(value: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Nested lists of numbers as float64 of that shape."""
    try:
        found = np.array(value)
    except ValueError:  # ragged
        found = np.array(None)
    if found.shape != shape or found.dtype != np.float64:
        given = found.shape if found.dtype == np.float64 else _excerpt(value)
        raise ProgramError(f"sends {what} that are no numbers of shape {shape}: {given}")
    if not np.isfinite(found).all():
        raise ProgramError(f"sends {what} with numbers that are not finite")
    return found


def _level(value: Any) -> float:
    """A finite noise level > 0; raises ValueError."""
    if not isinstance(value, float) or not 0 < value < math.inf:
        raise ValueError(value)
    return value


def _whole(value: Any, low: int, high: int) -> int:
    if not isinstance(value, float) or not low <= value <= high or value % 1:
        raise ValueError(value)
    return int(value)


def _excerpt(value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else json.dumps(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")
