// The figures of the page "Play": each takes the place of its still picture.

import { sample } from "./seeds_3.mjs";
import {
  correlations,
  denoiserOf,
  density,
  grade,
  lawError,
  nameOf,
  noiseRows,
  normals,
  seeds1,
  seeds2,
  seeds2m,
  seeds3,
  statesAlong,
  timeline,
  uniformLogSnr,
} from "./numbers.mjs";

const range = (count) => Array.from({ length: count }, (_, i) => i);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// ------------------------------------------------------------------------------- what all of them are made of

/** An element with attributes and children; those that SVG has are made for it. */
function element(name, attributes = {}, ...children) {
  const drawn = ["svg", "path", "rect", "circle", "text", "g", "line"].includes(name);
  const made = drawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A slider with its label and value; `read` is its number, `show` how it is written. */
function slider(label, { min, max, step, value, show = (v) => v.toString() }, changed) {
  const input = element("input", { type: "range", min, max, step, value });
  const output = element("output", {}, show(value));
  const read = () => Number(input.value);
  input.addEventListener("input", () => {
    output.textContent = show(read());
    input.setAttribute("aria-valuetext", show(read()));
    changed();
  });
  const set = (number) => {
    input.value = number;
    output.textContent = show(read());
  };
  return { part: element("label", {}, element("span", {}, label), input, output), read, set };
}

function button(label, pressed) {
  const made = element("button", { type: "button" }, label);
  made.addEventListener("click", pressed);
  return made;
}

/** Controls, a drawing and a sentence below it in place of the still picture. `draw` is called again and again. */
function stage(root, { controls, label, height, draw }) {
  const drawing = element("svg", { role: "img", "aria-label": label });
  const said = element("p", { class: "play-said", "aria-live": "polite" });
  root.replaceChildren(element("div", { class: "play-controls" }, ...controls), drawing, said);
  let [asked, running] = [false, false];
  const redraw = async () => {
    asked = true;
    if (running) return; // a run in progress sees to it at its end
    running = true;
    while (asked) {
      asked = false;
      const width = Math.max(280, root.clientWidth);
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const [shapes, sentence] = await draw(width, height);
      drawing.replaceChildren(...shapes);
      said.textContent = sentence;
    }
    running = false;
    root.dataset.ready = "true";
  };
  let seen = 0;
  new ResizeObserver(() => {
    if (root.clientWidth !== seen) requestAnimationFrame(redraw);
    seen = root.clientWidth;
  }).observe(root);
  redraw();
  return { redraw, drawing };
}

/** Scales from numbers to places within a box, with its axes. */
function axes({ left, right, top, bottom, x, y, xTicks, yTicks, xLabel, yLabel }) {
  const px = (v) => left + ((v - x[0]) / (x[1] - x[0])) * (right - left);
  const py = (v) => bottom - ((v - y[0]) / (y[1] - y[0])) * (bottom - top);
  const text = (words, at) => element("text", at, words);
  const frame = `M${left},${top}V${bottom}H${right}`;
  const parts = [
    element("path", { d: frame, class: "play-axis" }),
    ...xTicks.map(([v, words]) => text(words, { x: px(v), y: bottom + 16, "text-anchor": "middle" })),
    ...yTicks.map(([v, words]) => text(words, { x: left - 6, y: py(v) + 4, "text-anchor": "end" })),
    text(xLabel, { x: (left + right) / 2, y: bottom + 33, "text-anchor": "middle" }),
    text(yLabel, { x: left, y: top - 8, "text-anchor": "start" }),
  ];
  return { px, py, parts };
}

function line(points, kind) {
  const d = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
  return element("path", { d, class: `play-line ${kind}` });
}

/** Lines with their names, from left to right. */
function legend(entries, left, y) {
  let x = left;
  return entries.flatMap(([kind, name]) => {
    const at = x;
    x += 34 + 7.2 * name.length;
    return [line([[at, y], [at + 20, y]], kind), element("text", { x: at + 25, y: y + 4 }, name)];
  });
}

/** The heights of a histogram, so that its area is the share of the values in it. */
function histogram(values, low, high, bins) {
  const counts = new Float64Array(bins);
  for (const value of values) {
    const bin = Math.floor(((value - low) / (high - low)) * bins);
    if (bin >= 0 && bin < bins) counts[bin] += 1;
  }
  return Array.from(counts, (count) => (count * bins) / (values.length * (high - low)));
}

function moments(values) {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return [mean, Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length)];
}

