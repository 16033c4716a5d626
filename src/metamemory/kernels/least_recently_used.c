/* One step of a memory with least recently used access, and its backward pass: the formulas of least_recently_used.py,
   which calls these functions. Every episode of the batch is on its own. Both return 0, or 1 where there is no memory for
   what a thread needs besides, or 2 where a slot is named that is not there.

   Shapes, an episode: keys and values [heads, width], gates [heads], memory [width, slots], weights [heads, slots],
   usage and norms [slots], least [heads] (the least used slots, the very least first). Slots lie side by side, so that
   LANES of them are worked on at once and sums over the width need no adding up across lanes.

   With VALUES 1 what is written are values; else it is the keys, and values are null. With OWN_SLOTS 1 each head writes
   to one of the least used slots, in order; else every head writes to all of them. */

#include <stdlib.h>

#include "functions.h"
#include "threads.h"
#include "vectors.h"

/* Loops over heads and over the width of a slot are short: the compiler is told their lengths, HEADS and WIDTH. */
enum { heads = HEADS, width = WIDTH, has_values = VALUES };

/* On the stack are only arrays with a place for each head; least_recently_used.py asks for no more heads than this. */
_Static_assert(HEADS <= 64, "too many heads");

typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define PART static inline __attribute__((always_inline))

/* Where a head finds which slots are fresh, of what is there for all heads or for each. */
enum { fresh_maps = OWN_SLOTS ? HEADS : 1 };
#define FRESH(fresh, r, slots) ((fresh) + (OWN_SLOTS ? (r) * (slots) : 0))

/* Does PART_OF_STEP(i, n, part) for the slots from i on, n at a time: LANES, which the compiler then knows, and the rest.
   `part` is where a sum over slots takes them, of its PARTS. */
#define OVER_SLOTS(PART_OF_STEP)                                                                   \
    do {                                                                                           \
        long at = 0;                                                                               \
        for (; at + APART <= slots; at += APART)                                                   \
            for (int part = 0; part < PARTS; part++) PART_OF_STEP(at + part * LANES, LANES, part); \
        for (int part = 0; part < PARTS; part++, at += LANES)                                      \
            if (at < slots) PART_OF_STEP(at, slots - at < LANES ? slots - at : LANES, part);       \
    } while (0)

static const float TINY = 1e-6f; /* beside the product of two norms */

/* n numbers, of LANES; what is beyond them is 0, and stays unwritten. */
PART vector get(const float *p, long n) {
    if (n == LANES) return *(const loose *)p;
    vector v = {0};
    memcpy(&v, p, n * sizeof(float));
    return v;
}

PART void put(float *p, vector v, long n) {
    if (n == LANES) *(loose *)p = v;
    else memcpy(p, &v, n * sizeof(float));
}

static float sum_of_slots(long slots, const float *each) {
    float sum = 0;
    for (long at = 0; at < slots; at += APART) {
        parts some = {0};
        memcpy(some, each + at, (slots - at < APART ? slots - at : APART) * sizeof *each);
        sum += total(some);
    }
    return sum;
}

PART float norm(const float *key) {
    float squares = 0;
    for (long k = 0; k < width; k++) squares += key[k] * key[k];
    return sqrtf(squares);
}

/* The heads smallest of usage, in order; of equals the first. */
static void smallest(long slots, const float *usage, int64_t *least) {
    float values[heads];
    long found = 0;
    for (long i = 0; i < slots; i++) {
        if (found == heads && usage[i] >= values[heads - 1]) continue;
        long at = found < heads ? found++ : heads - 1;
        for (; at > 0 && usage[i] < values[at - 1]; at--) {
            values[at] = values[at - 1];
            least[at] = least[at - 1];
        }
        values[at] = usage[i];
        least[at] = i;
    }
}

