/*
${header}
 *
 * ${method} behind a pipe: it serves runs as JSON lines on standard input and output, so that a program in any
 * language can check it. The messages: the book of seeds-theory, chapter "For implementers".
 *
 *     cc -O2 -o ${name} main.c ${name}.c -lm
 *     seeds-conformance check --method ${base} -- ./${name}
 *     seeds-audit "pipe:./${name}"
 */

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "${name}.h"

static const char method[] = "\"${method}\"", base[] = "\"${base}\"", prediction[] = "\"${prediction}\"";
static const double nodes[] = {${nodes}0}; /* c_2, c_3, ..., and a 0 behind them */
static const size_t node_count = sizeof nodes / sizeof *nodes - 1;
static const bool usual_nodes = ${usual_nodes}, usual_prediction = ${usual_prediction};

/* ------------------------------------------------------------------------------------------- memory */

struct array {
    double *values;
    size_t length, capacity;
};

static void *resized(void *memory, size_t bytes)
{
    memory = realloc(memory, bytes);
    if (memory == NULL) {
        fputs("${name}: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void reserve(struct array *array, size_t capacity)
{
    if (capacity > array->capacity) {
        array->capacity = capacity > 2 * array->capacity ? capacity : 2 * array->capacity;
        array->values = resized(array->values, array->capacity * sizeof *array->values);
    }
}

/* --------------------------------------------------------------------------------------------- JSON */

static char *line; /* the message that was read last; it ends with a 0 */

static bool read_line(void)
{
    static size_t capacity;
    size_t length = 0;
    int c;
    do {
        c = getchar();
        if (length == capacity) {
            capacity = capacity > 0 ? 2 * capacity : 4096;
            line = resized(line, capacity);
        }
        /* A 0 within the line must not end it; 1 is no part of JSON either. */
        line[length++] = (char)(c == EOF || c == '\n' ? 0 : c == 0 ? 1 : c);
    } while (c != EOF && c != '\n');
    return c != EOF || length > 1;
}

/* Functions from here to `value` take the place where something begins, and return that behind it, or NULL. */

static const char *blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static const char *digits(const char *at)
{
    const size_t count = strspn(at, "0123456789");
    return count > 0 ? at + count : NULL;
}

static const char *number(const char *at)
{
    at += *at == '-';
    at = *at == '0' ? at + 1 : digits(at);
    if (at != NULL && *at == '.')
        at = digits(at + 1);
    if (at != NULL && (*at == 'e' || *at == 'E')) {
        at++;
        at = digits(at + (*at == '+' || *at == '-'));
    }
    return at;
}

static const char *string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if (*at == '\\') {
            at++;
            if (*at == 'u' && strspn(at + 1, "0123456789abcdefABCDEF") < 4)
                return NULL;
            if (*at == 0 || strchr("\"\\/bfnrtu", *at) == NULL)
                return NULL;
        }
        if ((unsigned char)*at < ' ')
            return NULL;
    }
    return at + 1;
}

static const char *value(const char *at, int depth)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            return at + strlen(words[i]);
    if (*at == '"')
        return string(at);
    if (*at != '{' && *at != '[')
        return number(at);
    const bool object = *at == '{';
    const char close = object ? '}' : ']';
    if (depth == 0)
        return NULL;
    at = blanks(at + 1);
    if (*at == close)
        return at + 1;
    for (;; at = blanks(at + 1)) {
        if (object) {
            at = string(at);
            if (at == NULL || *(at = blanks(at)) != ':')
                return NULL;
            at = blanks(at + 1);
        }
        at = value(at, depth - 1);
        if (at == NULL || (*(at = blanks(at)) != ',' && *at != close))
            return NULL;
        if (*at == close)
            return at + 1;
    }
}

/* The line that was read, if it is a JSON object; otherwise NULL. */
static const char *message_of_line(void)
{
    const char *start = blanks(line), *end = *start == '{' ? value(start, 16) : NULL;
    return end != NULL && *blanks(end) == 0 ? start : NULL;
}

/* Members of an object that was checked: the first, the next of one, or NULL. A place is that of the name. */

