/*
${header}
 *
 * ${method} behind a pipe: it serves runs as JSON lines on standard input and output, so that a program in any
 * language can check it. The messages: the book of seeds-theory, chapter "For implementers".
 *
 *     seeds-conformance check --method ${base} -- node main.mjs
 *     seeds-audit "pipe:node main.mjs"
 */

import { createInterface } from "node:readline";

import { DEGREE, STRETCHES, check, levels, normalsCount, step } from "./${name}.mjs";

const METHOD = "${method}";
const BASE = "${base}";
const PREDICTION = "${prediction}";
const NODES = [${nodes}];
const [USUAL_NODES, USUAL_PREDICTION] = [${usual_nodes}, ${usual_prediction}];

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** The next message, an object; undefined at the end of the input. */
async function receive() {
  const { value, done } = await lines.next();
  if (done) return undefined;
  const message = JSON.parse(value);
  if (!isObject(message)) throw new TypeError("a line is no JSON object");
  return message;
}

function send(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The numbers of nested lists one after the other; throws if they do not have that shape. */
function flat(value, shape, what) {
  if (shape.length === 0) {
    if (Number.isFinite(value)) return [value];
  } else if (Array.isArray(value) && value.length === shape[0]) {
    return value.flatMap((part) => flat(part, shape.slice(1), what));
  }
  throw new TypeError(what + " has no finite numbers of the right shape");
}

/** States as nested lists; what is no number there would become null. */
function nested(x, shape, what) {
  if (!x.every(Number.isFinite)) throw new RangeError(what + " is not finite");
  const rows = Array.from({ length: shape[0] }, (_, i) => i * shape[1]);
  return rows.map((start) => Array.from(x.subarray(start, start + shape[1])));
}

/** The answer to a request, as numbers. */
async function ask(request, name, shape) {
  send(request);
  return Float64Array.from(flat((await receive())?.[name], shape, "the answer"));
}

/** The eta of a run; throws if an option asks for something else than this program has. */
function readOptions(options) {
  for (const name of Object.keys(options)) {
    if (!["method", "nodes", "prediction", "eta"].includes(name)) {
      throw new RangeError("the options of this program are method, nodes, prediction and eta");
    }
  }
  const { method, nodes, prediction, eta = 1 } = options;
  if (![undefined, BASE, METHOD].includes(method)) {
    throw new RangeError("this program has the method " + METHOD);
  }
  const named = method !== undefined;
  const sameNodes = nodes === undefined
    ? !named || method === METHOD || USUAL_NODES
    : nodes?.length === NODES.length && NODES.every((node, j) => Math.abs(node - nodes[j]) < 1e-12);
  if (!sameNodes) throw new RangeError("this program has other nodes");
  if (prediction === undefined ? named && !USUAL_PREDICTION : prediction !== PREDICTION) {
    throw new RangeError("this program integrates the prediction of " + PREDICTION);
  }
  return eta;
}

/** The states at the end of one run. */
async function serve(run) {
  if (!isObject(run)) throw new TypeError("a conversation begins with a run");
  const { sigmas, options = {} } = run;
  if (!isObject(options)) throw new TypeError("the options are no object");
  const eta = readOptions(options);
  const shape = [run.x?.length, run.x?.[0]?.length];
  let x = Float64Array.from(flat(run.x, shape, "x"));
  if (x.length === 0) throw new TypeError("x has no numbers");
  check(flat(sigmas, [sigmas?.length], "sigmas"), eta);
  const denoiser = (state, sigma) =>
    ask({ denoise: { x: nested(state, shape, "a state"), sigma } }, "denoised", shape);
  for (let n = 1; n < sigmas.length; n++) {
    const [s, t] = [sigmas[n - 1], sigmas[n]];
    const normals = normalsCount([s, t], eta) > 0 ? await draw(s, t, shape) : null;
    x = await step(denoiser, x, s, t, normals, eta);
  }
  return nested(x, shape, "the result");
}

/** The normals of a step. */
async function draw(s, t, shape) {
  const cuts = levels(s, t);
  const each = DEGREE * shape[0] * shape[1];
  const normals = new Float64Array(STRETCHES * each);
  for (let j = 0; j < STRETCHES; j++) {
    const noise = { from: cuts[j], to: cuts[j + 1], degree: DEGREE${form} };
    normals.set(await ask({ noise }, "noise", [DEGREE, ...shape]), j * each);
  }
  return normals;
}

for (;;) {
  try {
    const message = await receive();
    if (message === undefined) break;
    send({ result: await serve(message.run) });
  } catch (error) {
    send({ error: error.message });
  }
}
