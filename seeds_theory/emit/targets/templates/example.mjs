import { DEGREE, STRETCHES, sample } from "./${name}.mjs";
const denoiser = (x, sigma) => x.map((value) => value / (1 + sigma * sigma));
const x = Float64Array.of(7);
const sigmas = [10, 1, 0];
const normals = new Float64Array(STRETCHES * DEGREE); // your own; the step to level 0 takes none
normals[0] = 0.5;
const samples = await sample(denoiser, x, sigmas, normals, 1);
console.log(samples[0]);
