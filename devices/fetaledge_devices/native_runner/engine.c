#include <dlfcn.h>
#include <string.h>

#include "engine.h"
#include "errors.h"

void *library(const char *file)
{
    void *loaded = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!loaded) fail(UNUSABLE, "%s cannot be loaded: %s", file, dlerror());
    return loaded;
}

void *symbol(void *loaded, const char *name)
{
    void *found = dlsym(loaded, name);
    if (!found) fail(UNUSABLE, "the engine's library has no %s: it is of another version than this runner", name);
    return found;
}

void check_shapes(const char *path, int right_types, const int64_t *input, size_t inputs, const int64_t *output,
                  size_t outputs, int channel_last, struct model *model)
{
    int right = right_types && inputs == 4 && outputs == 4 && input[0] == 1 && output[0] == 1 &&
                input[channel_last ? 3 : 1] == 1;
    for (size_t i = 0; right && i < 4; i++) right = input[i] > 0 && output[i] > 0;
    if (!right)
        fail(UNUSABLE, "%s does not take one uint8 frame of a fixed size and give float32 logits in 4 dimensions",
             path);
    int grid = channel_last ? 1 : 2;
    model->height = (size_t)input[grid], model->width = (size_t)input[grid + 1];
    model->rows = (size_t)output[grid], model->columns = (size_t)output[grid + 1];
    model->classes = (size_t)output[channel_last ? 3 : 1];
}

void channels_first(const struct model *model, const float *logits, float *given)
{
    size_t pixels = model->rows * model->columns, classes = model->classes;
    if (classes == 1) {
        memcpy(given, logits, pixels * sizeof *given);
        return;
    }
    for (size_t c = 0; c < classes; c++)
        for (size_t i = 0; i < pixels; i++) given[c * pixels + i] = logits[i * classes + c];
}
