"""Pickles as data: what is read, and programs that try to do something else."""

import importlib
import os
import pickle
import random
import re
import struct
import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from edm_writer import (
    SMALL,
    Call,
    Keywords,
    Persisted,
    cycle,
    dump,
    edm_pickle,
    module_state,
    nested,
    network_record,
    small_network,
    unknown,
    with_model,
)

from gpu_runs import CheckpointError, load_checkpoint
from gpu_runs.checkpoints import edm_pickle as reader
from gpu_runs.checkpoints import pickle_data
from gpu_runs.checkpoints.edm_pickle import read_edm_pickle
from gpu_runs.checkpoints.pickle_data import (
    LONG_TEXT,
    OPCODE_LIMIT,
    TEXT_LIMIT,
    LongText,
    read_pickle,
)

UNKNOWN = unknown("training.loop", "State")


def read(program, names=None):
    return read_pickle(memoryview(program), names or {})[0]


def refused(data):
    """The message with which an EDM pickle is refused: one short line."""
    with pytest.raises(CheckpointError) as caught:
        read_edm_pickle(data)
    message = str(caught.value)
    assert message.isascii() and message.isprintable() and len(message) < 400
    return message


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "value",
    [
        None,
        [True, False, [], (), {}, (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        [0, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**40, -(2**80)],
        [0.0, -1.5, 1e300, float("inf")],
        ["", "text", "Ωmega\n", "x" * 300],
        {"a": {"b": [1, {"c": "a"}]}, "d": "a"},
    ],
)
def test_plain_data_are_read_like_pickle_does(protocol, value):
    assert read(pickle.dumps(value, protocol)) == value


def test_sets_are_read_as_lists_and_bytes_as_views():
    names = {("__builtin__", "set"): list}
    assert read(pickle.dumps({"a"}, 4)) == ["a"]
    assert read(pickle.dumps({"a"}, 2), names) == ["a"]
    assert read(pickle.dumps(b"bytes" * 100, 4)) == b"bytes" * 100


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_network_is_read_from_every_protocol(protocol):
    net = small_network()
    record = read_edm_pickle(edm_pickle(net, protocol))
    assert (record.class_name, record.model_class) == ("EDMPrecond", "SongUNet")
    assert record.attributes["sigma_max"] == float("inf")
    assert record.attributes["skip_scale"] == np.sqrt(0.5)
    assert record.spec().options == SMALL.options
    state = net.state_dict()
    assert list(record.tensors) == list(state)
    assert all(torch.equal(record.tensors[name], state[name]) for name in state)


def test_other_entries_are_read_and_left_out():
    loss = Persisted("EDMLoss", {"P_mean": -1.2})
    extra = {"loss_fn": loss, "augment_pipe": None, "dataset_kwargs": {"path": "x"}}
    data = dump({"ema": network_record(small_network()), **extra, "steps": torch.tensor([1, 2])})
    assert read_edm_pickle(data).class_name == "EDMPrecond"


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
)
def test_tensors_of_every_type(dtype):
    values = torch.tensor([0, 1, 1, 0]).to(dtype)
    data = with_model(lambda state: state["_buffers"].update(extra=values))
    found = read_edm_pickle(data).tensors["extra"]
    assert found.dtype == dtype and torch.equal(found, values)


def test_views_are_read_as_what_they_show():
    base = torch.arange(12.0)
    views = {"row": base[4:7], "transposed": base.clone().reshape(3, 4).T}
    data = with_model(lambda state: state["_buffers"].update(views))
    found = read_edm_pickle(data).tensors
    for name, view in views.items():
        assert torch.equal(found[name], view) and found[name].is_contiguous()


def test_absent_parts_are_left_out():
    def change(state):
        state["_buffers"].update(none=None, passing=torch.ones(1))
        state["_non_persistent_buffers_set"] = {"passing"}
        state["_modules"]["absent"] = None
        state["_parameters"] = OrderedDict()

    found = read_edm_pickle(with_model(change)).tensors
    assert found.keys() == small_network().state_dict().keys()


