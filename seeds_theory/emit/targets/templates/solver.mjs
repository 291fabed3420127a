/*
${header}
 *
${heading}
 *
 * Example, for Gaussian data of mean 0 and variance 1:
 *
${example}
 */

const { ${functions} } = Math;

/** Model calls of a step. */
export const CALLS = ${calls};
/** Stretches of the path that a step draws noise of, in time order. */
export const STRETCHES = ${stretches};
/** Standard normals of a stretch: its noise, then what further moments of the path add. */
export const DEGREE = ${degree};

${helpers}/**
 * Throws a RangeError if no run on these levels is possible.
 *
 * @param {ArrayLike<number>} sigmas noise levels that descend; the first may be infinite, the last 0
 * @param {number} eta 1 for the reverse SDE, 0 for the ODE
 */
export function check(sigmas, eta) {
  const last = sigmas.length - 1;
  if (!(last >= 1) || (sigmas[0] === Infinity && sigmas[1] === 0)) {
    throw new RangeError("a grid has two or more noise levels, one of them finite and above 0");
  }
  for (let n = 0; n <= last; n++) {
    const level = sigmas[n];
    if (typeof level !== "number" || (n > 0 && !(level < sigmas[n - 1]))) {
      throw new RangeError("noise levels are numbers that descend strictly; got " + level);
    }
    const isEnd = (n === 0 && level === Infinity) || (n === last && level === 0);
    if (!isEnd && !(level >= 1e-100 && level <= 1e100)) {
      throw new RangeError(
        "noise levels lie between 1e-100 and 1e100; the first may be Infinity, the last 0; got " + level,
      );
    }
  }
  if (!(Number.isFinite(eta) && eta >= 0)) {
    throw new RangeError("eta is a finite number >= 0; got " + eta);
  }
}

/**
 * How many standard normals a run takes, for each number of x: a step STRETCHES * DEGREE, one from an infinite
 * level 1, one to level 0 none; at eta = 0 none at all.
 *
 * @param {ArrayLike<number>} sigmas
 * @param {number} eta
 * @returns {number}
 */
export function normalsCount(sigmas, eta) {
  let total = 0;
  for (let n = 1; eta > 0 && n < sigmas.length; n++) {
    if (sigmas[n] > 0) total += sigmas[n - 1] === Infinity ? 1 : STRETCHES * DEGREE;
  }
  return total;
}

/**
 * The noise levels between which the stretches of a step from a finite s down to t > 0 lie.
 *
 * @param {number} s
 * @param {number} t
 * @returns {number[]} STRETCHES + 1 levels
 */
export function levels(s, t) {
${levels}
}

/**
 * One step from level s down to t.
 *
 * @param {(x: Float64Array, sigma: number) => Float64Array | Promise<Float64Array>} denoiser estimates of the
 *   clean data for the states x, which it does not change
 * @param {Float64Array} x states at s; any number of samples, one after the other
 * @param {number} s
 * @param {number} t
 * @param {Float64Array | null} normals the step's normals: of each stretch in time order its DEGREE normals, each
 *   of them as long as x; null will do if there are none
 * @param {number} eta
 * @returns {Promise<Float64Array>} the states at t
 */
export async function step(denoiser, x, s, t, normals, eta = 1) {
  check([s, t], eta);
  const size = x.length;
  requireLength("normals", normals, normalsCount([s, t], eta) * size);
  const call = async (state, level) => {
    const denoised = await denoiser(state, level);
    requireLength("the denoiser's estimates", denoised, size);
    return Float64Array.from(denoised); // a denoiser may use its own array again
  };
  const sum = (drift, noise) => {
    const values = new Float64Array(size);
    for (let k = 0; k < size; k++) values[k] = eta > 0 ? drift(k) + noise(k) : drift(k);
    return values;
  };

  const ${first} = await call(x, s);
  if (t === 0) return ${first};
  if (s === Infinity) return ${first}.map((value, k) => value + t * (eta > 0 ? normals[k] : x[k]));

${coefficients}

${stages}
}

/**
 * A run from the states x at sigmas[0] to those at its last level.
 *
 * @param {(x: Float64Array, sigma: number) => Float64Array | Promise<Float64Array>} denoiser as of step
 * @param {Float64Array} x at sigmas[0]: noise of that standard deviation, or unit noise if that is infinite
 * @param {ArrayLike<number>} sigmas noise levels that descend; the first may be Infinity, the last 0
 * @param {Float64Array | null} normals normalsCount(sigmas, eta) * x.length standard normals: what each step
 *   takes, one step after the other; null will do at eta = 0
 * @param {number} eta 1 for the reverse SDE, 0 for the ODE
 * @returns {Promise<Float64Array>} the states at the last level
 */
export async function sample(denoiser, x, sigmas, normals, eta = 1) {
  check(sigmas, eta);
  requireLength("normals", normals, normalsCount(sigmas, eta) * x.length);
  for (let n = 1, used = 0; n < sigmas.length; n++) {
    const count = normalsCount([sigmas[n - 1], sigmas[n]], eta) * x.length;
    const own = count > 0 ? normals.subarray(used, (used += count)) : null;
    x = await step(denoiser, x, sigmas[n - 1], sigmas[n], own, eta);
  }
  return x;
}

function requireLength(what, array, length) {
  if ((array?.length ?? 0) !== length) {
    throw new RangeError(what + ": " + length + " numbers are needed; got " + array?.length);
  }
}
