"""The figures that move: the numbers of their scripts are Python's, and the built page answers to a click."""

import json
import math
import re
import subprocess

import pytest
import torch
from bs4 import BeautifulSoup
from tools import tool

from proofs_checks import trees
from proofs_checks.drawn_trees import layout, plain
from seeds_theory import InjectedNoise, follow, make_plan, uniform_log_snr
from seeds_theory.emit.method import method_program
from seeds_theory.emit.targets import javascript
from seeds_theory.emitted import seeds_2m
from toy_models import Gaussian, GaussianMixture, weak_errors
from toy_models.convergence import plan_response

pytest.importorskip("IPython")

from toy_models.notebook import page_script

WEIGHTS, MEANS, DEVIATIONS = [0.4, 0.6], [-1.0, 0.8], [0.1, 0.2]
STATES, STEPS, ETA = [-3.0, 0.3, 2.0], 5, 0.7
FORESTS = [forest for power in (1, 2, 3) for forest in trees.forests(power)]
DRIVER = """
import * as n from "./numbers.mjs";
const data = %s;
const x = Float64Array.from(%s);
const [steps, eta] = [%d, %g];
const grid = n.uniformLogSnr(4, 0.1, steps);
const noise = n.normals(3 * steps * x.length, 7);
const states = await n.statesAlong(n.denoiserOf(data), x, grid, noise, eta);
const still = await n.statesAlong(n.denoiserOf(data), x, grid, noise, 0);
const rows = await n.noiseRows(2, 1, eta);
const errors = [];
for (const [method, options] of [
  [n.seeds1, { c: 0.25 }], [n.seeds2, { c: 0.25, node: 0.3, factor: 1 }], [n.seeds3, { c: 0.25 }],
]) {
  for (const eta of [0, 0.7, 1]) errors.push(await n.lawError(method, options, [4, 0.5], 8, eta));
}
const many = n.normals(40000, 1);
const turned = (tree) => (Array.isArray(tree) ? tree.map(turned).reverse() : tree && 4 - tree);
console.log(JSON.stringify({
  density: n.density(data, 0.3, 0.7), denoised: [...n.denoiserOf(data)(x, 0.7)], grid, noise: [...noise],
  end: [...states.at(-1)], still: [...still.at(-1)], count: states.length, rows,
  correlations: n.correlations(rows), errors, moments: [1, 2, 3, 4].map(
    (power) => many.reduce((sum, z) => sum + z ** power, 0) / many.length),
  memory: [0.5, 1, 1.7].map((ratio) => {
    const { stages: [, , node], d, gap } = n.timeline(ratio);
    return [d, gap, node, n.bestNode(d), n.seeds2m({ h: 0.6, eta, d, gap, node })];
  }),
  forests: %s.map((forest) => [n.grade(forest), n.nameOf(forest), n.nameOf(turned(forest))]),
}));
"""


