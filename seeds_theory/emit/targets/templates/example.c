#include <stdio.h>
#include "${name}.h"
static int denoiser(void *context, const double *x, size_t size, double sigma, double *denoised)
{
    for (size_t k = 0; k < size; k++)
        denoised[k] = x[k] / (1 + sigma * sigma);
    (void)context;
    return 0;
}
int main(void)
{
    double x[] = {7.0}, sigmas[] = {10.0, 1.0, 0.0}, work[${NAME}_WORKSPACE];
    double normals[${NAME}_NORMALS] = {0.5};
    int status = ${name}_sample(denoiser, NULL, x, 1, sigmas, 3, normals, 1.0, work);
    printf("%.17g\n", x[0]);
    return status;
}
