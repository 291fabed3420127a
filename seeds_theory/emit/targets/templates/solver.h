/*
${header}
 *
${heading}
 *
 * Example, for Gaussian data of mean 0 and variance 1; compile it with ${name}.c and -lm. The normals are to be your
 * own; the step to level 0 takes none:
 *
${example}
 */
#ifndef ${NAME}_H
#define ${NAME}_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Model calls of a step. */
#define ${NAME}_CALLS ${calls}
/* Stretches of the path that a step draws noise of, in time order. */
#define ${NAME}_STRETCHES ${stretches}
/* Standard normals of a stretch: its noise, then what further moments of the path add. */
#define ${NAME}_DEGREE ${degree}
/* Standard normals of a step, for each number of x. */
#define ${NAME}_NORMALS (${NAME}_STRETCHES * ${NAME}_DEGREE)
/* Numbers of workspace, for each number of x. */
#define ${NAME}_WORKSPACE ${workspace}

enum ${name}_status {
    ${NAME}_OK = 0,
    ${NAME}_GRID_TOO_SHORT,      /* fewer than two levels, or none between infinity and 0 */
    ${NAME}_GRID_NOT_DESCENDING, /* a level is not below the one before it, or not a number */
    ${NAME}_LEVEL_OUT_OF_RANGE,  /* a level that is neither in [1e-100, 1e100], nor a first infinity or a last 0 */
    ${NAME}_ETA_OUT_OF_RANGE,    /* eta is negative or not finite */
    ${NAME}_NO_NORMALS,          /* normals is NULL where some are needed */
    ${NAME}_STOPPED              /* the denoiser did not return 0 */
};

/* One line about a status. */
const char *${name}_message(enum ${name}_status status);

/*
 * The denoiser D: writes the estimates of the clean data for the states x at the noise level sigma, size
 * numbers, to denoised. It returns 0; anything else ends the run. context is what the caller gave.
 */
typedef int (*${name}_denoiser)(void *context, const double *x, size_t size, double sigma,
                                double *denoised);

/* Whether a run on these count levels is possible, and if not, why. */
enum ${name}_status ${name}_check(const double *sigmas, size_t count, double eta);

/*
 * How many standard normals a run on these count levels takes, for each number of x: for a step
 * ${NAME}_NORMALS, from an infinite level 1, to level 0 none; at eta = 0 none at all.
 */
size_t ${name}_normals(const double *sigmas, size_t count, double eta);

/* The noise levels between which the stretches of a step from a finite s down to t > 0 lie. */
void ${name}_levels(double s, double t, double levels[${NAME}_STRETCHES + 1]);

/*
 * One step from level s down to t; x is overwritten with the states at t. Any number of samples may lie in the
 * size numbers of x one after the other. normals has the step's normals: of each stretch in time order its
 * ${NAME}_DEGREE normals, each of them size numbers; NULL will do if there are none. work has
 * ${NAME}_WORKSPACE * size numbers.
 */
enum ${name}_status ${name}_step(${name}_denoiser denoiser, void *context, double *x, size_t size, double s,
                                 double t, const double *normals, double eta, double *work);

/*
 * A run from the states x at sigmas[0] to those at sigmas[count - 1], which overwrite x. The levels descend;
 * the first may be infinite, where x is unit noise, the last 0. normals has ${name}_normals(...) * size
 * numbers: what each step takes, one step after the other.
 */
enum ${name}_status ${name}_sample(${name}_denoiser denoiser, void *context, double *x, size_t size,
                                   const double *sigmas, size_t count, const double *normals,
                                   double eta, double *work);

#ifdef __cplusplus
}
#endif

#endif
