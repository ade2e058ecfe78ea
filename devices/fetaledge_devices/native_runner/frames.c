#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "errors.h"
#include "frames.h"

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory) fail(UNUSABLE, "no memory is left for %zu values of %zu bytes", count, size);
    return memory;
}

static void join(char *path, const char *folder, const char *before, const char *name, const char *after)
{
    if (snprintf(path, PATH_LENGTH, "%s/%s%s%s", folder, before, name, after) >= PATH_LENGTH)
        fail(UNUSABLE, "%s/%s: the path is too long", folder, name);
}

static int is_frame(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 4 && strcmp(entry->d_name + length - 4, ".raw") == 0;
}

static int by_name(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name); /* by bytes, whatever the locale */
}

char **list_frames(const char *folder, int *count)
{
    struct dirent **entries;
    *count = scandir(folder, &entries, is_frame, by_name);
    if (*count < 0) fail(UNUSABLE, "%s cannot be read: %s", folder, strerror(errno));
    if (*count == 0) fail(UNUSABLE, "%s holds no frame, expected was NAME.raw", folder);
    char **names = allocate((size_t)*count, sizeof *names);
    for (int i = 0; i < *count; i++) {
        names[i] = entries[i]->d_name;
        names[i][strlen(names[i]) - 4] = 0;
    }
    return names;
}

void read_frame(const char *folder, const char *name, const struct model *model, uint8_t *frame)
{
    char path[PATH_LENGTH];
    join(path, folder, "", name, ".raw");
    size_t expected = model->height * model->width;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts;
    if (file < 0 || fstat(file, &facts) != 0) fail(UNUSABLE, "%s cannot be read: %s", path, strerror(errno));
    if ((size_t)facts.st_size != expected)
        fail(UNUSABLE, "%s has %lld bytes where the model takes %zu x %zu", path, (long long)facts.st_size,
             model->height, model->width);
    for (size_t have = 0; have < expected;) {
        ssize_t got = read(file, frame + have, expected - have);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) fail(UNUSABLE, "%s cannot be read: %s", path, got ? strerror(errno) : "it ended early");
        have += (size_t)got;
    }
    close(file);
}

void write_logits(const char *folder, const char *name, const float *logits, size_t count)
{
    char path[PATH_LENGTH], partial[PATH_LENGTH];
    join(path, folder, "", name, ".logits");
    join(partial, folder, ".", name, ".partial");
    FILE *file = fopen(partial, "wbe");
    int written = file && fwrite(logits, sizeof *logits, count, file) == count;
    if (file && fclose(file) != 0) written = 0;
    if (!written || rename(partial, path) != 0) {
        int reason = errno;
        unlink(partial);
        fail(UNUSABLE, "%s cannot be written: %s", path, strerror(reason));
    }
}
