"""Loads mutations of good checkpoints, in a process that notes whatever else happens.

    python fuzz_worker.py FOLDER SEED COUNT...

FOLDER holds good files, `net*` to be loaded and `part*` to be read only, with flags behind an `@`; there is a
COUNT of mutations for each, in the order of their names. It may also hold files `bomb*`, which are loaded as
they are. Prints one JSON object: how many were accepted and refused, and `problems`: anything but success or
an error of the project's of one short line.

No file may take more than `SECONDS`. That is time of the processor, not of the clock, so that other
processes on the machine make no difference. Beyond it the process ends by a signal, also in the middle of
C code, and says where it was.
"""

import faulthandler
import json
import os
import pickletools
import random
import resource
import signal
import struct
import sys
from pathlib import Path

import torch

from gpu_runs import load_checkpoint
from gpu_runs.checkpoints.checkpoint import read_checkpoint
from seeds_theory.errors import SeedsError

OPCODES = [ord(opcode.code) for opcode in pickletools.opcodes]
HUGE = [struct.pack("<Q", 2**64 - 1), struct.pack("<Q", 2**40), struct.pack("<I", 2**32 - 1)]
ALLOWED = {"open", "os.listdir", "os.scandir", "object.__getattr__", "sys._getframe", "glob.glob"}
ALLOWED |= {"array.__new__", "builtins.id", "marshal.loads"}
SECONDS = 5.0


class Watch:
    """An audit hook: records what the interpreter reports while a file is loaded."""

    def __init__(self):
        self.path, self.events = None, []
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if self.path is None:
            return
        if event == "open":
            name, _, flags = arguments
            ours = name == self.path or isinstance(name, int)  # by path, then by descriptor
            if not ours or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.events.append(f"open {arguments}")
        elif event not in ALLOWED:
            self.events.append(f"{event} {arguments}"[:200])


def positions(data):
    """Where opcodes are: all in the file itself and none in the storages, which are bytes to it.

    Of an archive, those of its pickle and the list of its entries; of safetensors, the header.
    """
    if data[8:9] == b"{":
        return list(range(8, data.find(b"}}}")))
    start = data.index(b"\x80\x02") if data[:2] == b"PK" else 0
    found = [start + position for _, _, position in pickletools.genops(data[start:])]
    if data[:2] == b"PK":
        found += range(data.index(b"PK\x01\x02"), len(data))
    return found


def mutate(data, opcodes, draw):
    """A copy with one to three faults of one kind."""
    data = bytearray(data)
    kind = draw.randrange(7)
    for _ in range(draw.choice((1, 1, 2, 3))):
        # Half of the faults are where the structure is: raw numbers are most of a file.
        at = draw.choice(opcodes) if opcodes and draw.random() < 0.5 else draw.randrange(len(data))
        other, length = draw.randrange(len(data)), draw.randrange(1, 40)
        if at >= len(data):
            continue
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 2:
            data[at] = draw.choice(OPCODES)
        elif kind == 3:
            data[at:at] = data[other : other + length]
        elif kind == 4:
            del data[at : at + length]
        elif kind == 5:
            number = draw.choice(HUGE)
            data[at + 1 : at + 1 + len(number)] = number
        else:
            del data[at:]
            break
        if not data:
            break
    return bytes(data)


def loader(path):
    return load_checkpoint if path.name.startswith("net") else read_checkpoint


def flags_of(name):
    """What follows the name of a mutation's origin: its flags and an @ before them, or nothing."""
    return "".join(name.split(" ")[0].partition("@")[1:])


def observed(load, path, name, watch, outcome):
    """Load a file, with the flags of that name, and count or note what comes of it."""
    watch.path = str(path)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        load(str(path) + flags_of(name))
        outcome["accepted"] += 1
    except SeedsError as error:
        outcome["refused"] += 1
        if not str(error).isprintable() or len(str(error)) > 1000:
            watch.events.append(f"message {error!r}")
    except BaseException as error:
        watch.events.append(f"{type(error).__name__}: {error}")
    signal.setitimer(signal.ITIMER_PROF, 0)
    watch.path = None
    outcome["problems"] += [f"{name}: {event}" for event in watch.events]
    watch.events.clear()


def main(folder, seed, counts):
    draw, watch = random.Random(seed), Watch()
    # No handler in Python: it would wait for the C code that hangs.
    faulthandler.register(signal.SIGPROF, chain=True)
    goods = sorted(path for path in Path(folder).iterdir() if path.name[:3] in ("net", "par"))
    target = Path(folder) / "mutated"
    for good in goods:
        loader(good)(str(good) + flags_of(good.name))  # what the libraries import on first use
    outcome = {"accepted": 0, "refused": 0, "problems": []}
    # A gigabyte beyond what the libraries took: no file may ask for more.
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for good, count in zip(goods, counts, strict=True):
        data = good.read_bytes()
        opcodes = positions(data)
        for number in range(count):
            target.write_bytes(mutate(data, opcodes, draw))
            observed(loader(good), target, f"{good.name} {number}", watch, outcome)
    for bomb in sorted(Path(folder).glob("bomb*")):
        observed(load_checkpoint, bomb, bomb.name, watch, outcome)
    print(json.dumps(outcome))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], int(sys.argv[2]), [int(count) for count in sys.argv[3:]])
