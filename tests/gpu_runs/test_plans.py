import os
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from tiny_networks import tiny_network

from gpu_runs import bench
from gpu_runs.benchmarks.plans import _OWN, Plan, PlanError, parse_plan, read_plan
from gpu_runs.benchmarks.presets import find_plan, presets
from gpu_runs.generation.sampler import noise_levels
from seeds_theory.errors import ParameterError, SeedsError, UnknownNameError
from seeds_theory.solver import SOLVERS, Solver

METHOD = {"method": "seeds-2", "steps": [3]}


def plan_of(*methods, **record):
    return parse_plan({"methods": list(methods), **record})


def test_each_combination_of_options_is_a_curve_with_a_name():
    plan = plan_of(
        {"method": "seeds-2", "eta": [0.5, 1.0], "prediction": "noise", "steps": [3]},
        {"method": "edm-heun", "label": "EDM", "churn": [0, 30.0], "s_noise": 1.007, "nfe": [9]},
        {"method": "ddim"},
        steps=[4, 5, 4],
    )
    assert [(curve.label, curve.options, curve.steps, curve.nfe) for curve in plan.curves] == [
        ("seeds-2, eta 0.5, prediction noise", {"eta": 0.5, "prediction": "noise"}, (3,), ()),
        ("seeds-2, eta 1, prediction noise", {"eta": 1.0, "prediction": "noise"}, (3,), ()),
        ("EDM, churn 0", {"churn": 0, "s_noise": 1.007}, (), (9,)),
        ("EDM, churn 30", {"churn": 30.0, "s_noise": 1.007}, (), (9,)),
        ("ddim", {}, (4, 5), ()),
    ]


def test_cells_come_block_by_block_in_the_order_of_the_plans_numbers():
    plan = plan_of(
        {"method": "seeds-2", "nfe": [10, 5]},
        {"method": "seeds-1", "steps": [9, 5]},
        fine=[{"method": "seeds-3", "steps": [9]}],
        blocks=2,
        images=7,
        first_seed=100,
    )
    cells, remarks = plan.cells(tiny_network())
    assert remarks == []
    block = [
        ("seeds-2", 5, 9),
        ("seeds-1", 9, 9),
        ("seeds-3", 9, 25),
        ("seeds-2", 3, 5),
        ("seeds-1", 5, 5),
    ]
    expected = [(*cell, block_number) for block_number in (0, 1) for cell in block]
    assert [(c.curve.method, c.steps, c.nfe, c.block) for c in cells] == expected
    assert plan.seeds(0) == range(100, 107) and plan.seeds(1) == range(107, 114)


def test_levels_above_the_usual_first_one_are_remarked_on():
    plan = plan_of({"method": "seeds-2", "nfe": [10, 5]}, {"method": "seeds-1", "steps": [5]})
    network = tiny_network()
    network.sigma_max = 150.0
    (remark,) = plan.cells(network)[1]
    assert "start at 80, as EDM's; the network knows some up to 150, which a larger sigma" in remark
    for sigma_max in (150.0, 60.0):
        assert replace(plan, sigma_max=sigma_max).cells(network)[1] == []


@pytest.mark.parametrize("method", SOLVERS)
def test_an_nfe_stands_for_the_most_steps_that_it_allows(method):
    plan = plan_of({"method": method, "nfe": [12]}, grid="rho=5", sigma_max=50.0)
    network = tiny_network()
    ((cell,), _) = plan.cells(network)

    def nfe(steps):
        return Solver(method).nfe(noise_levels(network, plan.settings(cell.curve, steps)))

    assert cell.nfe == nfe(cell.steps) <= 12 < nfe(cell.steps + 1)


def test_what_is_not_as_asked_for_is_remarked_on_once():
    network = tiny_network("VEPrecond", sigma_min=0.02, sigma_max=100.0)
    plan = plan_of({"method": "seeds-3", "nfe": [3, 10, 20]}, {"method": "ddim", "nfe": [3]})
    cells, remarks = plan.cells(network)
    assert [(cell.curve.method, cell.nfe) for cell in cells] == [
        ("ddim", 3),
        ("seeds-3", 10),
        ("seeds-3", 19),
    ]
    assert remarks == [
        "seeds-3: no run has 3 network calls or fewer",
        "the noise levels 80 to 0.002 are clipped to those of the network, 80 to 0.02",
        "noise levels start at 80, as EDM's; the network knows some up to 100, which a larger "
        "sigma_max takes in",
    ]
    with pytest.raises(
        PlanError, match="the plan has no cell: seeds-3: no run has 3 network calls"
    ):
        plan_of({"method": "seeds-3", "nfe": [3]}).cells(network)


def test_the_help_names_all_keys_of_a_plan():
    words = set(re.findall(r"\w+", bench.run.__doc__ or ""))
    assert words >= ({field.name for field in fields(Plan)} - {"curves"}) | {"methods", *_OWN}


