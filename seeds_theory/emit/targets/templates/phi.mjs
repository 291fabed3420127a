/** phi_k(z) = (e^z - sum_{j<k} z^j / j!) / z^k for k >= 1: sums of positive terms where this would cancel. */
function phi(k, z) {
  let factorial = 1;
  if (abs(z) > 3) {
    let value = expm1(z) / z;
    for (let j = 1; j < k; j++) {
      factorial *= j;
      value = (value - 1 / factorial) / z;
    }
    return value;
  }
  for (let j = 2; j <= k; j++) factorial *= j;
  let term = 1;
  let value = 1;
  for (let n = 1; n < 30; n++) {
    term *= z < 0 ? -z / n : z / (n + k);
    value += z < 0 ? (term * k) / (n + k) : term;
  }
  return (z < 0 ? exp(z) * value : value) / factorial;
}