static const char *first_member(const char *object)
{
    const char *at = blanks(object + 1);
    return *object == '{' && *at == '"' ? at : NULL;
}

static const char *value_of(const char *member)
{
    return blanks(blanks(string(member)) + 1);
}

static const char *next_member(const char *member)
{
    const char *at = blanks(value(value_of(member), 16));
    return *at == ',' ? blanks(at + 1) : NULL;
}

/* Whether a text stands there, its quotes included. */
static bool is(const char *at, const char *text)
{
    return strncmp(at, text, strlen(text)) == 0;
}

/* The value of an object's member, or NULL. */
static const char *find(const char *object, const char *name)
{
    for (const char *member = first_member(object); member != NULL; member = next_member(member))
        if (is(member, name))
            return value_of(member);
    return NULL;
}

/*
 * Appends the numbers of nested lists to an array: depth lists one in another, whose lengths are those of shape;
 * a length of 0 there becomes the one that is found. The text was checked.
 */
static bool numbers(const char **at, size_t depth, size_t *shape, struct array *array)
{
    if (depth == 0) {
        if (number(*at) == NULL)
            return false;
        reserve(array, array->length + 1);
        const double found = strtod(*at, NULL);
        array->values[array->length++] = found;
        *at = number(*at);
        return isfinite(found);
    }
    if (**at != '[')
        return false;
    size_t count = 0;
    for (*at = blanks(*at + 1); **at != ']'; count++) {
        if (!numbers(at, depth - 1, shape + 1, array))
            return false;
        *at = blanks(*at);
        if (**at == ',')
            *at = blanks(*at + 1);
    }
    ++*at;
    if (shape[0] == 0)
        shape[0] = count;
    return count > 0 && count == shape[0];
}

static bool read_numbers(const char *at, size_t depth, size_t *shape, struct array *array)
{
    return at != NULL && numbers(&at, depth, shape, array);
}

/* ------------------------------------------------------------------------------------- conversation */

struct client {
    size_t shape[2];   /* batch, and numbers of a sample */
    const char *fault; /* what went wrong, or NULL */
    struct array answer;
};

/* Notes what went wrong, and returns false. */
static bool fails(struct client *client, const char *fault)
{
    client->fault = fault;
    return false;
}

static bool is_finite(const double *x, size_t size)
{
    for (size_t k = 0; k < size; k++)
        if (!isfinite(x[k]))
            return false;
    return true;
}

static void print_states(const struct client *client, const double *x)
{
    for (size_t i = 0; i < client->shape[0]; i++)
        for (size_t j = 0; j < client->shape[1]; j++)
            printf("%s%.17g", j > 0 ? ", " : i > 0 ? "], [" : "[[", *x++);
    printf("]]");
}

/* Waits for the answer to what was printed, and appends its numbers to the array. */
static bool await(struct client *client, const char *name, size_t depth, size_t *shape, struct array *array)
{
    fflush(stdout);
    const char *message = read_line() ? message_of_line() : NULL;
    if (message == NULL || !read_numbers(find(message, name), depth, shape, array))
        return fails(client, "the answer has no finite numbers of the right shape");
    return true;
}

/* Asks for the estimates of the model. */
static int denoiser(void *context, const double *x, size_t size, double sigma, double *denoised)
{
    struct client *client = context;
    if (!is_finite(x, size)) {
        fails(client, "a state is not finite");
        return 1;
    }
    printf("{\"denoise\": {\"x\": ");
    print_states(client, x);
    printf(", \"sigma\": %.17g}}\n", sigma);
    client->answer.length = 0;
    if (!await(client, "\"denoised\"", 2, client->shape, &client->answer))
        return 1;
    memcpy(denoised, client->answer.values, size * sizeof *denoised);
    return 0;
}

/* Asks for the normals of a step. */
static bool draw(struct client *client, double s, double t, struct array *normals)
{
    double levels[${NAME}_STRETCHES + 1];
    ${name}_levels(s, t, levels);
    normals->length = 0;
    for (size_t j = 0; j < ${NAME}_STRETCHES; j++) {
        size_t shape[] = {${NAME}_DEGREE, client->shape[0], client->shape[1]};
        printf("{\"noise\": {\"from\": %.17g, \"to\": %.17g, \"degree\": %d${form}}}\n", levels[j],
               levels[j + 1], ${NAME}_DEGREE);
        if (!await(client, "\"noise\"", 3, shape, normals))
            return false;
    }
    return true;
}