const two = { weights: [0.4, 0.6], means: [-1, 0.8], deviations: [0.15, 0.15] };

// ----------------------------------------------------------------------------------------- draw your own data

function ownMixture(root) {
  const [bars, low, high, most] = [25, -2, 2, 10];
  const places = range(bars).map((i) => low + ((high - low) * i) / (bars - 1));
  const clusters = (x) => Math.min(most, Math.round(7 * density(two, x, 0.1)));
  const heights = places.map(clusters);
  let [chosen, seed] = [Math.floor(bars / 2), 1];
  const data = () => {
    const kept = range(bars).filter((i) => heights[i] > 0);
    const total = kept.reduce((sum, i) => sum + heights[i], 0);
    return {
      weights: kept.map((i) => heights[i] / total),
      means: kept.map((i) => places[i]),
      deviations: kept.map(() => (0.6 * (high - low)) / bars),
    };
  };
  const put = (i, height) => {
    const before = heights[i];
    heights[i] = clamp(height, 0, most);
    if (heights.every((value) => value === 0)) heights[i] = before; // some data there must be
  };
  const fill = (height) => {
    places.forEach((x, i) => (heights[i] = height(x)));
    view.redraw();
  };
  const steps = slider("steps", { min: 1, max: 20, step: 1, value: 6 }, () => view.redraw());
  const eta = slider("η", { min: 0, max: 2, step: 0.1, value: 1 }, () => view.redraw());
  const place = (width) => ({ left: 34, right: width - 12 });
  const draw = async (width, height) => {
    const { left, right } = place(width);
    const mixture = data();
    const sigmas = [...uniformLogSnr(20, 0.05, steps.read()), 0];
    const count = 1500;
    const start = normals(count, seed).map((z) => 20 * z);
    const noise = normals(3 * steps.read() * count, seed + 1);
    const states = await sample(denoiserOf(mixture), start, sigmas, eta.read() > 0 ? noise : null, eta.read());
    const shown = histogram(states, low - 0.5, high + 0.5, 50);
    const exact = range(121).map((k) => low - 0.5 + ((high - low + 1) * k) / 120);
    const top = 1.15 * Math.max(...shown, ...exact.map((x) => density(mixture, x, 0)));
    const box = axes({
      left, right, top: 44, bottom: height - 130, x: [low - 0.5, high + 0.5], y: [0, top],
      xTicks: [-2, -1, 0, 1, 2].map((v) => [v, `${v}`]), yTicks: [], xLabel: "", yLabel: "density",
    });
    const wide = (right - left) / 50;
    const [mean, deviation] = moments(states);
    const exactMean = mixture.weights.reduce((sum, w, i) => sum + w * mixture.means[i], 0);
    const spread = mixture.weights.reduce(
      (sum, w, i) => sum + w * ((mixture.means[i] - exactMean) ** 2 + mixture.deviations[i] ** 2), 0,
    );
    const unit = (box.px(places[1]) - box.px(places[0])) * 0.8;
    const editor = range(bars).map((i) =>
      element("rect", {
        x: box.px(places[i]) - unit / 2, y: height - 20 - 8 * Math.max(heights[i], 0.4), width: unit,
        height: 8 * Math.max(heights[i], 0.4), class: i === chosen ? "play-bar chosen" : "play-bar",
      }),
    );
    return [
      [
        ...box.parts,
        ...shown.map((value, k) =>
          element("rect", {
            x: left + k * wide, width: wide, y: box.py(value), height: box.py(0) - box.py(value), class: "play-count",
          }),
        ),
        line(exact.map((x) => [box.px(x), box.py(density(mixture, x, 0))]), "one"),
        ...legend([["one", "the data"]], left + 66, 20),
        element("rect", { x: right - 128, y: 12, width: 20, height: 12, class: "play-count" }),
        element("text", { x: right - 102, y: 24 }, "the samples"),
        ...editor,
        element("text", { x: left, y: height - 4 }, "draw here"),
        element("rect", { x: left, y: height - 125, width: right - left, height: 125, class: "play-pad" }),
      ],
      `${steps.read()} steps of SEEDS-3 and one to 0, η = ${eta.read()}: ${count} samples have the mean ` +
        `${mean.toFixed(2)} and the deviation ${deviation.toFixed(2)}; the data ${exactMean.toFixed(2)} and ` +
        `${Math.sqrt(spread).toFixed(2)}.`,
    ];
  };
  const controls = [
    steps.part,
    eta.part,
    button("other noise", () => ((seed += 2), view.redraw())),
    button("two clusters", () => fill(clusters)),
    button("flat", () => fill(() => 5)),
    button("one point", () => fill((x) => (Math.abs(x) < 0.05 ? most : 0))),
  ];
  const view = stage(root, {
    controls, draw, height: 380,
    label: "The density of data that you draw, and a histogram of samples. Arrow keys choose a bar and change it.",
  });
  const { drawing } = view;
  drawing.setAttribute("tabindex", "0");
  drawing.setAttribute("role", "application");
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  drawing.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    chosen = clamp(chosen + move[0], 0, bars - 1);
    if (move[1]) put(chosen, heights[chosen] + move[1]);
    view.redraw();
  });
  const drag = (event) => {
    const box = drawing.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const { left, right } = place(box.width);
    const within = (x - left) / (right - left);
    if (y < box.height - 125) return;
    chosen = clamp(Math.round((within * (high - low + 1) - 0.5) / ((high - low) / (bars - 1))), 0, bars - 1);
    put(chosen, Math.round((box.height - 20 - y) / 8));
    view.redraw();
  };
  drawing.addEventListener("pointerdown", (event) => (drawing.setPointerCapture(event.pointerId), drag(event)));
  drawing.addEventListener("pointermove", (event) => event.buttons && drag(event));
}