/* An episode; null where a direction has no need of it. */
struct episode {
    long slots;
    float decay, strength, *key_norms, *fresh, *kept, *means, *along_keys, *d_dots, *cosines, *products;
    const float *keys, *values, *gates, *old, *reading_before, *used, *d_reads; /* values null where keys are written */
    float *memory, *reading, *usage, *writing, *norms, *reads, *d_keys, *d_values, *d_gates, *d_memory, *d_reading;
};

#define WRITTEN(e) (has_values ? (e)->values : (e)->keys)

/* Write, and find how alike keys and slots are; the cosines are left in `reading`. */
PART void write_and_compare(const struct episode *e, long i, long n) {
    vector w[heads], dots[heads], squares = {0}, keep = get(e->kept + i, n), usage = get(e->used + i, n) * e->decay;
    for (long r = 0; r < heads; r++) {
        vector before = get(e->reading_before + r * e->slots + i, n);
        w[r] = e->gates[r] * before + (1 - e->gates[r]) * get(FRESH(e->fresh, r, e->slots) + i, n);
        put(e->writing + r * e->slots + i, w[r], n);
        usage += w[r];
        dots[r] = (vector){0};
    }
    put(e->usage + i, usage, n);
    for (long k = 0; k < width; k++) {
        vector m = keep * get(e->old + k * e->slots + i, n);
        for (long r = 0; r < heads; r++) m += w[r] * WRITTEN(e)[r * width + k];
        put(e->memory + k * e->slots + i, m, n);
        squares += m * m;
        for (long r = 0; r < heads; r++) dots[r] += m * e->keys[r * width + k];
    }
    vector norms;
    for (int lane = 0; lane < LANES; lane++) norms[lane] = sqrtf(squares[lane]);
    put(e->norms + i, norms, n);
    for (long r = 0; r < heads; r++) put(e->reading + r * e->slots + i, dots[r] / (e->key_norms[r] * norms + TINY), n);
}

/* Writes all that stands after `used`. */
int forward(long batch, long slots, double decay, double strength, const float *keys, const float *values,
            const float *gates, const float *old, const float *reading_before, const float *used, float *memory,
            float *reading, float *usage, float *writing, float *norms, int64_t *all_least, float *reads) {
    long own = (1 + fresh_maps) * slots; /* numbers of each thread */
    float *room = malloc(omp_get_max_threads() * own * sizeof *room);
    if (!room) return 1;
#pragma omp parallel for
    for (long b = 0; b < batch; b++) {
        int64_t *least = all_least + b * heads;
        float key_norms[heads], *kept = room + omp_get_thread_num() * own, *fresh = kept + slots;
        struct episode e = {
            .slots = slots, .decay = decay, .strength = strength, .key_norms = key_norms, .kept = kept, .fresh = fresh,
            .keys = keys + b * heads * width, .values = has_values ? values + b * heads * width : NULL,
            .gates = gates + b * heads, .old = old + b * slots * width,
            .reading_before = reading_before + b * heads * slots, .used = used + b * slots,
            .memory = memory + b * slots * width, .reading = reading + b * heads * slots, .usage = usage + b * slots,
            .writing = writing + b * heads * slots, .norms = norms + b * slots, .reads = reads + b * heads * width,
        };
        for (long i = 0; i < slots; i++) kept[i] = 1;
        memset(fresh, 0, fresh_maps * slots * sizeof *fresh);
        smallest(slots, e.used, least);
        kept[least[0]] = 0;
        for (long r = 0; r < heads; r++) FRESH(fresh, r, slots)[least[r]] = 1, key_norms[r] = norm(e.keys + r * width);

#define THIS(i, n, part) write_and_compare(&e, i, n)
        OVER_SLOTS(THIS);
#undef THIS
        for (long r = 0; r < heads; r++) { /* a cosine is at most 1: no need to look for the largest */
            float *weights = e.reading + r * slots, sum = 0;
#pragma omp simd reduction(+ : sum)
            for (long i = 0; i < slots; i++) sum += weights[i] = exp_(e.strength * (weights[i] - 1));
            float share = 1 / sum;
#pragma omp simd
            for (long i = 0; i < slots; i++) {
                weights[i] *= share;
                e.usage[i] += weights[i];
            }
        }
        for (long k = 0; k < width; k++) {
            parts totals[heads];
            for (long r = 0; r < heads; r++)
                for (int part = 0; part < PARTS; part++) totals[r][part] = (vector){0};
#define THIS(i, n, part)             \
    for (long r = 0; r < heads; r++) \
    totals[r][part] += get(e.memory + k * slots + (i), n) * get(e.reading + r * slots + (i), n)
            OVER_SLOTS(THIS);
#undef THIS
            for (long r = 0; r < heads; r++) e.reads[r * width + k] = total(totals[r]);
        }
    }
    free(room);
    return 0;
}

