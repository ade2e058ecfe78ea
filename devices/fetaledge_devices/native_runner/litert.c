/* LiteRT on the CPU with XNNPACK, through the C API that ai-edge-litert's libLiteRt.so exports.
 *
 * The prototypes are those of LiteRT 2.3's public C headers (Apache-2.0), declared by hand: its wheel has no headers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "errors.h"
#include "frames.h"

#ifndef LITERT_VERSION
#error "LITERT_VERSION is the version of the wheel that the library is taken from: the library does not tell its own"
#endif

typedef struct handle *Handle;

enum { OK = 0, CPU = 1, FLOAT32 = 1, UINT8 = 3, READ = 0, WRITE = 1, RANKS = 8 };

typedef struct {
    int element;
    unsigned rank : 7, has_strides : 1;
    int32_t dimensions[RANKS];
    uint32_t strides[RANKS];
} TensorType;

#define EACH_FUNCTION(X)                                                                                               \
    X(CreateEnvironment, (int options, const void *option, Handle *environment))                                       \
    X(CreateModelFromFile, (Handle environment, const char *path, Handle *model))                                      \
    X(GetMainModelSubgraphIndex, (Handle model, size_t *index))                                                        \
    X(GetModelSubgraph, (Handle model, size_t index, Handle *graph))                                                   \
    X(GetNumSubgraphInputs, (Handle graph, size_t *count))                                                             \
    X(GetNumSubgraphOutputs, (Handle graph, size_t *count))                                                            \
    X(GetSubgraphInput, (Handle graph, size_t index, Handle *tensor))                                                  \
    X(GetSubgraphOutput, (Handle graph, size_t index, Handle *tensor))                                                 \
    X(GetRankedTensorType, (Handle tensor, TensorType * type))                                                         \
    X(CreateOptions, (Handle * options))                                                                               \
    X(SetOptionsHardwareAccelerators, (Handle options, int accelerators))                                              \
    X(CreateOpaqueOptions, (const char *name, void *text, void (*release)(void *), Handle *))                          \
    X(AddOpaqueOptions, (Handle options, Handle opaque))                                                               \
    X(CreateCompiledModel, (Handle environment, Handle model, Handle options, Handle * made))                          \
    X(GetCompiledModelInputBufferRequirements, (Handle, size_t signature, size_t index, Handle *))                     \
    X(GetCompiledModelOutputBufferRequirements, (Handle, size_t signature, size_t index, Handle *))                    \
    X(CreateManagedTensorBufferFromRequirements, (Handle, const TensorType *, Handle requirements, Handle *buffer))    \
    X(LockTensorBuffer, (Handle buffer, void **memory, int mode))                                                      \
    X(UnlockTensorBuffer, (Handle buffer))                                                                             \
    X(RunCompiledModel, (Handle, size_t signature, size_t inputs, Handle *input, size_t outputs, Handle *output))

#define MEMBER(name, arguments) int(*name) arguments;
static struct {
    EACH_FUNCTION(MEMBER)
} api;

struct state {
    Handle compiled, input, output;
    const char *path;
};

#define CALL(path, function, ...)                                                                                      \
    do {                                                                                                               \
        int status = api.function(__VA_ARGS__);                                                                        \
        if (status != OK) fail(UNUSABLE, "%s: LiteRT's %s gave status %d%s", path, #function, status, engine_said());  \
    } while (0)

static void widen(const TensorType *type, int64_t *shape)
{
    for (unsigned i = 0; i < type->rank && i < RANKS; i++) shape[i] = type->dimensions[i];
}

static void open_model(struct model *model, const char *path, int threads)
{
    void *loaded = library("libLiteRt.so");
#define FIND(name, arguments) *(void **)&api.name = symbol(loaded, "LiteRt" #name);
    EACH_FUNCTION(FIND)

    Handle environment, file, graph, tensor, options, opaque, needs;
    TensorType taken, given;
    size_t index, inputs, outputs;
    CALL(path, CreateEnvironment, 0, NULL, &environment);
    CALL(path, CreateModelFromFile, environment, path, &file);
    CALL(path, GetMainModelSubgraphIndex, file, &index);
    CALL(path, GetModelSubgraph, file, index, &graph);
    CALL(path, GetNumSubgraphInputs, graph, &inputs);
    CALL(path, GetNumSubgraphOutputs, graph, &outputs);
    if (inputs != 1 || outputs != 1)
        fail(UNUSABLE, "%s takes %zu and gives %zu tensors, expected was one each", path, inputs, outputs);
    CALL(path, GetSubgraphInput, graph, 0, &tensor);
    CALL(path, GetRankedTensorType, tensor, &taken);
    CALL(path, GetSubgraphOutput, graph, 0, &tensor);
    CALL(path, GetRankedTensorType, tensor, &given);
    int64_t input[RANKS] = {0}, output[RANKS] = {0};
    widen(&taken, input);
    widen(&given, output);
    check_shapes(path, taken.element == UINT8 && given.element == FLOAT32, input, taken.rank, output, given.rank, 1,
                 model);

    char *text = allocate(64, 1); /* LiteRT keeps it, and frees it with the options */
    snprintf(text, 64, "num_threads = %d\n", threads);
    CALL(path, CreateOptions, &options);
    CALL(path, SetOptionsHardwareAccelerators, options, CPU);
    CALL(path, CreateOpaqueOptions, "xnnpack", text, free, &opaque);
    CALL(path, AddOpaqueOptions, options, opaque);

    struct state *state = allocate(1, sizeof *state);
    state->path = path;
    CALL(path, CreateCompiledModel, environment, file, options, &state->compiled);
    CALL(path, GetCompiledModelInputBufferRequirements, state->compiled, 0, 0, &needs);
    CALL(path, CreateManagedTensorBufferFromRequirements, environment, &taken, needs, &state->input);
    CALL(path, GetCompiledModelOutputBufferRequirements, state->compiled, 0, 0, &needs);
    CALL(path, CreateManagedTensorBufferFromRequirements, environment, &given, needs, &state->output);
    model->state = state;
}

static void run(struct model *model, const uint8_t *frame, float *logits)
{
    struct state *state = model->state;
    void *memory;
    CALL(state->path, LockTensorBuffer, state->input, &memory, WRITE);
    memcpy(memory, frame, model->height * model->width);
    CALL(state->path, UnlockTensorBuffer, state->input);
    CALL(state->path, RunCompiledModel, state->compiled, 0, 1, &state->input, 1, &state->output);
    CALL(state->path, LockTensorBuffer, state->output, &memory, READ);
    channels_first(model, memory, logits);
    CALL(state->path, UnlockTensorBuffer, state->output);
}

static const char *version(void) { return LITERT_VERSION; }

const struct engine litert = {".tflite", "LiteRT", version, open_model, run};