// ---------------------------------------------------------------------------------------------------- move eta

function movedEta(root) {
  let seed = 3;
  const sigmas = uniformLogSnr(20, 0.03, 80);
  const eta = slider("η", { min: 0, max: 4, step: 0.1, value: 1 }, () => view.redraw());
  const draw = async (width, height) => {
    const [shown, count] = [8, 800];
    const start = normals(count, seed).map((z) => 20 * z);
    const noise = normals(3 * 80 * count, seed + 1);
    const states = await statesAlong(denoiserOf(two), start, sigmas, noise, eta.read());
    const split = Math.round(width * 0.72);
    const span = [-2.6, 2.6];
    const paths = axes({
      left: 30, right: split - 8, top: 30, bottom: height - 44, x: [-Math.log(20), -Math.log(0.03)], y: span,
      xTicks: [-2, 0, 2].map((v) => [v, `${v}`]), yTicks: [-2, 0, 2].map((v) => [v, `${v}`]),
      xLabel: "log-SNR", yLabel: "state, scaled",
    });
    const bins = histogram(states.at(-1), ...span, 52);
    const top = 1.4 * density(two, 0.8, 0.03);
    const law = axes({
      left: split + 6, right: width - 6, top: 30, bottom: height - 44, x: [0, top], y: span,
      xTicks: [], yTicks: [], xLabel: "law at the end", yLabel: "",
    });
    const tall = (paths.py(span[0]) - paths.py(span[1])) / 52;
    const upper = states.at(-1).reduce((sum, x) => sum + (x > 0), 0) / count;
    return [
      [
        ...paths.parts,
        ...range(shown).map((k) =>
          line(
            states.map((x, n) => [paths.px(-Math.log(sigmas[n])), paths.py(x[k] / Math.sqrt(1 + sigmas[n] ** 2))]),
            ["one", "two", "three", "four"][k % 4],
          ),
        ),
        ...law.parts,
        ...bins.map((value, k) =>
          element("rect", {
            x: law.px(0), y: paths.py(span[0]) - (k + 1) * tall, height: tall,
            width: Math.min(law.px(value), width - 6) - law.px(0), class: "play-count",
          }),
        ),
        line(range(105).map((k) => span[0] + k / 20).map((x) => [law.px(density(two, x, 0.03)), law.py(x)]), "one"),
      ],
      `η = ${eta.read()}: the paths change, the law at the end does not. Of ${count} paths from the same starts ` +
        `${(100 * upper).toFixed(0)} % end in the upper cluster, which has 60 % of the data.`,
    ];
  };
  const view = stage(root, {
    controls: [eta.part, button("other noise", () => ((seed += 2), view.redraw()))], draw, height: 340,
    label: "Eight paths from noise to two clusters, and the law at their ends.",
  });
}

