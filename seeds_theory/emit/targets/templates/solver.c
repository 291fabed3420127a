/*
${header}
 *
 * ${summary}
 * What it computes and how it is called: ${name}.h.
 */

#include "${name}.h"

#include <math.h>
#include <string.h>

${helpers}const char *${name}_message(enum ${name}_status status)
{
    switch (status) {
    case ${NAME}_OK:
        return "all is well";
    case ${NAME}_GRID_TOO_SHORT:
        return "a grid has two or more noise levels, one of them finite and above 0";
    case ${NAME}_GRID_NOT_DESCENDING:
        return "noise levels are numbers that descend strictly";
    case ${NAME}_LEVEL_OUT_OF_RANGE:
        return "noise levels lie between 1e-100 and 1e100; the first may be infinite, the last 0";
    case ${NAME}_ETA_OUT_OF_RANGE:
        return "eta is a finite number >= 0";
    case ${NAME}_NO_NORMALS:
        return "a run with eta > 0 needs normals";
    case ${NAME}_STOPPED:
        return "the denoiser ended the run";
    }
    return "unknown status";
}

enum ${name}_status ${name}_check(const double *sigmas, size_t count, double eta)
{
    if (count < 2 || (isinf(sigmas[0]) && sigmas[1] == 0))
        return ${NAME}_GRID_TOO_SHORT;
    for (size_t n = 1; n < count; n++)
        if (!(sigmas[n] < sigmas[n - 1]))
            return ${NAME}_GRID_NOT_DESCENDING;
    /* They descend: the largest and the smallest finite level above 0 speak for all. */
    const double highest = isinf(sigmas[0]) ? sigmas[1] : sigmas[0];
    const double lowest = sigmas[count - 1] == 0 ? sigmas[count - 2] : sigmas[count - 1];
    if (highest > 1e100 || lowest < 1e-100)
        return ${NAME}_LEVEL_OUT_OF_RANGE;
    return eta >= 0 && isfinite(eta) ? ${NAME}_OK : ${NAME}_ETA_OUT_OF_RANGE;
}

size_t ${name}_normals(const double *sigmas, size_t count, double eta)
{
    size_t total = 0;
    for (size_t n = 1; eta > 0 && n < count; n++)
        if (sigmas[n] > 0)
            total += isinf(sigmas[n - 1]) ? 1 : ${NAME}_NORMALS;
    return total;
}

void ${name}_levels(double s, double t, double levels[${NAME}_STRETCHES + 1])
{
${levels}
}

enum ${name}_status ${name}_step(${name}_denoiser denoiser, void *context, double *x, size_t size, double s,
                                 double t, const double *normals, double eta, double *work)
{
    const double ends[2] = {s, t};
    const enum ${name}_status status = ${name}_check(ends, 2, eta);
    if (status != ${NAME}_OK)
        return status;
    if (normals == NULL && ${name}_normals(ends, 2, eta) > 0)
        return ${NAME}_NO_NORMALS;

    double *const f_1 = work;
    if (denoiser(context, x, size, s, f_1) != 0)
        return ${NAME}_STOPPED;
    if (t == 0) {
        memcpy(x, f_1, size * sizeof *x);
        return ${NAME}_OK;
    }
    if (isinf(s)) {
        for (size_t k = 0; k < size; k++)
            x[k] = f_1[k] + t * (eta > 0 ? normals[k] : x[k]);
        return ${NAME}_OK;
    }

${coefficients}

${stages}
    return ${NAME}_OK;
}

enum ${name}_status ${name}_sample(${name}_denoiser denoiser, void *context, double *x, size_t size,
                                   const double *sigmas, size_t count, const double *normals,
                                   double eta, double *work)
{
    enum ${name}_status status = ${name}_check(sigmas, count, eta);
    if (status == ${NAME}_OK && normals == NULL && ${name}_normals(sigmas, count, eta) > 0)
        status = ${NAME}_NO_NORMALS;
    for (size_t n = 1; status == ${NAME}_OK && n < count; n++) {
        status = ${name}_step(denoiser, context, x, size, sigmas[n - 1], sigmas[n], normals, eta, work);
        if (normals != NULL)
            normals += ${name}_normals(sigmas + n - 1, 2, eta) * size;
    }
    return status;
}