/* Gradients of the cosines, before the softmax, into `d_dots`; the cosines themselves; into `products` what the softmax's
   mean gradient is the sum of. */
PART void towards_reading(const struct episode *e, long i, long n) {
    vector d[heads], dots[heads];
    for (long r = 0; r < heads; r++) d[r] = get(e->d_reading + r * e->slots + i, n), dots[r] = (vector){0};
    for (long k = 0; k < width; k++) {
        vector m = get(e->memory + k * e->slots + i, n);
        for (long r = 0; r < heads; r++) {
            d[r] += m * e->d_reads[r * width + k];
            dots[r] += m * e->keys[r * width + k];
        }
    }
    vector norms = get(e->norms + i, n);
    for (long r = 0; r < heads; r++) {
        put(e->d_dots + r * e->slots + i, d[r], n);
        put(e->cosines + r * e->slots + i, dots[r] / (e->key_norms[r] * norms + TINY), n);
        put(e->products + r * e->slots + i, d[r] * get(e->reading + r * e->slots + i, n), n);
    }
}

/* Gradients of the memory and of reading weights; of the dot products of keys and slots, into `d_dots`. What is to be added
   up: into `cosines` what turns the keys, into `products` the gradients of the gates. */
PART void towards_memory(const struct episode *e, long i, long n) {
    vector d[heads], w[heads], d_writing[heads], norms = get(e->norms + i, n), along = {0}, inverse;
    for (int lane = 0; lane < LANES; lane++) inverse[lane] = norms[lane] > 0 ? 1 / norms[lane] : 0;
    for (long r = 0; r < heads; r++) {
        w[r] = get(e->reading + r * e->slots + i, n);
        d[r] = e->strength * w[r] * (get(e->d_dots + r * e->slots + i, n) - e->means[r]) / (e->key_norms[r] * norms + TINY);
        put(e->d_dots + r * e->slots + i, d[r], n);
        vector turned = d[r] * get(e->cosines + r * e->slots + i, n);
        put(e->cosines + r * e->slots + i, turned * norms, n);
        along -= turned * e->key_norms[r];
        d_writing[r] = (vector){0};
    }
    along *= inverse;
    for (long k = 0; k < width; k++) {
        vector d_m = get(e->d_memory + k * e->slots + i, n) + along * get(e->memory + k * e->slots + i, n);
        for (long r = 0; r < heads; r++) d_m += w[r] * e->d_reads[r * width + k] + d[r] * e->keys[r * width + k];
        for (long r = 0; r < heads; r++) d_writing[r] += d_m * WRITTEN(e)[r * width + k];
        put(e->d_memory + k * e->slots + i, d_m, n);
    }
    for (long r = 0; r < heads; r++) {
        vector moved = get(e->reading_before + r * e->slots + i, n) - get(FRESH(e->fresh, r, e->slots) + i, n);
        put(e->products + r * e->slots + i, d_writing[r] * moved, n);
        put(e->d_reading + r * e->slots + i, e->gates[r] * d_writing[r], n);
    }
}

/* The backward pass. `d_memory` and `d_reading` come in as the gradients of the memory and of the reading weights after the
   step, and leave as those before it. */