def others():
    """What people keep beside a network, by name; nothing of it can be imported here."""
    numbers = np.arange(3.0)
    data_set = unknown("training.dataset", "ImageFolderDataset")(
        1,
        state={
            "path": Path("x"),
            "cache": {0: numbers, (1, 2): b"raw"},
            "names": {"a.png", "b.png"},
        },
    )
    optimizer = {
        "state": {0: {"step": 3, "exp_avg": torch.ones(2, 3)}, 1: {}},
        "param_groups": [{"lr": 1e-3, "params": [0, 1]}],
    }
    return {
        "training set": data_set,
        "a list and a dict of an unknown class": [
            unknown("training.loop", "Log")(items=[1, 2, 3]),
            unknown("training.loop", "Table")(pairs={"a": 1, 2: "b"}),
        ],
        "keywords": Keywords(),
        "optimizer": optimizer,
        "augmentation": Persisted("AugmentPipe", {"p": 0.12}, {"version": 7, "note": "extra"}),
        "numbers": [numbers, numbers.astype(">f8"), np.array(["a"], object), np.float32(2)],
        "types": [
            torch.float32,
            torch.device("cpu"),
            torch.Size((1, 2)),
            complex(1, 2),
            frozenset("a"),
        ],
        "times": [datetime.now(), Fraction(1, 3), Path("a/b"), random.Random(0)],
        "weights": torch.nn.Linear(2, 2).state_dict(),  # an OrderedDict with an attribute
        "rare tensors": [torch.ones(2, dtype=torch.complex64), torch.ones(2, 2).to_sparse()],
        "huge": [2**4000, bytearray(b"x" * 10)],
        "itself": cycle(),
    }


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("name", others())
def test_unknown_objects_beside_the_network_are_left_out(name, protocol):
    net = small_network()
    if name == "keywords" and protocol < 4:
        return  # where keywords are written as a call of getattr, which is refused below
    for first in (True, False):
        entries = {"ema": network_record(net), "other": others()[name]}
        if not first:
            entries = dict(reversed(entries.items()))
        record = read_edm_pickle(dump(entries, protocol))
        state = net.state_dict()
        assert list(record.tensors) == list(state)
        assert all(torch.equal(record.tensors[key], state[key]) for key in state)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (os.system, "asks for 'posix' 'system'"),
        (eval, "asks for 'builtins' 'eval'"),
        (getattr, "asks for 'builtins' 'getattr'"),
        (subprocess.Popen, "asks for 'subprocess' 'Popen'"),
        (importlib.import_module, "asks for 'importlib' 'import_module'"),
    ],
)
def test_a_file_that_asks_for_functions_of_python_is_refused_as_a_whole(function, says, tmp_path):
    target = tmp_path / "run"
    entries = {"ema": network_record(small_network()), "other": Call(function, f"touch {target}")}
    message = refused(dump(entries))
    assert says in message and "nothing was run" in message
    assert not target.exists()


@pytest.mark.slow
def test_unknown_objects_run_nothing_and_cost_nothing(tmp_path, monkeypatch):
    """Also of a module that could be imported, and run, from the current folder."""
    (tmp_path / "importable.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w').close()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    program = b"cimportable\nmake\n)R" + b"}b" * 100_000 + b"]a" * 1000
    data = b"\x80\x02}X\x05\x00\x00\x00other" + program + b"s."
    assert "no entry 'ema'" in refused(data)
    assert not (tmp_path / "run").exists() and "importable" not in sys.modules


def test_a_network_that_is_unknown_says_so():
    assert "entry 'ema': byte" in refused(dump({"ema": UNKNOWN}))
    assert "asks for 'training.loop' 'State'" in refused(dump(UNKNOWN))


ARGUMENTS = {
    "EDMPrecond": (4, 1, 2, True, 0.0, float("inf"), 0.5, "SongUNet"),
    "VPPrecond": (4, 1, 2, True, 19.9, 0.1, 1000, 1e-5, "SongUNet"),
    "VEPrecond": (4, 1, 2, True, 0.02, 100, "SongUNet"),
    "iDDPMPrecond": (4, 1, 2, True, 0.001, 0.008, 1000, "SongUNet"),
}


