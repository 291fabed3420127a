// Input: k and z, any number of times. Output: phi_k(z) and damped_phi_k(z).
import { readFileSync } from "node:fs";

const words = readFileSync(0, "utf8").split(/\s+/).filter(Boolean).map(Number);
for (let i = 0; i < words.length; i += 2) {
  console.log(phi(words[i], words[i + 1]) + " " + damped_phi(words[i], words[i + 1]));
}
