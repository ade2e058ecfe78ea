/* The files that the runner takes and gives: NAME.raw, uint8 frames, and NAME.logits, float32 (C, h, w). */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { PATH_LENGTH = 4096 };

struct model;

/* Zeroed memory, or the end of the process. */
void *allocate(size_t count, size_t size);

/* Names of the frames in a folder, without their suffix, in order. */
char **list_frames(const char *folder, int *count);

void read_frame(const char *folder, const char *name, const struct model *model, uint8_t *frame);

/* Under another name first: a file NAME.logits is whole. */
void write_logits(const char *folder, const char *name, const float *logits, size_t count);