def positional(count, kind="EDMPrecond", **keywords):
    """A network whose first arguments have no names, and no attributes but those that a network has."""
    net = small_network(replace(SMALL, preconditioning=kind, constants={}))
    keywords = {"model_type": "SongUNet", **SMALL.options, **keywords}
    for name in ("img_resolution", "img_channels", "label_dim")[count:]:
        keywords[name] = {"img_resolution": 4, "img_channels": 1, "label_dim": 2}[name]
    if count >= len(ARGUMENTS[kind]):
        keywords.pop("model_type")
    record = network_record(net, _init_kwargs=keywords)
    record.record["state"]["_init_args"] = ARGUMENTS[kind][:count]
    return net, dump({"ema": record})


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_arguments_without_names_have_those_of_their_places(kind, tmp_path):
    for count in range(len(ARGUMENTS[kind]) + 1):
        net, data = positional(count, kind)
        path = tmp_path / "net.pkl"
        path.write_bytes(data)
        found = load_checkpoint(path)
        assert (found.resolution, found.channels, found.label_dim) == (4, 1, 2)
        assert found.spec.options == SMALL.options
        state = net.state_dict()
        assert all(torch.equal(found.state_dict()[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5,), "img_resolution is 5 in the options, 4 in the network"),
        ((4, 3), "img_channels is 3 in the options, 1 in the network"),
        ((4, 1, 2, False, 0, 80, 0.5, "DhariwalUNet"), "model_type is 'DhariwalUNet' in the opt"),
        (ARGUMENTS["EDMPrecond"] + (1,), "takes 8 arguments without names; this one got 9"),
        ((nested("x", 60),), "img_resolution is a tuple in the options"),
    ],
)
def test_arguments_without_names_are_those_of_the_network(arguments, message):
    record = network_record(small_network(), _init_kwargs=dict(SMALL.options))
    record.record["state"]["_init_args"] = arguments
    with pytest.raises(CheckpointError, match=re.escape(message)):
        read_edm_pickle(dump({"ema": record})).spec()


def test_no_argument_is_given_twice():
    _, data = positional(1, img_resolution=4)
    with pytest.raises(CheckpointError, match="EDMPrecond got its img_resolution twice"):
        read_edm_pickle(data).spec()


