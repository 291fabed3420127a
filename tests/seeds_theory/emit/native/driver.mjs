// Runs of an exported method on a model of plain arithmetic. Input: eta, the count of levels and the levels, the size
// of x and x, the count of normals and the normals; any number of times.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { sample } = await import(pathToFileURL(process.argv[2]));
const words = readFileSync(0, "utf8").split(/\s+/).filter(Boolean).map(Number);
const numbers = () => Float64Array.from(words.splice(0, words.shift()));
const denoiser = (x, sigma) => x.map((value) => value / (1 + Math.abs(value)) + 1 / (1 + sigma));

while (words.length > 0) {
  const eta = words.shift();
  const [sigmas, x, normals] = [numbers(), numbers(), numbers()];
  try {
    console.log((await sample(denoiser, x, sigmas, normals, eta)).join(" "));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.log("error: " + error.message);
  }
}
