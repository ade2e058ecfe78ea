/* Classes of A64 instructions, and the bytes that they move: a decoder by the tables of the architecture. */

#pragma once

#include <stdbool.h>
#include <stdint.h>

enum class {
    INTEGER, INTEGER_MULTIPLY, BRANCH, SYSTEM,
    LOAD, STORE, ATOMIC, VECTOR_LOAD, VECTOR_STORE,
    SCALAR_FLOAT, TRANSFER, FMA, FMA_64, FLOAT, FLOAT_64, DOT_PRODUCT, MATRIX_MULTIPLY, MULTIPLY, SHIFT, VECTOR_INTEGER,
    OTHER, CLASSES
};

static const char *const NAMES[CLASSES] = {
    "integer", "integer_multiply", "branch", "system",
    "load", "store", "atomic", "vector_load", "vector_store",
    "scalar_float", "transfer", "vector_fma", "vector_fma_64", "vector_float", "vector_float_64", "dot_product", "matrix_multiply",
    "vector_multiply", "vector_shift", "vector_integer",
    "other",
};

struct meaning {
    enum class class;
    unsigned loaded, stored; /* bytes */
};

static uint32_t bits(uint32_t word, int high, int low) { return (word >> low) & ((1u << (high - low + 1)) - 1); }

static bool matches(uint32_t word, uint32_t mask, uint32_t value) { return (word & mask) == value; }

static struct meaning moved(bool vector, bool load, unsigned bytes)
{
    enum class class = vector ? (load ? VECTOR_LOAD : VECTOR_STORE) : (load ? LOAD : STORE);
    return (struct meaning){class, load ? bytes : 0, load ? 0 : bytes};
}

/* "Advanced SIMD load/store multiple structures" and "... single structure", each with and without post-index. */
static struct meaning structure(uint32_t word)
{
    bool load = bits(word, 22, 22);
    unsigned whole = bits(word, 30, 30) ? 16 : 8, size = bits(word, 11, 10);
    if (!bits(word, 24, 24)) {
        switch (bits(word, 15, 12)) {
        case 0: case 2: return moved(true, load, 4 * whole);
        case 4: case 6: return moved(true, load, 3 * whole);
        case 8: case 10: return moved(true, load, 2 * whole);
        default: return moved(true, load, whole);
        }
    }
    unsigned elements = (bits(word, 13, 13) << 1 | bits(word, 21, 21)) + 1;
    switch (bits(word, 15, 14)) {
    case 0: return moved(true, load, elements);
    case 1: return moved(true, load, elements * 2);
    case 2: return moved(true, load, elements * (size & 1 ? 8 : 4));
    default: return moved(true, load, elements << size); /* one element to every lane */
    }
}

/* "Load/store exclusive pair", "... exclusive register", "... ordered", "Compare and swap (pair)". */
static struct meaning exclusive(uint32_t word)
{
    unsigned bytes = 1u << bits(word, 31, 30);
    bool load = bits(word, 22, 22), ordered = bits(word, 23, 23), pair = bits(word, 21, 21);
    if (ordered && pair) return (struct meaning){ATOMIC, bytes, bytes};
    if (!ordered && pair) {
        if (bits(word, 31, 31)) return moved(false, load, 2 * bytes);
        unsigned both = bits(word, 30, 30) ? 16 : 8;
        return (struct meaning){ATOMIC, both, both};
    }
    return moved(false, load, bytes);
}

/* The forms of one register: "unsigned immediate", "unscaled", "immediate post- and pre-indexed", "unprivileged",
 * "register offset". */
static struct meaning one_register(uint32_t word)
{
    unsigned size = bits(word, 31, 30), opc = bits(word, 23, 22);
    if (bits(word, 26, 26)) return moved(true, opc & 1, opc & 2 ? 16 : 1u << size);
    if (opc == 2 && size == 3) return moved(false, true, 0); /* prefetch: a place in the load pipeline, no bytes */
    return moved(false, opc != 0, 1u << size);
}

