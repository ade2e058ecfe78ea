/* ONNX Runtime on the CPU, through the function table of its C API.
 *
 * The table only ever grows at its end, so a function is called by its place in it; the places are those of version 21
 * of the interface (onnxruntime_c_api.h of ONNX Runtime 1.21, MIT), which every later library gives too.
 */
#include <stdint.h>

#include "engine.h"
#include "errors.h"
#include "frames.h"

enum { INTERFACE = 21, LOG_ERRORS = 3, FLOAT32 = 1, UINT8 = 2, ARENA = 1, DEFAULT_MEMORY = 0, RANKS = 4 };

typedef struct handle *Handle;

struct base {
    void *const *(*table)(uint32_t interface);
    const char *(*version)(void);
};

static const struct base *base;
static void *const *table;

/* A function of the table, by its place and the types of what it takes; it gives NULL, or the handle of an error. */
#define CALL(path, place, types, ...)                                                                                  \
    do {                                                                                                               \
        Handle wrong = ((Handle(*) types)table[place])(__VA_ARGS__);                                                   \
        if (wrong) refuse(path, wrong);                                                                                \
    } while (0)

enum place {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    DISABLE_TELEMETRY_EVENTS = 6,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_INTRA_OP_NUM_THREADS = 24,
    SET_INTER_OP_NUM_THREADS = 25,
    SESSION_GET_INPUT_COUNT = 30,
    SESSION_GET_OUTPUT_COUNT = 31,
    SESSION_GET_INPUT_TYPE_INFO = 33,
    SESSION_GET_OUTPUT_TYPE_INFO = 34,
    SESSION_GET_INPUT_NAME = 36,
    SESSION_GET_OUTPUT_NAME = 37,
    CREATE_TENSOR_WITH_DATA = 49,
    CAST_TYPE_INFO_TO_TENSOR_INFO = 55,
    GET_TENSOR_ELEMENT_TYPE = 60,
    GET_DIMENSIONS_COUNT = 61,
    GET_DIMENSIONS = 62,
    CREATE_CPU_MEMORY_INFO = 69,
    GET_ALLOCATOR_WITH_DEFAULT_OPTIONS = 78,
    RELEASE_VALUE = 96,
    ADD_SESSION_CONFIG_ENTRY = 130,
};

struct state {
    Handle session, memory;
    char *input, *output;
    const char *path;
};

static void refuse(const char *path, Handle wrong)
{
    fail(UNUSABLE, "%s: ONNX Runtime says %s", path, ((const char *(*)(Handle))table[GET_ERROR_MESSAGE])(wrong));
}

/* The shape of the only input or output; the type of its elements is given. */
static int tensor(const char *path, Handle session, enum place count, enum place info, int64_t *shape, size_t *ranks)
{
    size_t tensors;
    Handle type, facts;
    int element;
    CALL(path, count, (Handle, size_t *), session, &tensors);
    if (tensors != 1) fail(UNUSABLE, "%s has %zu inputs or outputs, expected was one each", path, tensors);
    CALL(path, info, (Handle, size_t, Handle *), session, 0, &type);
    CALL(path, CAST_TYPE_INFO_TO_TENSOR_INFO, (Handle, Handle *), type, &facts);
    if (!facts) fail(UNUSABLE, "%s takes or gives something else than a tensor", path);
    CALL(path, GET_TENSOR_ELEMENT_TYPE, (Handle, int *), facts, &element);
    CALL(path, GET_DIMENSIONS_COUNT, (Handle, size_t *), facts, ranks);
    if (*ranks == RANKS) CALL(path, GET_DIMENSIONS, (Handle, int64_t *, size_t), facts, shape, *ranks);
    return element;
}

static void open_model(struct model *model, const char *path, int threads)
{
    base = ((const struct base *(*)(void))symbol(library("libonnxruntime.so"), "OrtGetApiBase"))();
    table = base->table(INTERFACE);
    if (!table) fail(UNUSABLE, "ONNX Runtime %s is older than 1.21", base->version());

    Handle environment, options, allocator;
    struct state *state = allocate(1, sizeof *state);
    state->path = path;
    CALL(path, CREATE_ENV, (int, const char *, Handle *), LOG_ERRORS, "fetaledge", &environment);
    CALL(path, DISABLE_TELEMETRY_EVENTS, (Handle), environment);
    CALL(path, CREATE_SESSION_OPTIONS, (Handle *), &options);
    CALL(path, SET_INTRA_OP_NUM_THREADS, (Handle, int), options, threads);
    CALL(path, SET_INTER_OP_NUM_THREADS, (Handle, int), options, 1);
    /* As in the Python engine: threads may spin within a run, never after it. */
    CALL(path, ADD_SESSION_CONFIG_ENTRY, (Handle, const char *, const char *), options, "session.force_spinning_stop",
         "1");
    CALL(path, CREATE_SESSION, (Handle, const char *, Handle, Handle *), environment, path, options, &state->session);

    int64_t input[RANKS] = {0}, output[RANKS] = {0};
    size_t inputs, outputs;
    int taken = tensor(path, state->session, SESSION_GET_INPUT_COUNT, SESSION_GET_INPUT_TYPE_INFO, input, &inputs);
    int given = tensor(path, state->session, SESSION_GET_OUTPUT_COUNT, SESSION_GET_OUTPUT_TYPE_INFO, output, &outputs);
    check_shapes(path, taken == UINT8 && given == FLOAT32, input, inputs, output, outputs, 0, model);

    CALL(path, GET_ALLOCATOR_WITH_DEFAULT_OPTIONS, (Handle *), &allocator);
    CALL(path, SESSION_GET_INPUT_NAME, (Handle, size_t, Handle, char **), state->session, 0, allocator, &state->input);
    CALL(path, SESSION_GET_OUTPUT_NAME, (Handle, size_t, Handle, char **), state->session, 0, allocator,
         &state->output);
    CALL(path, CREATE_CPU_MEMORY_INFO, (int, int, Handle *), ARENA, DEFAULT_MEMORY, &state->memory);
    model->state = state;
}

static Handle wrap(const struct state *state, const void *data, size_t bytes, const int64_t *shape, int element)
{
    Handle value;
    CALL(state->path, CREATE_TENSOR_WITH_DATA, (Handle, const void *, size_t, const int64_t *, size_t, int, Handle *),
         state->memory, data, bytes, shape, RANKS, element, &value);
    return value;
}

static void run(struct model *model, const uint8_t *frame, float *logits)
{
    const struct state *state = model->state;
    const char *input_name = state->input, *output_name = state->output;
    int64_t taken[] = {1, 1, (int64_t)model->height, (int64_t)model->width};
    int64_t given[] = {1, (int64_t)model->classes, (int64_t)model->rows, (int64_t)model->columns};
    size_t values = model->classes * model->rows * model->columns;
    Handle input = wrap(state, frame, model->height * model->width, taken, UINT8);
    Handle output = wrap(state, logits, values * sizeof *logits, given, FLOAT32);
    CALL(state->path, RUN,
         (Handle, Handle, const char *const *, const Handle *, size_t, const char *const *, size_t, Handle *),
         state->session, NULL, &input_name, &input, 1, &output_name, 1, &output);
    ((void (*)(Handle))table[RELEASE_VALUE])(input);
    ((void (*)(Handle))table[RELEASE_VALUE])(output);
}

static const char *version(void) { return base->version(); }

const struct engine onnx = {".onnx", "ONNX Runtime", version, open_model, run};