// ------------------------------------------------------------------------------------ the noise of one step

function oneStep(root) {
  let [drawn, seed] = [1, 5];
  const length = slider("length h", { min: 0.1, max: 3, step: 0.1, value: 1 }, () => view.redraw());
  const eta = slider("η", { min: 0.1, max: 3, step: 0.1, value: 1 }, () => view.redraw());
  const kinds = ["one", "two", "three"];
  const draw = async (width, height) => {
    const rows = await noiseRows(1, Math.exp(-length.read()), eta.read());
    const z = normals(4, seed).subarray(0, 3);
    const parts = rows.map((row) => row.map((weight, m) => (m < drawn ? weight * z[m] : 0)));
    const reach = 1.05 * Math.max(...rows.map((row) => row.reduce((sum, w, m) => sum + Math.abs(w * z[m]), 0)));
    const names = ["stage 2", "stage 3", "the end"];
    const box = axes({
      left: 66, right: width - 12, top: 66, bottom: height - 40, x: [-reach, reach], y: [3, 0],
      xTicks: [[0, "0"]], yTicks: names.map((name, j) => [j + 0.5, name]), xLabel: "noise of the row", yLabel: "",
    });
    const shapes = rows.flatMap((_, j) => {
      let at = 0;
      return parts[j].flatMap((part, m) => {
        const y = box.py(j + 0.22 + 0.19 * m);
        const bar = element("rect", {
          x: box.px(Math.min(at, at + part)), width: Math.abs(box.px(part) - box.px(0)), y, height: 10,
          class: `play-part ${kinds[m]}`,
        });
        at += part;
        return m < drawn && j >= m ? [bar] : [];
      });
    });
    const sums = parts.map((row, j) => {
      const total = row.reduce((sum, value) => sum + value, 0);
      return element("circle", { cx: box.px(total), cy: box.py(j + 0.88), r: 5, class: "play-sum" });
    });
    const clock = axes({
      left: 66, right: width - 12, top: 20, bottom: 22, x: [0, 1], y: [0, 1], xTicks: [], yTicks: [], xLabel: "", yLabel: "",
    });
    const stretches = kinds.slice(0, drawn).map((kind, m) =>
      line([[clock.px(m / 3) + 2, 22], [clock.px((m + 1) / 3) - 2, 22]], kind),
    );
    const marks = ["start", "c = 1/3", "c = 2/3", "end"].map((name, m) =>
      element("text", { x: clock.px(m / 3), y: 44, "text-anchor": ["start", "middle", "middle", "end"][m] }, name),
    );
    const found = correlations(rows);
    return [
      [
        ...box.parts, element("path", { d: `M${box.px(0)},66V${height - 40}`, class: "play-axis" }),
        ...shapes, ...sums, ...stretches, ...marks,
      ],
      `${drawn} of 3 normals drawn: ${Array.from(z.subarray(0, drawn), (v) => v.toFixed(2)).join(", ")}. Each enters ` +
        "every row from its stretch on. Correlations: stages 2 and 3 " +
        `${found[0][1].toFixed(3)}, stage 2 and the end ${found[0][2].toFixed(3)}, stage 3 and the end ` +
        `${found[1][2].toFixed(3)}.`,
    ];
  };
  const next = button("next normal", () => {
    drawn = (drawn % 3) + 1;
    if (drawn === 1) seed += 1;
    view.redraw();
  });
  const view = stage(root, {
    controls: [next, length.part, eta.part], draw, height: 330,
    label: "The noises of the two stages and the end of one step of SEEDS-3, put together from three normals.",
  });
}