/* "Loads and stores". */
static struct meaning memory(uint32_t word)
{
    bool vector = bits(word, 26, 26);
    unsigned opc = bits(word, 31, 30);
    if (matches(word, 0xBE000000, 0x0C000000)) return structure(word);
    if (matches(word, 0x3F000000, 0x08000000)) return exclusive(word);
    if (matches(word, 0x3B000000, 0x18000000)) { /* "Load register (literal)" */
        if (vector) return moved(true, true, 4u << opc);
        return moved(false, true, opc == 3 ? 0 : opc == 1 ? 8 : 4);
    }
    if (matches(word, 0x3F200C00, 0x19000000)) return one_register(word); /* "LDAPR/STLR (unscaled immediate)" */
    if (matches(word, 0x3A000000, 0x28000000)) {                          /* the tables of pairs */
        bool load = bits(word, 22, 22);
        if (vector) return moved(true, load, 2 * (4u << opc));
        return moved(false, load, opc == 2 || (opc == 1 && !load) ? 16 : 8);
    }
    if (matches(word, 0x3B200000, 0x38000000) || matches(word, 0x3B200C00, 0x38200800) ||
        matches(word, 0x3B000000, 0x39000000))
        return one_register(word);
    if (matches(word, 0x3FFFFC00, 0x38BFC000)) return moved(false, true, 1u << opc); /* LDAPR */
    if (matches(word, 0x3F200C00, 0x38200000)) return (struct meaning){ATOMIC, 1u << opc, 1u << opc};
    if (matches(word, 0xFF200400, 0xF8200400)) return moved(false, true, 8); /* "Load register (PAC)" */
    return (struct meaning){OTHER, 0, 0};
}

static enum class wide(uint32_t word, enum class full, enum class half) { return bits(word, 30, 30) ? full : half; }

