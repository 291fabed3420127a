/* phi_k(z) = (e^z - sum_{j<k} z^j / j!) / z^k for k >= 1: sums of positive terms where this would cancel. */
static double phi(int k, double z)
{
    double factorial = 1.0, value;
    if (fabs(z) > 3.0) {
        value = expm1(z) / z;
        for (int j = 1; j < k; j++) {
            factorial *= j;
            value = (value - 1.0 / factorial) / z;
        }
        return value;
    }
    for (int j = 2; j <= k; j++)
        factorial *= j;
    double term = 1.0;
    value = 1.0;
    for (int n = 1; n < 30; n++) {
        term *= z < 0.0 ? -z / n : z / (n + k);
        value += z < 0.0 ? term * k / (n + k) : term;
    }
    return (z < 0.0 ? exp(z) * value : value) / factorial;
}

