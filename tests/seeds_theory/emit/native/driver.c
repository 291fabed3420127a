/*
 * Runs of an exported method, NAME, on a model of plain arithmetic. Input: eta, the count of levels and the
 * levels, the size of x and x, the count of normals and the normals; any number of times.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include HEADER

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

static int denoiser(void *context, const double *x, size_t size, double sigma, double *denoised)
{
    for (size_t k = 0; k < size; k++)
        denoised[k] = x[k] / (1.0 + fabs(x[k])) + 1.0 / (1.0 + sigma);
    return context != NULL;
}

static double *numbers(size_t *count)
{
    if (scanf("%zu", count) != 1)
        exit(2);
    double *values = malloc((*count + 1) * sizeof *values);
    for (size_t i = 0; i < *count; i++)
        if (values == NULL || scanf("%lf", &values[i]) != 1)
            exit(2);
    return values;
}

int main(void)
{
    double eta;
    while (scanf("%lf", &eta) == 1) {
        size_t count, size, drawn;
        double *sigmas = numbers(&count), *x = numbers(&size), *normals = numbers(&drawn);
        double *work = malloc(JOIN(UPPER, _WORKSPACE) * size * sizeof *work);
        int status = JOIN(NAME, _sample)(denoiser, NULL, x, size, sigmas, count, drawn > 0 ? normals : NULL, eta,
                                         work);
        if (status != 0) {
            printf("error: %s\n", JOIN(NAME, _message)(status));
        } else if (JOIN(NAME, _normals)(sigmas, count, eta) * size != drawn) {
            printf("error: the count of normals\n");
        } else {
            for (size_t k = 0; k < size; k++)
                printf("%.17g ", x[k]);
            printf("\n");
        }
        free(sigmas);
        free(x);
        free(normals);
        free(work);
    }
    return 0;
}