/* The tables of Advanced SIMD whose bit 28 is 0: vectors. */
static enum class vector(uint32_t word)
{
    bool u = bits(word, 29, 29);
    uint32_t opcode;
    if (bits(word, 24, 24)) {
        if (bits(word, 10, 10)) {
            if (bits(word, 23, 19) == 0) return VECTOR_INTEGER; /* "modified immediate" */
            opcode = bits(word, 15, 11);                        /* "shift by immediate"; two of them convert */
            return opcode == 0x1C || opcode == 0x1F ? wide(word, FLOAT, FLOAT_64) : SHIFT;
        }
        opcode = bits(word, 15, 12); /* "vector x indexed element" */
        if (u ? opcode == 8 || opcode == 12 : opcode == 0 || opcode == 1 || opcode == 4 || opcode == 5)
            return wide(word, FMA, FMA_64); /* FMLA, FMLS, FMLAL, FMLSL */
        if (opcode == 9 || (u && (opcode & 9) == 1)) return wide(word, FLOAT, FLOAT_64); /* FMUL, FMULX, FCMLA */
        if (opcode == 15 && !u && bits(word, 23, 22) == 3) return FMA; /* BFMLALB, BFMLALT */
        if (opcode == 14 || (opcode == 15 && !u)) return DOT_PRODUCT;
        return MULTIPLY;
    }
    if (matches(word, 0x00200400, 0x00200400)) { /* "three same" */
        opcode = bits(word, 15, 11);
        bool halves = bits(word, 22, 22) == 0; /* with U of FMLA's opcode, FMLAL2 and FMLSL2; 0x1D: FMLAL and FMLSL */
        if ((opcode == 0x19 && (!u || halves)) || (opcode == 0x1D && !u && halves)) return wide(word, FMA, FMA_64);
        if (opcode >= 0x18) return wide(word, FLOAT, FLOAT_64);
        if (opcode == 0x12 || opcode == 0x13 || opcode == 0x16) return MULTIPLY;
        return opcode >= 0x08 && opcode <= 0x0B ? SHIFT : VECTOR_INTEGER;
    }
    if (matches(word, 0x00208400, 0x00008400)) { /* "three-register extension" */
        opcode = bits(word, 14, 11);
        if (opcode < 2) return MULTIPLY;
        if (opcode == 2 || opcode == 3 || (opcode == 15 && bits(word, 23, 22) == 1)) return DOT_PRODUCT;
        if (opcode == 4 || opcode == 5 || opcode == 13) return MATRIX_MULTIPLY;
        return opcode == 15 ? FMA : wide(word, FLOAT, FLOAT_64);
    }
    if (matches(word, 0x0060C400, 0x00400400)) /* "three same (FP16)" */
        return bits(word, 13, 11) == 1 ? wide(word, FMA, FMA_64) : wide(word, FLOAT, FLOAT_64);
    if (matches(word, 0x00200C00, 0x00200000)) { /* "three different" */
        opcode = bits(word, 15, 12);
        return opcode >= 8 && opcode != 15 ? MULTIPLY : VECTOR_INTEGER;
    }
    if (matches(word, 0x003E0C00, 0x00200800)) { /* "two-register miscellaneous" */
        opcode = bits(word, 16, 12);
        if (opcode == 0x13) return SHIFT; /* SHLL */
        bool estimate = opcode == 0x1C && bits(word, 23, 23); /* URECPE, URSQRTE: float pipelines, integer values */
        if ((opcode >= 0x0C && opcode <= 0x0F) || opcode == 0x16 || opcode == 0x17 || opcode >= 0x18 || estimate)
            return wide(word, FLOAT, FLOAT_64);
        return VECTOR_INTEGER;
    }
    if (matches(word, 0x007E0C00, 0x00780800)) return wide(word, FLOAT, FLOAT_64); /* "... miscellaneous (FP16)" */
    if (matches(word, 0x003E0C00, 0x00300800)) {                                   /* "across lanes" */
        opcode = bits(word, 16, 12);
        return opcode == 0x0C || opcode == 0x0F ? wide(word, FLOAT, FLOAT_64) : VECTOR_INTEGER;
    }
    if (matches(word, 0x01E08400, 0x00000400)) { /* "copy": to or from a general register, or within vectors */
        opcode = bits(word, 14, 11);
        return !u && (opcode == 1 || opcode == 3 || opcode == 5 || opcode == 7) ? TRANSFER : VECTOR_INTEGER;
    }
    return VECTOR_INTEGER; /* "permute", "extract", "table lookup", AES */
}

/* "Data processing -- scalar floating-point and Advanced SIMD". */
static enum class floating(uint32_t word)
{
    if (matches(word, 0x90000000, 0x00000000)) return vector(word);
    if (matches(word, 0xD0000000, 0x50000000)) return SCALAR_FLOAT; /* the tables of Advanced SIMD scalars */
    if (matches(word, 0x5F20FC00, 0x1E200000)) return TRANSFER; /* "conversion between floating-point and integer" */
    if (matches(word, 0x50000000, 0x10000000)) return SCALAR_FLOAT;
    return matches(word, 0xF0000000, 0xC0000000) ? VECTOR_INTEGER : OTHER; /* SHA-3, SHA-512, SM3, SM4 */
}

/* "A64 instruction set encoding": the top level, by bits 28 to 25. */
static struct meaning classify(uint32_t word)
{
    uint32_t group = bits(word, 28, 25);
    enum class class = OTHER;
    if ((group & 5) == 4) return memory(word);
    if ((group & 14) == 8) class = INTEGER;
    else if ((group & 14) == 10) class = matches(word, 0xFE000000, 0xD4000000) ? SYSTEM : BRANCH;
    else if ((group & 7) == 5) {
        bool divides = matches(word, 0x7FE0F800, 0x1AC00800);
        class = matches(word, 0x1F000000, 0x1B000000) || divides ? INTEGER_MULTIPLY : INTEGER;
    } else if ((group & 7) == 7) class = floating(word);
    return (struct meaning){class, 0, 0};
}