def test_names_are_neither_imported_nor_called(edm_files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in sorted((edm_files / "broken").glob("mal_*.pkl")):
        assert "nothing was run" in refused(file.read_bytes())
    assert not list(tmp_path.iterdir())


PROGRAMS = {
    "": "ends in the middle",
    "\x80\x04": "ends in the middle",
    "\x80\x09N.": "protocols are 2 to 5; got 9",
    "\x80\x04N.": "no entry 'ema'",
    "\x80\x04}.": "no entry 'ema'",
    "\x80\x04N.N": "byte 4: the pickle ends here",
    "\x80\x04\x8c\x03emaN\x73.": "lacks its operand",
    "\x80\x04R.": "lacks its operand",
    "\x80\x04)N\x52.": "calls something that is no constructor",
    "\x80\x04N)\x52.": "calls something that is no constructor",
    "\x80\x04N)\x81.": "calls something that is no constructor",
    "\x80\x04NN\x62.": "gives a state to something that has none",
    "\x80\x04t.": "lacks its mark",
    "\x80\x04(NN\x75.": "lacks its operand",
    "\x80\x04}(N\x75.": "something that is not a dict",
    "\x80\x04)N\x61.": "adds to something that is not a list",
    "\x80\x04h\x07.": "nothing was put at 7",
    "\x80\x04j\xff\xff\xff\xff.": "nothing was put at 4294967295",
    "\x80\x04\x94.": "lacks its operand",
    "\x80\x04NQ.": "outside the file",
    "\x80\x04Pid\n.": "opcode b'P' is none",
    "\x80\x04\x82\x01.": "opcode b'\\\\x82' is none",
    "\x80\x04I1\n.": "opcode b'I' is none",
    "\x80\x04\x8b\xff\xff\xff\xffN.": "ends in the middle",
    "\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.": "ends in the middle",
    "\x80\x05\x97.": "opcode b'\\\\x97' is none",
    "\x80\x04N2.": "opcode b'2' is none",
    "\x80\x04\x91.": "lacks its mark",
    "\x80\x04\x30.": "lacks its operand",
    "\x80\x04\x31.": "lacks its mark",
    "\x80\x04N)}\x92.": "calls a constructor with keywords",
    "\x80\x04KK\x93.": "lacks its operand",
    "\x80\x04K\x01K\x01\x93.": "a name that is not text",
    "\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff.": "ends in the middle",
    "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.": "ends in the middle",
    "\x80\x04B\xff\xff\xff\xff.": "ends in the middle",
    "\x80\x04\x8c\x02\xff\xfe.": "UnicodeDecodeError",
    "\x80\x02c" + "a" * 300 + "\nb\n.": "more than 255 bytes",
    "\x80\x02cos\nsystem\n.": "asks for 'os' 'system', which no network needs; nothing was run",
    "\x80\x02cos\nsys\rtem\n.": r"'sys\\rtem'",
    "\x80\x02ctorch.storage\n_load_from_bytes.x\n.": "_load_from_bytes.x",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_that_are_none(program):
    assert re.search(PROGRAMS[program], refused(program.encode("latin1")))


def test_a_huge_index_of_the_memo_takes_no_memory():
    program = b"\x80\x04]r\xff\xff\xff\xffj\xff\xff\xff\xff."
    assert read(program) == []


def test_frames_are_not_believed():
    assert read(b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN.") is None


def test_the_number_of_opcodes_is_bounded():
    assert "more than" in refused(b"\x80\x04" + b"}" * (OPCODE_LIMIT * 102 // 100))


def test_the_amount_of_text_is_bounded():
    text = b"X" + struct.pack("<I", LONG_TEXT) + b"x" * LONG_TEXT
    count = TEXT_LIMIT // LONG_TEXT
    assert f"more than {TEXT_LIMIT} bytes of text" in refused(b"\x80\x04" + text * (count + 1))


def test_long_texts_stay_where_they_are():
    assert read(pickle.dumps("x" * LONG_TEXT, 4)) == "x" * LONG_TEXT
    assert isinstance(read(pickle.dumps("x" * (LONG_TEXT + 1), 4)), LongText)


def test_nested_references_are_not_unfolded():
    laughs = b"\x80\x04]" + b"".join(b"q%c](%s\x65" % (i, b"h%c" % i * 9) for i in range(60))
    assert "no entry 'ema'" in refused(laughs + b".")


def test_cycles_end():
    assert "no entry 'ema'" in refused(b"\x80\x04]q\x00h\x00\x61.")

    def change(state):
        state["_modules"]["again"] = state["_modules"]["model"]

    assert "'again.' has its _parameters in common" in refused(with_model(change))


def test_modules_lie_at_a_limited_depth():
    def deep(state):
        for _ in range(12):
            inner = module_state()
            state["_modules"]["inner"] = Persisted("Deep", inner)
            state = inner

    assert "deeper" in refused(with_model(deep))


@pytest.mark.parametrize("part", ["_parameters", "_buffers", "_modules"])
def test_no_entries_are_those_of_two_modules(part):
    def change(state):
        common = {"none": None}
        for name in "ab":
            state["_modules"][name] = Persisted("Twin", module_state(**{part: common}))

    assert f"'b.' has its {part} in common with another" in refused(with_model(change))


@pytest.mark.parametrize("name", ["", "a.b", "x" * 257])
@pytest.mark.parametrize("part", ["_parameters", "_buffers", "_modules"])
def test_names_are_those_of_a_state_dict(part, name):
    value = Persisted("Inner", module_state()) if part == "_modules" else torch.ones(1)
    message = refused(with_model(lambda state: state[part].update({name: value})))
    assert "names have no dots, and with those of the modules around them 1 to 256" in message


def test_names_are_short_with_those_of_the_modules_around_them():
    def change(length):
        inner = module_state(_buffers={"b" * length: torch.ones(1)})
        return lambda state: state["_modules"].update({"a" * 200: Persisted("Inner", inner)})

    found = read_edm_pickle(with_model(change(55))).tensors
    assert "a" * 200 + "." + "b" * 55 in found
    assert "1 to 256 characters" in refused(with_model(change(56)))


def test_the_number_of_tensors_is_bounded(monkeypatch):
    tensors = {str(i): torch.ones(1) for i in range(20)}
    data = with_model(lambda state: state["_buffers"].update(tensors))
    count = 20 + len(small_network().state_dict())
    monkeypatch.setattr(reader, "_STORAGE_BYTES", len(data) + 1)
    monkeypatch.setattr(reader, "_STORAGE_LIMIT", count)
    assert len(read_edm_pickle(data).tensors) == count
    monkeypatch.setattr(reader, "_STORAGE_LIMIT", count - 1)
    assert f"more than {count - 1} tensors" in refused(data)
    # A large file may have more, as one with a training state.
    monkeypatch.setattr(reader, "_STORAGE_BYTES", len(data))
    assert len(read_edm_pickle(data).tensors) == count


def test_a_large_file_may_have_more_opcodes(monkeypatch):
    data = edm_pickle(small_network())
    monkeypatch.setattr(pickle_data, "OPCODE_LIMIT", 1000)
    assert "more than" in refused(data) and "--network file.py:function" in refused(data)
    monkeypatch.setattr(pickle_data, "OPCODE_BYTES", 2)
    assert read_edm_pickle(data).class_name == "EDMPrecond"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "module"}, "type 'class' and version 6; got 'module'"),
        ({"version": 7}, "got 'class' and 7"),
        ({"class_name": 3}, "lacks its class name"),
        ({"state": []}, "lacks its class name or its state"),
        ({"extra": 1}, "this one has not"),
    ],
)
def test_stored_objects_are_checked(changes, message):
    assert message in refused(dump({"ema": Persisted("EDMPrecond", {}, changes)}))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("_modules", {}, "holds no network 'model'"),
        ("_modules", [], "lacks its _modules"),
        ("_modules", {"model": 3}, "holds no network 'model'"),
        ("_init_kwargs", None, "does not say with which options it was built"),
        ("_init_args", [1], "does not say with which options it was built"),
        (
            "_init_args",
            (UNKNOWN,),
            "option 'without a name': byte [0-9]+: asks for 'training.loop'",
        ),
        ("_init_kwargs", {3: 1}, "option '': byte [0-9]+: a key that is not a short string"),
        ("_init_kwargs", {"x" * 1025: 1}, "a key that is not a short string"),
        ("_init_kwargs", {(1, "x"): 1}, "a key that is not a short string"),
        (
            "_forward_hooks",
            {3: UNKNOWN},
            "'_forward_hooks': byte [0-9]+: a key that is not a short",
        ),
        ("scale", UNKNOWN, "'scale': byte [0-9]+: asks for 'training.loop' 'State'"),
        ("_modules", {"model": UNKNOWN}, "holds no network 'model'"),
        ("_buffers", {"u": UNKNOWN}, "'u': byte [0-9]+: asks for 'training.loop' 'State'"),
        ("_buffers", {7: torch.ones(1)}, "a key that is not a short string"),
        ("_buffers", {"u": 3}, "'u' has to be a tensor"),
        ("_parameters", None, "lacks its _parameters"),
        ("_non_persistent_buffers_set", set(map(str, range(20))), "_non_persistent_buffers_set"),
        ("_non_persistent_buffers_set", 3, "_non_persistent_buffers_set"),
    ],
)
def test_attributes_of_modules_are_checked(name, value, message):
    assert re.search(message, refused(with_model(lambda state: state.update({name: value}))))