/* Reads the options of a run; false if one asks for something else than this program has. */
static bool read_options(struct client *client, const char *options, double *eta)
{
    bool named = false, same_nodes = usual_nodes, same_prediction = usual_prediction;
    bool any_nodes = true, any_prediction = true;
    struct array *const given = &client->answer;
    if (*options != '{')
        return fails(client, "the options are no object");
    for (const char *member = first_member(options); member != NULL; member = next_member(member)) {
        const char *at = value_of(member);
        given->length = 0;
        if (is(member, "\"method\"")) {
            if (!is(at, base) && !is(at, method))
                return fails(client, "this program has the method ${method}");
            named = true;
            same_nodes |= is(at, method);
        } else if (is(member, "\"nodes\"")) {
            size_t count = node_count;
            any_nodes = false;
            same_nodes = node_count > 0 && read_numbers(at, 1, &count, given);
            for (size_t j = 0; same_nodes && j < node_count; j++)
                same_nodes = fabs(given->values[j] - nodes[j]) < 1e-12;
        } else if (is(member, "\"prediction\"")) {
            any_prediction = false;
            same_prediction = is(at, prediction);
        } else if (is(member, "\"eta\"")) {
            if (!read_numbers(at, 0, NULL, given))
                return fails(client, "eta is a number");
            *eta = given->values[0];
        } else {
            return fails(client, "the options of this program are method, nodes, prediction and eta");
        }
    }
    if (!same_nodes && (named || !any_nodes))
        return fails(client, "this program has other nodes");
    if (!same_prediction && (named || !any_prediction))
        return fails(client, "this program integrates the prediction of ${prediction}");
    return true;
}

/* Serves one run; false, with a fault, if it has no result. */
static bool serve(struct client *client, const char *message)
{
    static struct array x, sigmas, normals, work;
    const char *run = find(message, "\"run\"");
    if (run == NULL || *run != '{')
        return fails(client, "a conversation begins with a run");
    size_t count = 0;
    double eta = 1.0;
    client->shape[0] = client->shape[1] = x.length = sigmas.length = 0;
    if (!read_numbers(find(run, "\"x\""), 2, client->shape, &x))
        return fails(client, "x is a list of samples, each a list of finite numbers");
    if (!read_numbers(find(run, "\"sigmas\""), 1, &count, &sigmas))
        return fails(client, "sigmas is a list of finite numbers");
    const char *options = find(run, "\"options\"");
    if (options != NULL && !read_options(client, options, &eta))
        return false;
    enum ${name}_status status = ${name}_check(sigmas.values, count, eta);
    reserve(&work, ${NAME}_WORKSPACE * x.length);
    for (size_t n = 1; status == ${NAME}_OK && n < count; n++) {
        const double s = sigmas.values[n - 1], t = sigmas.values[n];
        if (${name}_normals(&sigmas.values[n - 1], 2, eta) > 0 && !draw(client, s, t, &normals))
            return false;
        status = ${name}_step(denoiser, client, x.values, x.length, s, t, normals.values, eta, work.values);
    }
    if (status != ${NAME}_OK)
        return fails(client, status == ${NAME}_STOPPED ? client->fault : ${name}_message(status));
    if (!is_finite(x.values, x.length))
        return fails(client, "the result is not finite");
    printf("{\"result\": ");
    print_states(client, x.values);
    printf("}\n");
    return true;
}

int main(void)
{
    struct client client = {{0, 0}, NULL, {NULL, 0, 0}};
    while (read_line()) {
        const char *message = message_of_line();
        if (message == NULL)
            fails(&client, "a line is no JSON object");
        if (message == NULL || !serve(&client, message))
            printf("{\"error\": \"%s\"}\n", client.fault);
        fflush(stdout);
    }
    return 0;
}
