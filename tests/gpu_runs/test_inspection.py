import json

import pytest
import torch
from edm_writer import SMALL, edm_pickle, small_network
from typer.testing import CliRunner

from gpu_runs import load_checkpoint
from gpu_runs.checkpoint_commands import convert_app, convert_main, inspect_app, inspect_main
from gpu_runs.checkpoints.checkpoint import file_sha256, read_checkpoint, save_checkpoint

run = CliRunner().invoke


@pytest.fixture
def small(tmp_path):
    """An EDM pickle."""
    path = tmp_path / "small.pkl"
    path.write_bytes(edm_pickle(small_network()))
    return path


def described(path):
    result = run(inspect_app, [str(path), "--json", "-"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_checkpoint_is_described(small):
    assert described(small) == {
        "file": str(small),
        "format": "EDM pickle",
        "sha256": file_sha256(small),
        "preconditioning": "EDMPrecond",
        "architecture": "SongUNet",
        "resolution": 4,
        "channels": 1,
        "classes": 2,
        "parameters": sum(p.numel() for p in small_network().parameters()),
        "stored_as": ["float32"],
        "sigma_min": 0.0,
        "sigma_max": None,
        "constants": {"sigma_data": 0.5},
        "options": SMALL.options,
        "metadata": {},
    }


def test_the_table_shows_every_fact(edm_files):
    path = edm_files / "networks" / "tiny_iddpm_adm.pkl"
    result = run(inspect_app, [str(path)], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    facts = [
        "iDDPMPrecond",
        "DhariwalUNet",
        "20291.171875",
        file_sha256(path),
        "C_2",
        "channel_mult",
        "[1, 4]",
    ]
    assert all(fact in result.stdout for fact in facts)


def test_metadata_cannot_command_the_terminal(tmp_path):
    path = tmp_path / "net.safetensors"
    save_checkpoint(small_network(), path, {"a\x1b[2J": "[red]\x1b]0;title\x07"})
    result = run(inspect_app, [str(path)], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert r"[red]\x1b]0;title\x07" in result.stdout


def test_the_table_stays_short_whatever_the_metadata(tmp_path):
    path = tmp_path / "net.safetensors"
    many = {str(i): i for i in range(5000)}
    save_checkpoint(small_network(), path, {"long": "x" * 10**6, **many, "last": 0})
    result = run(inspect_app, [str(path)], env={"COLUMNS": "1200"})
    assert result.exit_code == 0 and len(result.stdout) < 200_000
    assert "1,000,000 characters" in result.stdout and "4,902 more" in result.stdout
    assert described(path)["metadata"]["last"] == 0


def test_a_pickle_becomes_safetensors(small, tmp_path):
    target = tmp_path / "small.safetensors"
    result = run(convert_app, [str(small), str(target)])
    assert result.exit_code == 0, result.output
    state, expected = load_checkpoint(target).state_dict(), load_checkpoint(small).state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in state)
    found = described(target)
    assert found["format"] == "safetensors"
    assert found["metadata"] == {"converted_from": "small.pkl", "sha256": file_sha256(small)}
    unchanged = described(small).keys() - {"file", "format", "sha256", "metadata"}
    assert all(found[name] == described(small)[name] for name in unchanged)


@pytest.mark.parametrize(("stored", "written"), [("float16", "float32"), ("float64", "float64")])
def test_no_precision_is_lost(stored, written, tmp_path):
    source, target = tmp_path / "source.pkl", tmp_path / "target.safetensors"
    source.write_bytes(edm_pickle(small_network().to(getattr(torch, stored))))
    assert run(convert_app, [str(source), str(target)]).exit_code == 0
    dtypes = {str(tensor.dtype) for tensor in read_checkpoint(target).tensors.values()}
    assert dtypes == {f"torch.{written}"}


def test_a_file_that_is_there_is_replaced_only_by_force(small, tmp_path):
    target = tmp_path / "net.safetensors"
    save_checkpoint(small_network(), target, {"run": 1})
    result = run(convert_app, [str(small), str(target)])
    assert "is there already" in str(result.exception)
    assert read_checkpoint(target).metadata == {"run": 1}
    # Also onto itself; the metadata are kept.
    assert run(convert_app, [str(target), str(target), "--force"]).exit_code == 0
    assert read_checkpoint(target).metadata["run"] == 1


def test_help_has_examples():
    for app in (inspect_app, convert_app):
        assert "Example" in run(app, ["--help"]).stdout


@pytest.mark.parametrize(
    ("main", "arguments", "message"),
    [
        (inspect_main, ["none.pkl"], "no checkpoint file none.pkl; embedded: "),
        (inspect_main, ["."], "is a folder without model_index.json"),
        (inspect_main, ["small.pkl", "--json", "none/x.json"], "no folder none"),
        (inspect_main, ["evil.pkl"], "nothing was run"),
        (convert_main, ["small.pkl", "small.pt"], "ends in .safetensors; got small.pt"),
        (convert_main, ["small.pkl", "none/x.safetensors"], "no folder none"),
        (convert_main, ["evil.pkl", "x.safetensors"], "evil.pkl: byte"),
    ],
)
def test_bad_input_is_one_line_and_status_two(
    main, arguments, message, small, capsys, monkeypatch, tmp_path
):
    (tmp_path / "evil.pkl").write_bytes(b"\x80\x02cos\nsystem\nX\x06\x00\x00\x00touch x\x85R.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["command", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    captured = capsys.readouterr()
    assert exit_.value.code == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.pkl", "small.pkl"]