@pytest.fixture(scope="module")
def numbers(book, tmp_path_factory):
    """What the scripts compute, run by node beside the emitted sampler."""
    folder = tmp_path_factory.mktemp("play")
    for name, text in javascript.files(method_program("seeds-3")).items():
        (folder / name).write_text(text)
    (folder / "numbers.mjs").write_text((book / "play/numbers.mjs").read_text())
    data = {"weights": WEIGHTS, "means": MEANS, "deviations": DEVIATIONS}
    (folder / "driver.mjs").write_text(
        DRIVER % (json.dumps(data), STATES, STEPS, ETA, json.dumps(FORESTS))
    )
    done = subprocess.run(
        [tool("node"), folder / "driver.mjs"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def data():
    return GaussianMixture.scalar(WEIGHTS, MEANS, DEVIATIONS)


def column(values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_density_and_denoiser_are_those_of_the_mixture(numbers, data):
    assert numbers["density"] == pytest.approx(float(data.log_density(column([0.3]), 0.7).exp()))
    assert numbers["denoised"] == pytest.approx(data(column(STATES), 0.7)[:, 0].tolist())


@pytest.mark.parametrize(("eta", "name"), [(ETA, "end"), (0.0, "still")])
def test_a_run_is_that_of_python_on_the_same_noise(numbers, data, eta, name):
    plan = make_plan("seeds-3", uniform_log_snr(4.0, 0.1, STEPS), eta=eta)
    assert numbers["grid"] == pytest.approx(list(plan.sigmas))
    noise = torch.tensor(numbers["noise"], dtype=torch.float64).view(3 * STEPS, len(STATES), 1)
    end = follow(data, column(STATES), plan, InjectedNoise(noise))
    assert numbers[name] == pytest.approx(end[:, 0].tolist(), rel=1e-11)
    assert numbers["count"] == STEPS + 1


def test_the_noise_of_a_step_has_the_weights_of_the_plan(numbers):
    rows = [row.noise for row in make_plan("seeds-3", [2.0, 1.0], eta=ETA).steps[0].rows]
    full = torch.tensor([[*row, 0.0, 0.0][:3] for row in rows], dtype=torch.float64)
    torch.testing.assert_close(torch.tensor(numbers["rows"], dtype=torch.float64), full)
    found = torch.tensor(numbers["correlations"], dtype=torch.float64)
    torch.testing.assert_close(found, _correlated(full))


def _correlated(rows):
    product = rows @ rows.mT
    size = product.diagonal().sqrt()
    return product / size / size[:, None]


def test_errors_of_the_law_are_the_exact_ones(numbers):
    gaussian, grid = Gaussian.scalar(0.25), uniform_log_snr(4.0, 0.5, 8)
    exact = [
        float(
            weak_errors(plan_response(make_plan(name, grid, eta=eta), gaussian), gaussian, 4, 0.5)
        )
        for name in ("seeds-1", "seeds-2@0.3", "seeds-3")
        for eta in (0.0, 0.7, 1.0)
    ]
    assert numbers["errors"] == pytest.approx(exact, rel=1e-9, abs=1e-14)


def test_the_normals_are_normal(numbers):
    for value, exact, spread in zip(numbers["moments"], (0, 1, 0, 3), (1, 2, 15, 96), strict=True):
        assert abs(value - exact) < 4 * (spread / 40000) ** 0.5


def test_a_step_with_memory_has_the_weights_of_the_sampler(numbers):
    for d, gap, node, best, weights in numbers["memory"]:
        assert node == pytest.approx(best) == pytest.approx(seeds_2m.node(d))
        _, stage, end, *_ = seeds_2m.step(1.0, math.exp(-0.6), ETA, node, d, gap)
        assert weights["stage"] == pytest.approx(stage[1:], rel=1e-12)
        assert weights["end"] == pytest.approx(end[1:], rel=1e-12)


def test_a_timeline_is_that_of_a_run(numbers):
    for (d, gap, *_), ratio in zip(numbers["memory"], (0.5, 1, 1.7), strict=True):
        first = (
            0.25 / ratio
        )  # from the stage at 3/4 of the first step to its end, in the second's length
        second = seeds_2m.node(first)
        assert d == pytest.approx((1 - second) / ratio)
        assert gap == pytest.approx((first + second) / ratio)


def test_a_forest_has_one_name_whatever_its_order_and_its_pairs_are_called(numbers):
    names = [name for _, name, _ in numbers["forests"]]
    assert len(set(names)) == len(FORESTS) == 37
    for forest, (grade, name, other) in zip(FORESTS, numbers["forests"], strict=True):
        assert grade == trees.grade(forest) and name == other


@pytest.mark.parametrize("forest", FORESTS, ids=str)
def test_a_drawn_forest_has_all_its_vertices_each_in_a_place_of_its_own(forest):
    vertices = layout(forest)
    assert vertices[0].tree == forest and vertices[0].below is None
    assert len({(vertex.x, vertex.y) for vertex in vertices}) == len(vertices)
    for vertex in vertices[1:]:
        below = vertices[vertex.below]
        assert vertex.y == below.y + 1 and vertex.tree in below.tree
    assert sum(isinstance(vertex.tree, int) for vertex in vertices) == len(
        list(trees.leaves(forest))
    )


def test_differentials_in_plain_letters_are_all_different_and_have_no_commands():
    texts = [plain(forest) for forest in FORESTS]
    assert len(set(texts)) == len(FORESTS)
    assert not re.search(r"[\\{}^]", "".join(texts)) and plain(((1,), 1)) == "φ''(f'(e_a), e_a)"


def test_a_script_of_a_page_imports_nothing(book):
    modules = [(book / "play" / name).read_text() for name in ("numbers.mjs", "figures.mjs")]
    text = page_script("export const step = 1;\n", *modules).data
    assert "import " in modules[1] and not re.search(r"^import ", text, re.MULTILINE)
    assert text.count("<script") == text.count("</script>") == 1


CLICKS = """
<script>
const errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
addEventListener("load", async () => {
  const wait = () => new Promise((done) => setTimeout(done, 400));
  const figures = Object.fromEntries(
    [...document.querySelectorAll("[data-play]")].map((root) => [root.dataset.play, root]));
  const said = (name) => figures[name].querySelector(".play-said").textContent;
  const press = async (name, label) => {
    [...figures[name].querySelectorAll("button")].find((b) => b.textContent === label).click();
    await wait();
    return said(name);
  };
  await wait();
  const seen = { before: Object.fromEntries(Object.keys(figures).map((name) => [name, said(name)])) };
  seen.slip = await press("orders", "5/4 of the weight");
  seen.noise = await press("noise", "next normal");
  seen.flat = await press("mixture", "flat");
  figures.mixture.querySelector("svg").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp" }));
  await wait();
  seen.key = said("mixture");
  const eta = figures.eta.querySelector("input");
  eta.value = 0;
  eta.dispatchEvent(new Event("input"));
  await wait();
  seen.eta = said("eta");
  seen.barrier = await press("trees", "φ''(f'(e_a), f'(e_a))");
  for (const label of ["start again", "add noise", "add f", "add noise"]) {
    seen.grown = await press("trees", label);
  }
  seen.memory = [said("memory"), await press("memory", "next"), await press("memory", "next")];
  seen.wide = document.documentElement.scrollWidth - innerWidth;
  seen.labels = [...document.querySelectorAll("[data-play] svg")].every((s) => s.getAttribute("aria-label"));
  seen.errors = errors;
  const told = document.createElement("pre");
  told.id = "seen";
  told.textContent = JSON.stringify(seen);
  document.body.append(told);
});
</script>
"""


@pytest.mark.rendered
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_answers_to_clicks_keys_and_sliders(book, tmp_path, width):
    built = book / "_build/html/play.html"
    page = built.read_text()
    base = f'<base href="{built.parent.as_uri()}/">'
    copy = tmp_path / "play.html"
    copy.write_text(page.replace("<head>", f"<head>{base}{CLICKS}", 1))
    done = subprocess.run(
        [
            *(
                tool("chromium"),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ),
            *(f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},1200"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000"),
            *("--dump-dom", copy.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    seen = json.loads(BeautifulSoup(done.stdout, "html.parser").find(id="seen").text)
    assert seen["errors"] == []
    assert "SEEDS-1 1.0" in seen["before"]["orders"] and "SEEDS-2 2.0" in seen["before"]["orders"]
    assert abs(float(re.search(r"SEEDS-2 ([\d.]+)", seen["slip"])[1]) - 1) < 0.05
    assert seen["before"]["noise"].startswith("1 of 3") and seen["noise"].startswith("2 of 3")
    assert len({seen["before"]["mixture"], seen["flat"], seen["key"]}) == 3
    assert seen["eta"].startswith("η = 0:") and seen["before"]["eta"].startswith("η = 1:")
    assert "weight 1/3" in seen["barrier"] and "SEEDS-3 3/8" in seen["barrier"]
    assert seen["grown"].startswith("φ''(f'(e_a), e_a) at h²") and "SEEDS-2 1/2" in seen["grown"]
    assert [text.split()[1] for text in seen["memory"]] == ["estimates", "model", "line"]
    assert seen["wide"] <= 0 and seen["labels"]