int backward(long batch, long slots, double strength, const float *keys, const float *values, const float *gates,
             const float *reading_before, float *memory, float *reading, float *writing, float *norms,
             const int64_t *all_least, const float *d_reads, float *d_memory, float *d_reading, float *d_keys,
             float *d_values, float *d_gates) {
    long own = (fresh_maps + 3 * heads) * slots; /* numbers of each thread */
    float *room = malloc(omp_get_max_threads() * own * sizeof *room);
    if (!room) return 1;
    for (long r = 0; r < batch * heads; r++) {
        if (all_least[r] < 0 || all_least[r] >= slots) {
            free(room);
            return 2;
        }
    }
#pragma omp parallel for
    for (long b = 0; b < batch; b++) {
        const int64_t *least = all_least + b * heads;
        float key_norms[heads], means[heads], along_keys[heads];
        float *fresh = room + omp_get_thread_num() * own, *d_dots = fresh + fresh_maps * slots, *cosines = d_dots + heads * slots;
        float *products = cosines + heads * slots;
        struct episode e = {
            .slots = slots, .strength = strength, .key_norms = key_norms, .fresh = fresh, .means = means, .along_keys = along_keys,
            .d_dots = d_dots, .cosines = cosines, .products = products, .keys = keys + b * heads * width,
            .values = has_values ? values + b * heads * width : NULL, .gates = gates + b * heads,
            .reading_before = reading_before + b * heads * slots, .memory = memory + b * slots * width,
            .reading = reading + b * heads * slots, .writing = writing + b * heads * slots, .norms = norms + b * slots,
            .d_reads = d_reads + b * heads * width, .d_keys = d_keys + b * heads * width,
            .d_values = has_values ? d_values + b * heads * width : NULL, .d_gates = d_gates + b * heads, .d_memory = d_memory + b * slots * width,
            .d_reading = d_reading + b * heads * slots,
        };
        memset(fresh, 0, fresh_maps * slots * sizeof *fresh);
        for (long r = 0; r < heads; r++) key_norms[r] = norm(e.keys + r * width), FRESH(fresh, r, slots)[least[r]] = 1;
#define THIS(i, n, part) towards_reading(&e, i, n)
        OVER_SLOTS(THIS);
#undef THIS
        for (long r = 0; r < heads; r++) means[r] = sum_of_slots(slots, products + r * slots);
#define THIS(i, n, part) towards_memory(&e, i, n)
        OVER_SLOTS(THIS);
#undef THIS
        for (long r = 0; r < heads; r++) {
            along_keys[r] = -sum_of_slots(slots, cosines + r * slots);
            e.d_gates[r] = sum_of_slots(slots, products + r * slots);
        }
        for (long k = 0; k < width; k++) {
            parts totals[heads], written[heads];
            for (long r = 0; r < heads; r++)
                for (int part = 0; part < PARTS; part++) totals[r][part] = written[r][part] = (vector){0};
#if VALUES
#define THIS(i, n, part)                                                                                \
    for (long r = 0; r < heads; r++) {                                                                  \
        totals[r][part] += get(e.memory + k * slots + (i), n) * get(d_dots + r * slots + (i), n);       \
        written[r][part] += get(e.d_memory + k * slots + (i), n) * get(e.writing + r * slots + (i), n); \
    }
#else
#define THIS(i, n, part)                                                                       \
    for (long r = 0; r < heads; r++)                                                           \
    totals[r][part] += get(e.memory + k * slots + (i), n) * get(d_dots + r * slots + (i), n) + \
                 get(e.d_memory + k * slots + (i), n) * get(e.writing + r * slots + (i), n)
#endif
            OVER_SLOTS(THIS);
#undef THIS
            for (long r = 0; r < heads; r++) {
                float own = key_norms[r] > 0 ? along_keys[r] / key_norms[r] * e.keys[r * width + k] : 0;
                e.d_keys[r * width + k] = total(totals[r]) + own;
                if (has_values) e.d_values[r * width + k] = total(written[r]);
            }
            e.d_memory[k * slots + least[0]] = 0; /* what was cleared has no say */
        }
    }
    free(room);
    return 0;
}