@pytest.mark.parametrize(
    ("record", "kind", "message"),
    [
        (
            {"stesp": [3]},
            PlanError,
            "unknown key 'stesp'; known: methods, fine, steps, nfe, network",
        ),
        ({"methods": []}, PlanError, "methods is a list that is not empty; got []"),
        ({"methods": METHOD}, PlanError, "methods is a list that is not empty"),
        ({"methods": ["seeds-1"]}, PlanError, "methods is a table; got 'seeds-1'"),
        ({"methods": [{"steps": [3]}]}, PlanError, "method 1 has no key 'method'"),
        ({"methods": [METHOD | {"method": "seeds-9"}]}, UnknownNameError, "known: seeds-1, "),
        ({"methods": [METHOD | {"method": 3}]}, PlanError, "method 1: method is text; got 3"),
        ({"methods": [METHOD | {"eat": 1.0}]}, ParameterError, "no option 'eat'; known: eta"),
        ({"methods": [METHOD | {"eta": []}]}, PlanError, "eta is a list that is not empty"),
        ({"methods": [METHOD | {"eta": float("nan")}]}, PlanError, "eta is a finite number"),
        ({"methods": [METHOD | {"eta": {}}]}, PlanError, "eta is a finite number; got {}"),
        ({"methods": [METHOD | {"eta": -1.0}]}, ParameterError, "eta"),
        ({"methods": [METHOD | {"steps": []}]}, PlanError, "steps is a list that is not empty"),
        ({"methods": [METHOD | {"steps": [1]}]}, PlanError, "steps are 2 or more; got 1"),
        ({"methods": [METHOD | {"steps": [2.5]}]}, PlanError, "a whole number; got 2.5"),
        ({"methods": [METHOD | {"steps": [True]}]}, PlanError, "a whole number; got True"),
        ({"methods": [METHOD | {"nfe": [9]}]}, PlanError, "states either steps or nfe"),
        ({"methods": [{"method": "ddim"}]}, PlanError, "1, ddim, states either steps or nfe"),
        ({"methods": [METHOD, METHOD]}, PlanError, "the plan: two methods are called 'seeds-2'"),
        (
            {"methods": [METHOD, METHOD]},
            PlanError,
            'a label of its own, as label = "seeds-2, again',
        ),
        ({"methods": [METHOD | {"s": 1}]}, ParameterError, "the plan: method 1: "),
        ({"methods": [METHOD | {"label": "a\nb"}]}, PlanError, "a label is one line of text"),
        ({"images": 3}, PlanError, "images is 4 or more; got 3"),
        ({"batch": 0}, PlanError, "batch is 1 or more; got 0"),
        ({"compile": 1}, PlanError, "compile is true or false; got 1"),
        ({"fine": []}, PlanError, "fine is a list that is not empty"),
        ({"fine": [{"steps": [9]}]}, PlanError, "fine 1 has no key 'method'"),
        ({"fine": [METHOD | {"steps": [9, 8]}]}, PlanError, "has one number of steps, and an eta"),
        (
            {"fine": [METHOD, METHOD | {"label": "b"}]},
            PlanError,
            "one fine solution to an eta; got two",
        ),
        (
            {"fine": [{"method": "edm-heun", "churn": 9.0, "steps": [9]}]},
            PlanError,
            "has one number of steps, and an eta",
        ),
        ({"images": 10**12}, PlanError, "a plan has at most 10000000 images; got blocks = 1 of"),
        ({"blocks": 10**12}, PlanError, "a plan has at most 10000000 images"),
        ({"images": "many"}, PlanError, "images is a whole number; got 'many'"),
        ({"blocks": 0}, PlanError, "blocks is 1 or more; got 0"),
        ({"first_seed": 2**64 - 5}, PlanError, "seeds lie in [0, 2**64)"),
        ({"sigma_max": float("inf")}, PlanError, "sigma_max is a finite number; got inf"),
        ({"sigma_max": 10**400}, PlanError, "sigma_max is a finite number; got 1000"),
        ({"methods": [METHOD | {"eta": 10**400}]}, PlanError, "eta is a finite number; got 1000"),
        ({"methods": [METHOD | {"eta": True}]}, ParameterError, "number >= 0; got True"),
        ({"network": 5}, PlanError, "network is text; got 5"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_in_one_line(record, kind, message):
    with pytest.raises(kind, match=re.escape(message)) as caught:
        parse_plan({"methods": [METHOD], **record})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["methods = [", "a = 1\na = 2", b"\xff", None])
def test_a_plan_is_toml(tmp_path, text):
    path = tmp_path / "plan.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PlanError, match=re.escape(str(path))):
        read_plan(path)


def test_a_pipe_is_no_plan_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "plan.toml")
    with pytest.raises(PlanError, match="it is no regular file"):
        read_plan(tmp_path / "plan.toml")


def test_presets_repeat_the_published_runs():
    known = dict(presets())
    assert {name: preset.seeds for name, preset in known.items() if preset.seeds} == {
        "edm-cifar10-32x32-cond-vp": 2.24,
        "celeba-64x64-uncond-vp": 1.93,
    }
    (curve,) = known.pop("celeba-64x64-uncond-vp").published.curves
    assert (curve.method, curve.published) == ("seeds-3", None)
    assert len(known) == 18 + 4
    for preset in known.values():
        (curve,), plan = preset.published.curves, preset.published
        assert plan.images == preset.ours.images == 50000 and plan.blocks == 3
        assert plan.network == preset.ours.network == f"{preset.name}.pkl"
        assert plan.features == preset.ours.features == "inception"
        calls = {"imagenet": 511, "cifar10": 35, "64x64": 79, "edm2": 63}
        nfe = next(number for data, number in calls.items() if data in preset.name)
        assert 2 * curve.steps[0] - 1 == nfe and curve.method == "edm-heun"
        assert ("churn" in curve.options) == ("imagenet" in preset.name)
        assert 1 < curve.published < 30
        methods = {curve.method for curve in preset.ours.curves}
        assert {"seeds-1", "seeds-2", "seeds-3", "edm-heun", "ddim"} <= methods
    from_the_source = [
        name for name, preset in known.items() if not preset.published.curves[0].recalled
    ]
    assert from_the_source == [
        "edm-cifar10-32x32-cond-vp",
        "edm-cifar10-32x32-uncond-vp",
        "edm-imagenet-64x64-cond-adm",
        "baseline-imagenet-64x64-cond-adm",
    ]
    churned = known["baseline-cifar10-32x32-uncond-ve"].ours.curves[-1]
    assert churned.options == {"churn": 80.0, "s_min": 0.05, "s_max": 1.0, "s_noise": 1.007}


def test_a_plan_is_found_by_preset_or_file():
    name = "edm-cifar10-32x32-uncond-vp"
    assert find_plan(name) == presets()[name].published
    assert find_plan(name, ours=True) == presets()[name].ours
    for wrong, options in (("edm-cifar", {}), ("plan.toml", {"ours": True})):
        with pytest.raises(UnknownNameError, match=f"unknown preset '{wrong}'; known: edm-cifar10"):
            find_plan(wrong, **options)
    with pytest.raises(SeedsError, match=r"cannot read the plan none\.toml: No such file"):
        find_plan("none.toml")


def test_curves_are_compared_with_the_fine_solution_of_their_eta():
    plan = plan_of(
        {"method": "seeds-2", "eta": [0.0, 0.5, 1.0], "steps": [3]},
        {"method": "ddim", "steps": [3]},
        {"method": "edm-heun", "churn": 9.0, "steps": [3]},
        {"method": "seeds-2", "eta": ["1:0.3-5", "1,1,0"], "steps": [3]},
        {"method": "seeds-2", "label": "text", "eta": "1", "steps": [3]},
        fine=[{"method": "seeds-3", "eta": [0.0, 1.0], "steps": [9]}],
    )
    found = [fine and fine.label for fine in map(plan.fine_of, plan.curves)]
    assert found == [
        "seeds-3, fine, eta 0",
        None,
        "seeds-3, fine, eta 1",
        "seeds-3, fine, eta 0",
        None,
        None,
        None,
        "seeds-3, fine, eta 1",
    ]
    with pytest.raises(PlanError, match="has one number of steps, and an eta"):
        plan_of(
            {"method": "ddim", "steps": [3]},
            fine=[{"method": "seeds-3", "eta": "1:0.3-5", "steps": [9]}],
        )


def test_the_plan_of_the_book_has_what_matters_first():
    plan = read_plan(Path(__file__).parents[2] / "book" / "fashion_mnist.toml")
    cells, remarks = plan.cells(tiny_network(channels=1, label_dim=10))
    assert remarks == [] and all(plan.fine_of(curve) for curve in plan.curves)
    first = cells[: len(plan.curves) + len(plan.fine)]
    assert {cell.block for cell in first} == {0}
    assert all(9 <= cell.nfe <= 10 for cell in first[: -len(plan.fine)])
    assert [cell.nfe for cell in first[-len(plan.fine) :]] == [60, 40]
    everywhere = {"SEEDS-3", "SEEDS-2M", "SDE-DPM-Solver++(2M)", "DPM-Solver++(2M)"}
    every = {curve.label for curve in plan.curves}
    for budget in (6, 8, 10, 15, 20):
        near = {cell.curve.label for cell in cells if 0.6 * budget <= cell.nfe <= budget}
        assert near >= (every if budget in (6, 10, 20) else everywhere)
    work = plan.images * sum(cell.nfe for cell in cells)
    assert work < 4e6  # network calls for an image: two and a half hours of two cores
