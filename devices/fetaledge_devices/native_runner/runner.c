/* fetaledge's runner for phones without Python: prepared frames in, logits and latencies out.
 *
 *   runner MODEL --frames DIR --threads N --samples K --warmup W [--masks DIR]
 *
 * DIR holds NAME.raw: frames already resized to the network's grid, uint8, H*W bytes. Every frame is run once; its
 * logits go to NAME.logits in --masks, float32 (C, h, w). Then K samples are timed, cycling over the frames. One JSON
 * document of the schema fetaledge/samples/1 is printed. Research software, not a medical device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "errors.h"
#include "frames.h"

enum { MOST = 10000000 };

static const struct engine *const engines[] = {&litert, &onnx};

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static double peak_rss_mb(void)
{
    char line[256];
    long kilobytes = -1;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %ld", &kilobytes) == 1) break;
    if (status) fclose(status);
    struct rusage usage;
    if (kilobytes < 0 && getrusage(RUSAGE_SELF, &usage) == 0) kilobytes = usage.ru_maxrss;
    return (double)kilobytes * 1024 / 1e6;
}

static long number(const char *option, const char *text, long least)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < least || value > MOST)
        fail(USAGE, "%s takes a number from %ld to %d and was given %s", option, least, MOST, text);
    return value;
}

/* A JSON string of a file's name up to its last dot. */
static void print_stem(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    putchar('"');
    for (const char *c = name; c != dot && *c; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
            printf("\\u%04x", (unsigned char)*c);
        else
            putchar(*c);
    putchar('"');
}

int main(int count, char **arguments)
{
    const char *path = NULL, *frames = NULL, *masks = NULL;
    long threads = 1, samples = 50, warmup = 5;
    for (int i = 1; i < count; i++) {
        const char *option = arguments[i];
        if (strncmp(option, "--", 2) != 0 && !path) {
            path = option;
            continue;
        }
        if (i + 1 == count) fail(USAGE, "%s is unknown or needs a value", option);
        const char *value = arguments[++i];
        if (strcmp(option, "--frames") == 0)
            frames = value;
        else if (strcmp(option, "--masks") == 0)
            masks = value;
        else if (strcmp(option, "--threads") == 0)
            threads = number(option, value, 1);
        else if (strcmp(option, "--samples") == 0)
            samples = number(option, value, 0);
        else if (strcmp(option, "--warmup") == 0)
            warmup = number(option, value, 0);
        else
            fail(USAGE, "%s is no option of this runner", option);
    }
    if (!path || !frames)
        fail(USAGE, "expected was MODEL --frames DIR [--threads N] [--samples K] [--warmup W] [--masks DIR]");

    const char *dot = strrchr(path, '.');
    const struct engine *engine = NULL;
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
        if (dot && strcmp(dot, engines[i]->suffix) == 0) engine = engines[i];
    struct stat facts;
    if (stat(path, &facts) != 0) fail(UNUSABLE, "%s cannot be read: %s", path, strerror(errno));
    if (!engine) fail(UNUSABLE, "%s has a suffix that no engine here runs, expected was .tflite or .onnx", path);
    int names_count;
    char **names = list_frames(frames, &names_count);

    hide_errors();
    struct model model = {0};
    double start = now_ms();
    engine->open(&model, path, (int)threads);
    double load_ms = now_ms() - start;

    if (masks && mkdir(masks, 0755) != 0 && errno != EEXIST) /* as the Python worker does */
        fail(UNUSABLE, "the folder %s cannot be made: %s", masks, strerror(errno));
    uint8_t *frame = allocate(model.height * model.width, 1);
    size_t values = model.classes * model.rows * model.columns;
    float *logits = allocate(values, sizeof *logits);
    for (int i = 0; i < names_count; i++) {
        read_frame(frames, names[i], &model, frame);
        engine->run(&model, frame, logits);
        if (masks) write_logits(masks, names[i], logits, values);
    }

    /* What is timed is what the Python engines' call takes, `kernel` in the records: the frame copied into the engine,
     * the network executed, the logits copied out as (C, h, w). Reading the file is not in it. */
    double *kernel_ms = allocate((size_t)samples, sizeof *kernel_ms);
    if (samples == 0) warmup = 0;
    for (long i = 0; i < warmup; i++) {
        read_frame(frames, names[i % names_count], &model, frame);
        engine->run(&model, frame, logits);
    }
    for (long i = 0; i < samples; i++) {
        read_frame(frames, names[i % names_count], &model, frame);
        start = now_ms();
        engine->run(&model, frame, logits);
        kernel_ms[i] = now_ms() - start;
    }

    printf("{\"schema\": \"fetaledge/samples/1\", \"variant\": ");
    print_stem(path);
    printf(", \"engine\": \"%s\", \"engine_version\": \"%s\", \"threads\": %ld, ", engine->name, engine->version(),
           threads);
    printf("\"load_ms\": %.4f, \"preprocess_ms\": null, \"kernel_ms\": [", load_ms);
    for (long i = 0; i < samples; i++) printf("%s%.4f", i ? ", " : "", kernel_ms[i]);
    printf("], \"postprocess_ms\": null, \"end_to_end_ms\": null, ");
    printf("\"peak_rss_mb\": %.3f, ", peak_rss_mb());
    printf("\"file_mb\": %.6f, \"logits\": [%zu, %zu, %zu]}\n", (double)facts.st_size / 1e6, model.classes, model.rows,
           model.columns);
    if (fflush(stdout) != 0) fail(UNUSABLE, "the answer cannot be written: %s", strerror(errno));
    _exit(0);
}