def test_a_module_may_hold_modules_only():
    def change(state):
        state["_modules"]["model"].record["state"]["_modules"]["enc"] = "text"

    assert "'model.enc' has to be a module" in refused(with_model(change))


def test_modules_get_their_attributes_once():
    container = b"\x80\x04\x8c\x1atorch.nn.modules.container\x8c\x0aModuleDict\x93)\x81"
    twice = b"\x80\x04}\x8c\x03ema" + container[2:] + b"}\x62}\x62s."
    assert "gets its attributes twice" in refused(twice)
    assert "'ema' has to be a network" not in refused(
        b"\x80\x04}\x8c\x03ema" + container[2:] + b"s."
    )


TENSOR = torch._utils._rebuild_tensor_v2
SCALAR = np.float64(1).__reduce__()[0]

ONE_TWO = struct.pack("<2f", 1, 2)


def storage(kind="FloatStorage", count=2, raw=ONE_TWO, **changes):
    """A storage as bytes, and as what pickles to it."""
    facts = changes.get("facts", {"protocol_version": 1001, "little_endian": True})
    identity = (
        b"(X\x07\x00\x00\x00storagectorch\n"
        + kind.encode()
        + b"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    )
    return b"".join(
        [
            pickle.dumps(changes.get("magic", 0x1950A86A20F9469CFC6C), 2),
            pickle.dumps(1001, 2),
            pickle.dumps(facts, 2),
            b"\x80\x02" + identity + changes.get("count", pickle.dumps(count, 2)[2:-1]) + b"NtQ.",
            pickle.dumps(["0"], 2),
            struct.pack("<q", changes.get("said", count)),
            raw,
        ]
    )


def stored(size=(2,), stride=(1,), offset=0, data=None):
    numbers = Call(torch.storage._load_from_bytes, storage() if data is None else data)
    return Call(TENSOR, numbers, offset, size, stride, False, OrderedDict())


def with_tensor(tensor):
    return with_model(lambda state: state["_buffers"].update(extra=tensor))


def test_the_storage_of_the_tests_is_read():
    assert read_edm_pickle(with_tensor(stored())).tensors["extra"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (3,)}, "larger than its storage of 2"),
        ({"offset": 1}, "larger than its storage"),
        ({"size": (2, 2), "stride": (0, 1)}, "larger than its storage"),
        ({"size": (10**9,), "stride": (0,)}, "larger than its storage"),
        ({"size": (10**15,), "stride": (0,)}, "not natural numbers"),
        ({"size": (-1,)}, "not natural numbers"),
        ({"stride": (-1,)}, "not natural numbers"),
        ({"offset": -1}, "not natural numbers"),
        ({"offset": True}, "not natural numbers"),
        ({"size": [2]}, "not natural numbers"),
        ({"size": (1,) * 9, "stride": (1,) * 9}, "not natural numbers"),
        ({"size": (0,)}, "without elements"),
        ({"size": (1, 1)}, "strides do not fit"),
        ({"data": "text"}, "not bytes"),
        ({"data": storage(raw=b"")}, "a storage of 2 numbers that holds 0 bytes"),
        ({"data": storage(raw=b"x" * 9)}, "holds 9 bytes"),
        ({"data": storage(said=3)}, "a storage of 2 numbers"),
        ({"data": storage(count=10**12)}, "holds 8 bytes"),
        ({"data": storage(count=-1)}, "without its type"),
        ({"data": storage(count=2.0, said=2)}, "without its type"),
        ({"data": storage("QInt8Storage")}, "asks for 'torch' 'QInt8Storage'"),
        ({"data": storage(magic=1)}, "a format that is not torch's"),
        ({"data": storage(facts={"little_endian": False})}, "not little-endian"),
        ({"data": storage()[:20]}, r"byte \d+: byte 20: the file ends in the middle"),
        ({"data": pickle.dumps(None, 2) * 5}, "a format that is not torch's"),
        ({"data": b"\x80\x02" + b"}" * 100}, "more than 40 opcodes"),
    ],
)
def test_tensors_lie_within_their_storage(arguments, message):
    assert re.search(message, refused(with_tensor(stored(**arguments))))