// ---------------------------------------------------------------------------------------------------- orders

function orders(root) {
  const counts = [4, 8, 16, 32, 64, 128, 256];
  const ends = [4, 0.5];
  const changed = () => view.redraw();
  const shown = (v) => (2 ** v).toFixed(v < 0 ? 3 : 1);
  const variance = slider("data variance", { min: -5, max: 5, step: 0.5, value: -2, show: shown }, changed);
  const node = slider("node of SEEDS-2", { min: 0.1, max: 1, step: 0.05, value: 0.5 }, changed);
  const factor = slider("its weight, times", { min: 0.5, max: 1.5, step: 0.05, value: 1 }, changed);
  const eta = slider("η", { min: 0, max: 2, step: 0.1, value: 1 }, changed);
  const methods = [["one", "SEEDS-1", seeds1], ["two", "SEEDS-2", seeds2], ["three", "SEEDS-3", seeds3]];
  const draw = async (width, height) => {
    const options = { c: 2 ** variance.read(), node: node.read(), factor: factor.read() };
    const curves = [];
    for (const [kind, name, method] of methods) {
      const errors = [];
      for (const n of counts) errors.push(await lawError(method, options, ends, n, eta.read()));
      curves.push([kind, name, errors]);
    }
    const box = axes({
      left: 46, right: width - 14, top: 52, bottom: height - 44, x: [2, 8], y: [-9, 0],
      xTicks: counts.map((n) => [Math.log2(n), `${n}`]),
      yTicks: [-8, -6, -4, -2, 0].map((v) => [v, ["1", "0.01", "1e-4", "1e-6", "1e-8"][-v / 2]]),
      xLabel: "steps", yLabel: "error of the law",
    });
    const place = (n, error) => [box.px(Math.log2(n)), box.py(clamp(Math.log10(error || 1e-16), -9, 0))];
    const slopes = curves.map(([, name, errors]) => {
      const slope = Math.log2(errors.at(-2) / errors.at(-1));
      return `${name} ${errors.at(-1) > 1e-12 ? slope.toFixed(2) : "(rounding)"}`;
    });
    return [
      [
        ...box.parts,
        ...legend(curves.map(([kind, name]) => [kind, name]), 46, 14),
        ...curves.flatMap(([kind, , errors]) => [
          line(errors.map((error, i) => place(counts[i], error)), kind),
          ...errors.map((error, i) => {
            const [cx, cy] = place(counts[i], error);
            return element("circle", { cx, cy, r: 3.5, class: `play-dot ${kind}` });
          }),
        ]),
      ],
      `Slopes from 128 to 256 steps: ${slopes.join(", ")}.`,
    ];
  };
  const view = stage(root, {
    controls: [
      variance.part, node.part, factor.part, eta.part,
      button("5/4 of the weight", () => (factor.set(1.25), view.redraw())),
      button("as it should be", () => (factor.set(1), node.set(0.5), view.redraw())),
    ],
    draw, height: 380, label: "Errors of the law of three methods on Gaussian data, over the number of steps.",
  });
}

// ----------------------------------------------------------------------------------------- trees grown by hand

