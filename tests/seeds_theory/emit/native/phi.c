/* Input: k and z, any number of times. Output: phi_k(z) and damped_phi_k(z). */
int main(void)
{
    int k;
    double z;
    while (scanf("%d %lf", &k, &z) == 2)
        printf("%.17g %.17g\n", phi(k, z), damped_phi(k, z));
    return 0;
}
