/* What the runner asks of an engine: open a model, run one frame. Each engine is one file; its library is dlopen-ed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct model {
    size_t height, width;          /* of the uint8 frame that it takes */
    size_t classes, rows, columns; /* of the float32 logits that it gives, in the order (C, h, w) */
    void *state;
};

struct engine {
    const char *suffix, *name;
    const char *(*version)(void);
    void (*open)(struct model *model, const char *path, int threads);
    /* Copies the frame in, executes the network and copies the logits out, as (C, h, w). */
    void (*run)(struct model *model, const uint8_t *frame, float *logits);
};

extern const struct engine litert, onnx;

/* Quits unless the shapes are those of one grey frame and of logits in four dimensions. */
void check_shapes(const char *path, int right_types, const int64_t *input, size_t inputs, const int64_t *output,
                  size_t outputs, int channel_last, struct model *model);

/* (h, w, C) to (C, h, w). */
void channels_first(const struct model *model, const float *logits, float *given);

void *library(const char *file);
void *symbol(void *library, const char *name);
