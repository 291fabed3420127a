/* e^{-z} phi_k(z), which is finite for every z >= 0. */
static double damped_phi(int k, double z)
{
    if (z <= 3.0)
        return exp(-z) * phi(k, z);
    double factorial = 1.0, value = phi(1, -z);
    for (int j = 1; j < k; j++) {
        factorial *= j;
        value = (value - exp(-z) / factorial) / z;
    }
    return value;
}