def test_no_storage_is_in_two_tensors():
    numbers = Call(torch.storage._load_from_bytes, storage())
    twice = {name: Call(TENSOR, numbers, 0, (2,), (1,), False, OrderedDict()) for name in "ab"}
    data = with_model(lambda state: state["_buffers"].update(twice))
    assert "'b': its storage is that of another tensor" in refused(data)


def test_the_same_bytes_are_not_decoded_over_and_over():
    data = storage(count=1000, raw=bytes(4000))
    many = {str(i): stored(data=data) for i in range(100)}  # one string of bytes in the file
    message = refused(with_model(lambda state: state["_buffers"].update(many)))
    assert "the same bytes over and over" in message


@pytest.mark.parametrize(
    ("scalar", "message"),
    [
        (np.datetime64("2020-01-01"), "numpy type 'M8' is no number"),
        # numpy itself writes its numbers in the order of the machine.
        (Call(SCALAR, np.dtype(">f8"), struct.pack(">d", 1)), "not of little-endian numbers"),
        (Call(SCALAR, np.dtype("<f8"), bytes(7)), "requires a buffer of 8 bytes"),
        (Call(np.dtype, ["f8"], False, True), "numpy type a list is no number"),
        (Call(np.dtype, nested("f8", 100), False, True), "numpy type a tuple is no number"),
        (np.complex128(1), "numpy type 'c16'"),
        (np.str_("text"), "numpy type 'U4'"),
    ],
)
def test_what_is_no_numpy_number(scalar, message):
    assert message in refused(with_model(lambda state: state.update(scale=scalar)))
    record = dump({"value": scalar, "ema": network_record(small_network())})
    assert read_edm_pickle(record).class_name == "EDMPrecond"


@pytest.mark.parametrize(
    "kind", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"]
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_numbers_have_their_values(kind, protocol):
    number = np.array(1).astype(kind)[()]
    value = read_edm_pickle(edm_pickle(small_network(), protocol, number=number)).attributes[
        "number"
    ]
    assert value == 1 and type(value) is type(number.item())


def test_values_in_messages_are_short():
    assert len(refused(dump({"ema": "x" * 10**5}))) < 150
    assert "a huge integer" in refused(dump({"ema": 2**900}))
    assert "it is a tuple" in refused(dump({"ema": nested((), 50)}))


def test_names_of_tensors_in_messages_are_one_line():
    def change(state):
        state["_buffers"]["a\nb\x1b[2J"] = 3

    assert r"'a\nb\x1b[2J'" in refused(with_model(change))
