/** e^{-z} phi_k(z), which is finite for every z >= 0. */
function damped_phi(k, z) {
  if (z <= 3) return exp(-z) * phi(k, z);
  let factorial = 1;
  let value = phi(1, -z);
  for (let j = 1; j < k; j++) {
    factorial *= j;
    value = (value - exp(-z) / factorial) / z;
  }
  return value;
}