function grownTrees(root) {
  const table = new Map(JSON.parse(root.dataset.table).map((row) => [nameOf(row.forest), row]));
  let forest = [[1], 1];
  let [chosen, pairs, waiting] = [[], 1, null];
  const at = (path) => path.reduce((tree, i) => tree[i], forest);
  const restart = () => {
    forest = [];
    [chosen, pairs, waiting] = [[], 0, null];
  };
  const fits = (more) => grade(forest) + more + (waiting ? 0.5 : 0) <= 3;
  const grow = (child, more) => {
    if (!fits(more)) return;
    at(chosen).push(child);
    if (Array.isArray(child)) chosen = [...chosen, at(chosen).length - 1];
    view.redraw();
  };
  const noise = () => {
    if (waiting === null && !fits(1)) return;
    at(chosen).push(waiting ?? ++pairs);
    waiting = waiting === null ? pairs : null;
    view.redraw();
  };
  /** Vertices with their places: leaves side by side, a node above the middle of its children's places. */
  const layout = () => {
    const found = [];
    let wide = 0;
    const visit = (tree, path, below) => {
      const vertex = { tree, path, below, y: path.length };
      found.push(vertex);
      if (Array.isArray(tree) && tree.length > 0) {
        const xs = tree.map((child, i) => visit(child, [...path, i], vertex).x);
        vertex.x = (xs[0] + xs.at(-1)) / 2;
      } else {
        vertex.x = wide++;
      }
      return vertex;
    };
    visit(forest, [], null);
    return [found, wide];
  };
  const said = () => {
    if (waiting !== null) return "This noise waits for the one that it pairs up with: choose a node and add it.";
    const row = table.get(nameOf(forest));
    if (!row) return "Choose φ or a node f, and let something grow on it. Up to the third power of h there are 37 forests.";
    const methods = Object.entries(row.methods).map(([name, value]) => `${name} ${value}`);
    return (
      `${row.text} at h${["", "", "²", "³"][row.grade]}, with the factor ${row.count}: the exact solution has the weight ` +
      `${row.exact}; ${methods.join(", ")}.`
    );
  };
  const draw = (width, height) => {
    const [vertices, wide] = layout();
    const gap = Math.min(90, (width - 60) / Math.max(wide, 1));
    const px = (v) => width / 2 + (v.x - (wide - 1) / 2) * gap;
    const py = (v) => height - 30 - 62 * v.y;
    const shapes = [];
    for (const v of vertices) {
      if (v.below) shapes.push(line([[px(v), py(v)], [px(v.below), py(v.below)]], "stem"));
    }
    for (const pair of range(pairs + 1).slice(1)) {
      const [one, other] = vertices.filter((v) => v.tree === pair);
      if (!other) continue;
      const top = Math.min(py(one), py(other)) - 26;
      shapes.push(line([[px(one), py(one)], [(px(one) + px(other)) / 2, top], [px(other), py(other)]], "two"));
    }
    for (const v of vertices) {
      const isNode = Array.isArray(v.tree);
      const label = v.path.length === 0 ? "φ" : isNode ? "f" : v.tree === 0 ? "t" : "e" + " abc"[v.tree];
      const isChosen = isNode && v.path.join() === chosen.join();
      const vertex = element(
        "g", { class: `play-vertex${isNode ? " node" : ""}${isChosen ? " chosen" : ""}` },
        element("circle", { cx: px(v), cy: py(v), r: isNode ? 17 : 13 }),
        element("text", { x: px(v), y: py(v) + 5, "text-anchor": "middle" }, label),
      );
      if (isNode) {
        const choose = () => ((chosen = v.path), view.redraw());
        vertex.setAttribute("role", "button");
        vertex.setAttribute("tabindex", "0");
        vertex.setAttribute("aria-label", `${label} with ${v.tree.length} children${isChosen ? ", chosen" : ""}`);
        vertex.addEventListener("click", choose);
        vertex.addEventListener("keydown", (event) => {
          if (event.key === "Enter" || event.key === " ") (event.preventDefault(), choose());
        });
      }
      shapes.push(vertex);
    }
    return [shapes, said()];
  };
  const show = (name) => button(name, () => {
    restart();
    forest = structuredClone([...table.values()].find((row) => row.text === name).forest);
    pairs = Math.max(0, ...forest.flat(Infinity));
    view.redraw();
  });
  const controls = [
    button("add f", () => grow([], 1)),
    button("add noise", noise),
    button("add time", () => grow(0, 1)),
    button("start again", () => (restart(), view.redraw())),
    show("φ''(f'(e_a), e_a)"),
    show("φ''(f'(e_a), f'(e_a))"),
  ];
  const view = stage(root, {
    controls, draw, height: 260, label: "A tree: the root φ, nodes f, leaves of noise that pair up, and of time.",
  });
  view.drawing.setAttribute("role", "group");
}

