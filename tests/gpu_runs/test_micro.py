import json

import pytest
import torch
from tiny_networks import tiny_checkpoint, tiny_network
from typer.testing import CliRunner

from gpu_runs.bench import app
from gpu_runs.benchmarks import micro
from seeds_theory.errors import ParameterError, UnknownNameError


def test_costs_are_taken_apart(monkeypatch):
    # A network call, a run without noise, one with noise, one of all.
    seconds = iter([2e-3, 4e-4, 1e-3, 0.02])
    monkeypatch.setattr(micro, "_seconds", lambda work: [work(), next(seconds)][1])
    cost = micro.measure(tiny_network(), "seeds-2", nfe=8, batch=3)
    assert (cost.method, cost.steps, cost.nfe) == ("seeds-2", 4, 7)
    assert cost.solver == pytest.approx(100) and cost.noise == pytest.approx(150)
    assert cost.network == pytest.approx(2000)
    assert cost.share == pytest.approx(1e-3 / (1e-3 + 7 * 2e-3))
    assert cost.images_per_second == pytest.approx(150)
    assert cost.peak_bytes is None


def test_the_solver_is_timed_without_the_network(monkeypatch):
    calls = []
    network = tiny_network()
    whole = type(network).forward

    def counted(self, x, *rest):
        calls.append(len(x))
        return whole(self, x, *rest)

    monkeypatch.setattr(type(network), "forward", counted)
    counts = []

    def seconds(work):
        before = len(calls)
        work()
        counts.append(len(calls) - before)
        return 1.0

    monkeypatch.setattr(micro, "_seconds", seconds)
    micro.measure(network, "edm-heun", {"eta": 1.0}, nfe=5, batch=3)
    assert counts == [1, 0, 0, 5] and set(calls) == {3}


def test_the_network_is_timed_in_the_arithmetic_of_a_run(monkeypatch):
    network = tiny_network()
    whole = type(network).forward
    seen = []

    def observed(self, *arguments):
        seen.append(torch.backends.cudnn.deterministic)
        return whole(self, *arguments)

    monkeypatch.setattr(type(network), "forward", observed)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(micro, "_seconds", lambda work: [work(), 1.0][1])
    micro.measure(network, "ddim", nfe=3, batch=1)
    assert seen == [True] * 4


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("seeds-3", {"nfe": 3}, "seeds-3: no run has 3 network calls or fewer"),
        ("seeds-1", {"batch": 0}, "a batch has one image or more, 65536 at most; got 0"),
        ("seeds-1", {"batch": 10**12}, "65536 at most; got 1000000000000"),
        ("seeds-1", {"options": {"churn": 1}}, "no option 'churn'"),
    ],
)
def test_what_cannot_be_measured_is_refused(method, options, message):
    with pytest.raises(ParameterError, match=message):
        micro.measure(tiny_network(), method, **options)


def test_the_command_measures_each_method(tmp_path, monkeypatch):
    monkeypatch.setattr(micro, "_LONG_ENOUGH", 1e-4)
    network = tiny_checkpoint(tmp_path)
    common = ["micro", "--network", network, "--nfe", "4", "--batch", "2"]
    target = tmp_path / "costs.json"
    result = CliRunner().invoke(app, [*common, "seeds-1", "ddim", "--json", str(target)])
    assert result.exit_code == 0, result.output
    costs = json.loads(target.read_text())
    assert [(cost["method"], cost["nfe"]) for cost in costs] == [("seeds-1", 4), ("ddim", 4)]
    assert all(cost["network"] > 0 and 0 < cost["share"] < 1 for cost in costs)
    assert "seeds-1" in result.output and "peak" not in result.output
    result = CliRunner().invoke(app, [*common, "seeds-9"])
    assert isinstance(result.exception, UnknownNameError)
    assert "unknown sampler 'seeds-9'" in str(result.exception)
