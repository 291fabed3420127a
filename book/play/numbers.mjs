// The numbers of the figures on the page "Play". The sampler is the emitted one; tests compare all of it with Python.

import { step } from "./seeds_3.mjs";

/** Standard normals that depend on the seed alone: the generator mulberry32 and the method of Box and Muller. */
export function normals(count, seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  const values = new Float64Array(count);
  for (let k = 0; k < count; k += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    values[k] = radius * Math.cos(angle);
    if (k + 1 < count) values[k + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** Noise levels with equal steps in log-SNR. */
export function uniformLogSnr(high, low, steps) {
  return Array.from({ length: steps + 1 }, (_, n) => (n === steps ? low : high * (low / high) ** (n / steps)));
}

/** The density at noise level sigma of normals with these weights, means and deviations. */
export function density({ weights, means, deviations }, x, sigma) {
  let total = 0;
  weights.forEach((weight, i) => {
    const variance = deviations[i] ** 2 + sigma ** 2;
    total += (weight * Math.exp(-((x - means[i]) ** 2) / (2 * variance))) / Math.sqrt(2 * Math.PI * variance);
  });
  return total;
}

/** The exact denoiser of such data: the mean of each component given x, weighted by how likely x is under it. */
export function denoiserOf({ weights, means, deviations }) {
  return (states, sigma) =>
    states.map((x) => {
      const exponents = weights.map((weight, i) => {
        const variance = deviations[i] ** 2 + sigma ** 2;
        return Math.log(weight) - ((x - means[i]) ** 2) / (2 * variance) - Math.log(variance) / 2;
      });
      const highest = Math.max(...exponents);
      let [above, below] = [0, 0];
      exponents.forEach((exponent, i) => {
        const share = Math.exp(exponent - highest);
        const c = deviations[i] ** 2;
        above += (share * (c * x + sigma ** 2 * means[i])) / (c + sigma ** 2);
        below += share;
      });
      return above / below;
    });
}

/** The states of a run at each level, the first included; `noise` has 3 normals a step for each state. */
export async function statesAlong(denoiser, x, sigmas, noise, eta) {
  const states = [x];
  for (let n = 1; n < sigmas.length; n++) {
    const count = eta > 0 && sigmas[n] > 0 ? 3 * x.length : 0;
    const own = count > 0 ? noise.subarray((n - 1) * count, n * count) : null;
    states.push(await step(denoiser, states[n - 1], sigmas[n - 1], sigmas[n], own, eta));
  }
  return states;
}

/** The weights of a step's three normals in the noise of its stages and its end: three rows. */
export async function noiseRows(s, t, eta) {
  const seen = [];
  const nothing = (states) => {
    seen.push(Float64Array.from(states));
    return states.map(() => 0);
  };
  const units = Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1); // of each normal in turn, for three states
  const end = await step(nothing, new Float64Array(3), s, t, eta > 0 ? units : null, eta);
  return [seen[1], seen[2], end].map((row) => Array.from(row));
}

/** The correlations of such rows. */
export function correlations(rows) {
  const product = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
  return rows.map((a) => rows.map((b) => product(a, b) / Math.sqrt(product(a, a) * product(b, b))));
}

/** One step on N(0, c) as gain and squared noise: SEEDS-1, and SEEDS-2 at a node, its weight times a factor. */
export function seeds1({ c }, s, t, eta) {
  const h = Math.log(s / t);
  const weight = -Math.expm1(-(1 + eta) * h);
  const gain = Math.exp(-(1 + eta) * h) + (weight * c) / (c + s ** 2);
  return [gain, -(t ** 2) * Math.expm1(-2 * eta * h)];
}

export function seeds2({ c, node, factor }, s, t, eta) {
  const h = Math.log(s / t);
  const middle = s * Math.exp(-node * h);
  const [gain, variance] = seeds1({ c }, s, middle, eta);
  const [first, second] = [c / (c + s ** 2), c / (c + middle ** 2)];
  const weight = -Math.expm1(-(1 + eta) * h);
  const correction = (factor * weight) / (2 * node);
  // The noise of the first stretch is carried on to the end, and enters by the second estimate as well.
  const carried = Math.exp(-(1 + eta) * (1 - node) * h) + correction * second;
  const rest = -(t ** 2) * Math.expm1(-2 * eta * (1 - node) * h);
  const total = Math.exp(-(1 + eta) * h) + weight * first + correction * (second * gain - first);
  return [total, carried ** 2 * variance + rest];
}

/** The same of the emitted SEEDS-3, by running it on four unit vectors. */
export async function seeds3({ c }, s, t, eta) {
  const denoiser = (states, sigma) => states.map((x) => (c * x) / (c + sigma ** 2));
  const units = new Float64Array(12);
  for (let m = 0; m < 3; m++) units[4 * m + m + 1] = 1;
  const [gain, ...weights] = await step(denoiser, Float64Array.of(1, 0, 0, 0), s, t, eta > 0 ? units : null, eta);
  return [gain, weights.reduce((sum, weight) => sum + weight ** 2, 0)];
}

/** The error of the law on N(0, c), |deviation - exact|, after a run in so many steps from the exact law. */
export async function lawError(method, options, [high, low], steps, eta) {
  const levels = uniformLogSnr(high, low, steps);
  let variance = options.c + high ** 2;
  for (let n = 1; n <= steps; n++) {
    const [gain, noise] = await method(options, levels[n - 1], levels[n], eta);
    variance = gain ** 2 * variance + noise;
  }
  return Math.abs(Math.sqrt(variance) - Math.sqrt(options.c + low ** 2));
}

/** The power of h that a forest begins with: 1 for a node (an array) or time (0), 1/2 for a noise leaf. */
export function grade(forest) {
  return forest.reduce((sum, tree) => sum + (Array.isArray(tree) ? 1 + grade(tree) : tree === 0 ? 1 : 0.5), 0);
}

/** A name that two forests share if they differ by the order of children and the numbers of pairs only. */
export function nameOf(forest) {
  const pairs = [...new Set(forest.flat(Infinity).filter((leaf) => leaf !== 0))];
  const named = (tree, numbers) =>
    Array.isArray(tree) ? `(${tree.map((child) => named(child, numbers)).sort().join(",")})` : `${tree && numbers[tree]}`;
  const orders = (rest) =>
    rest.length === 0 ? [[]] : rest.flatMap((pair) => orders(rest.filter((p) => p !== pair)).map((o) => [pair, ...o]));
  return orders(pairs)
    .map((order) => named(forest, Object.fromEntries(order.map((pair, i) => [pair, i + 1]))))
    .sort()[0];
}

/** The node of SEEDS-2M whose last stage is d steps before the start of this one. */
export function bestNode(d) {
  return (3 + 8 * d) / (4 + 12 * d);
}

/** The weights of a step of SEEDS-2M of length h: of two old estimates in its stage, of new and old at its end. */
export function seeds2m({ h, eta, d, gap, node }) {
  const z = -(1 + eta) * h;
  const phi2 = (u) => (Math.expm1(u) / u - 1) / u; // for lengths that are not small
  const a2 = (node ** 2 * z * phi2(node * z) + d * Math.expm1(node * z)) / gap;
  const b0 = -(z * phi2(z) + d * Math.expm1(z)) / (d + node);
  return { stage: [-Math.expm1(node * z) - a2, a2], end: [b0, -Math.expm1(z) - b0] };
}

/** Three steps of SEEDS-2M, each `ratio` times as long as the one before: starts and stages in units of the last. */
export function timeline(ratio) {
  const lengths = [1 / ratio ** 2, 1 / ratio, 1];
  const starts = [-lengths[0] - lengths[1], -lengths[1], 0];
  const stages = [];
  let d = 0; // the first estimate is that of the start
  for (let n = 0; n < 3; n++) {
    if (n > 0) d = (starts[n] - stages[n - 1]) / lengths[n];
    stages.push(starts[n] + bestNode(d) * lengths[n]);
  }
  return { starts, stages, d: -stages[1], gap: stages[1] - stages[0] };
}
