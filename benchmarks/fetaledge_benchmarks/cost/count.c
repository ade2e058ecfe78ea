/*
 * Counts the A64 instructions that a program executes between two marks, by class: a plugin for qemu's user-mode
 * emulator (TCG plugin interface, version 1: qemu 4.2 to 9). Built without qemu's headers, which no package of Debian 12
 * ships: the few functions it needs are declared here, as qemu documents them.
 *
 *     cc -O2 -shared -fPIC -o count.so count.c
 *     qemu-aarch64 -plugin count.so,out=FILE program
 *
 * A mark is the system call getpriority(0xFE7A, w), which the kernel refuses and nothing else ever makes: w = 1 opens
 * the window, w = 0 closes it and appends one JSON line to FILE with the counts of every thread that ran within it.
 * Counting is per translated block and per thread, so that two threads never write one counter.
 *
 * Classes and sizes come from the encoding alone: Arm Architecture Reference Manual for A-profile, chapter C4, "A64
 * Instruction Set Encoding". The comments name its tables.
 *
 * Built with -DCLASSIFIER_ONLY it is a program that reads instruction words (hexadecimal) and prints what it makes of
 * them: that is how it is tested against a disassembler.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "a64_classes.h"

#ifdef CLASSIFIER_ONLY

int main(void)
{
    unsigned word;
    while (scanf("%x", &word) == 1) {
        struct meaning m = classify(word);
        printf("%08x %s %u %u\n", word, NAMES[m.class], m.loaded, m.stored);
    }
    return 0;
}

#else

typedef uint64_t plugin_id;
struct block;
struct instruction;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct block *, void (*)(unsigned, void *), int flags, void *);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t,
                                          uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
size_t qemu_plugin_tb_n_insns(const struct block *);
struct instruction *qemu_plugin_tb_get_insn(const struct block *, size_t);
const void *qemu_plugin_insn_data(const struct instruction *);

#define VISIBLE __attribute__((visibility("default")))
VISIBLE int qemu_plugin_version = 1;

enum { GETPRIORITY = 141, MARK = 0xFE7A, THREADS = 256 };

struct counts {
    uint64_t executed[CLASSES], loaded, stored;
};

static struct counts threads[THREADS];
static volatile bool counting;
static FILE *out;

static void execute(unsigned thread, void *what)
{
    if (!counting || thread >= THREADS) return;
    const struct counts *block = what;
    struct counts *sum = &threads[thread];
    for (int class = 0; class < CLASSES; class++) sum->executed[class] += block->executed[class];
    sum->loaded += block->loaded;
    sum->stored += block->stored;
}

static void translate(plugin_id id, struct block *block)
{
    (void)id;
    struct counts *counts = calloc(1, sizeof *counts); /* kept: qemu may run the block until the program ends */
    if (!counts) abort();
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i)), sizeof word);
        struct meaning meaning = classify(word);
        counts->executed[meaning.class]++;
        counts->loaded += meaning.loaded;
        counts->stored += meaning.stored;
    }
    qemu_plugin_register_vcpu_tb_exec_cb(block, execute, 0, counts);
}

static void report(unsigned marking)
{
    const char *separator = "";
    fprintf(out, "{\"marking_thread\": %u, \"threads\": {", marking);
    for (unsigned thread = 0; thread < THREADS; thread++) {
        uint64_t all = 0;
        for (int class = 0; class < CLASSES; class++) all += threads[thread].executed[class];
        if (!all) continue;
        fprintf(out, "%s\"%u\": {", separator, thread);
        for (int class = 0; class < CLASSES; class++)
            fprintf(out, "\"%s\": %llu, ", NAMES[class], (unsigned long long)threads[thread].executed[class]);
        fprintf(out, "\"bytes_loaded\": %llu, \"bytes_stored\": %llu}", (unsigned long long)threads[thread].loaded,
                (unsigned long long)threads[thread].stored);
        separator = ", ";
    }
    fprintf(out, "}}\n");
    fflush(out);
}

static void system_call(plugin_id id, unsigned thread, int64_t number, uint64_t which, uint64_t who, uint64_t a3,
                        uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != GETPRIORITY || which != MARK) return;
    if (who == 1) {
        memset(threads, 0, sizeof threads);
        counting = true;
    } else if (counting) {
        counting = false;
        report(thread);
    }
}

VISIBLE int qemu_plugin_install(plugin_id id, const void *info, int count, char **options)
{
    (void)info;
    for (int i = 0; i < count; i++)
        if (!strncmp(options[i], "out=", 4)) out = fopen(options[i] + 4, "w");
    if (!out) return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_vcpu_syscall_cb(id, system_call);
    return 0;
}

#endif