// --------------------------------------------------------------------------------------- a method with memory

function withMemory(root) {
  let phase = 0;
  const ratio = slider(
    "each step, times the last", { min: -1, max: 1, step: 0.1, value: 0, show: (v) => (2 ** v).toFixed(2) },
    () => view.redraw(),
  );
  const length = slider("length h", { min: 0.1, max: 2, step: 0.1, value: 0.5 }, () => view.redraw());
  const draw = async (width, height) => {
    const { starts, stages, d, gap } = timeline(2 ** ratio.read());
    const node = stages[2];
    const { stage: old, end } = seeds2m({ h: length.read(), eta: 1, d, gap, node });
    const px = (v) => 20 + ((v - starts[0]) / (1 - starts[0])) * (width - 40);
    const base = height - 60;
    const arc = (from, to, weight, kind) => {
      const [a, b] = [px(from), px(to)];
      const top = base - 24 - 0.42 * Math.abs(b - a);
      const path = element("path", { d: `M${a},${base}Q${(a + b) / 2},${top} ${b},${base}`, class: `play-line ${kind}` });
      const at = { x: (a + b) / 2, y: (base + top) / 2 - 4, "text-anchor": "middle" };
      return [path, element("text", at, weight.toFixed(3))];
    };
    const shapes = [
      line([[px(starts[0]), base], [px(1), base]], "stem"),
      ...[...starts, 1].map((v) => line([[px(v), base - 7], [px(v), base + 7]], "stem")),
      element("text", { x: px(0), y: base + 24, "text-anchor": "middle" }, "now"),
      element("text", { x: px(1), y: base + 24, "text-anchor": "end" }, "end"),
      ...stages.slice(0, 2).map((v) => element("circle", { cx: px(v), cy: base, r: 6, class: "play-dot one" })),
    ];
    if (phase === 0) shapes.push(...arc(stages[1], node, old[0], "one"), ...arc(stages[0], node, old[1], "three"));
    if (phase > 0) shapes.push(element("circle", { cx: px(node), cy: base, r: 6, class: "play-dot two" }));
    if (phase > 1) shapes.push(...arc(node, 1, end[0], "two"), ...arc(stages[1], 1, end[1], "one"));
    const said = [
      `The estimates of the last two stages (dots) are continued by a line to the node ${node.toFixed(3)}: their ` +
        `weights are ${old[0].toFixed(3)} and ${old[1].toFixed(3)}.`,
      "The model is called there, once in this step. The state there has a noise that makes up for the old one's.",
      `The line through the new and the last estimate is integrated to the end: weights ${end[0].toFixed(3)} and ` +
        `${end[1].toFixed(3)}. The noises are chosen so that the same weights give the average of the path.`,
    ][phase];
    return [shapes, said];
  };
  const next = button("next", () => ((phase = (phase + 1) % 3), view.redraw()));
  const view = stage(root, {
    controls: [next, ratio.part, length.part], draw, height: 240,
    label: "Three steps of SEEDS-2M on a line, the stages of two of them, and the weights of their estimates.",
  });
}

const FIGURES = {
  mixture: ownMixture, eta: movedEta, noise: oneStep, orders, trees: grownTrees, memory: withMemory,
};
for (const root of document.querySelectorAll("[data-play]")) FIGURES[root.dataset.play](root);
