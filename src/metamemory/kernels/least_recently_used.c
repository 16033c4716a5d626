/* One step of a memory with least recently used access, and its way back: the formulas of least_recently_used.py,
   which calls these functions. Every episode of the batch is on its own, and its memory is swept once.

   Shapes, an episode: keys [heads, width], gates [heads], memory [slots, width], weights [heads, slots],
   usage and norms [slots], least [heads] (the least used slots, the very least first). */

#include "functions.h"

/* Loops over heads and over the width of a slot are short: the compiler is told their lengths, HEADS and WIDTH. */
enum { heads = HEADS, width = WIDTH, LANES = 8 };

static const float TINY = 1e-6f; /* beside the product of two norms */

static inline float dot(const float *restrict a, const float *restrict b) {
    float sums[LANES] = {0}, sum = 0; /* in lanes, since the order of a single sum would have to be kept */
    long k = 0;
    for (; k + LANES <= width; k += LANES)
        for (int lane = 0; lane < LANES; lane++) sums[lane] += a[k + lane] * b[k + lane];
    for (; k < width; k++) sum += a[k] * b[k];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; lane++) sums[lane] += sums[lane + half];
    return sum + sums[0];
}

static inline void add(float factor, const float *restrict a, float *restrict sum) {
#pragma omp simd
    for (long k = 0; k < width; k++) sum[k] += factor * a[k];
}

/* The `count` smallest of usage, in order; of equals the first. */
static void smallest(long slots, long count, const float *usage, int64_t *least) {
    for (long n = 0; n < count; n++) {
        least[n] = -1;
        for (long i = 0; i < slots; i++) {
            int taken = 0;
            for (long m = 0; m < n; m++) taken |= least[m] == i;
            if (!taken && (least[n] < 0 || usage[i] < usage[least[n]])) least[n] = i;
        }
    }
}

static int among(long count, const int64_t *least, long i) {
    for (long n = 0; n < count; n++)
        if (least[n] == i) return 1;
    return 0;
}

/* Writes all that stands after `used`. */
void forward(long batch, long slots, double decay, const float *all_keys,
             const float *all_gates, const float *all_old, const float *all_reading_before, const float *all_used,
             float *all_memory, float *all_reading, float *all_usage, float *all_writing, float *all_norms,
             int64_t *all_least, float *all_reads) {
#pragma omp parallel for
    for (long b = 0; b < batch; b++) {
        const float *keys = all_keys + b * heads * width, *gates = all_gates + b * heads;
        const float *old = all_old + b * slots * width, *reading_before = all_reading_before + b * heads * slots;
        const float *used = all_used + b * slots;
        float *memory = all_memory + b * slots * width, *usage = all_usage + b * slots;
        float *reading = all_reading + b * heads * slots, *writing = all_writing + b * heads * slots;
        float *reads = all_reads + b * heads * width, *norms = all_norms + b * slots;
        int64_t *least = all_least + b * heads;
        float key_norms[heads];
        for (long r = 0; r < heads; r++) key_norms[r] = sqrtf(dot(keys + r * width, keys + r * width));
        smallest(slots, heads, used, least);
        for (long i = 0; i < slots; i++) {
            float *row = memory + i * width, fresh = among(heads, least, i);
            usage[i] = decay * used[i];
            for (long k = 0; k < width; k++) row[k] = i == least[0] ? 0 : old[i * width + k];
            for (long r = 0; r < heads; r++) {
                float w = gates[r] * reading_before[r * slots + i] + (1 - gates[r]) * fresh;
                writing[r * slots + i] = w;
                usage[i] += w;
                add(w, keys + r * width, row);
            }
            norms[i] = sqrtf(dot(row, row));
            for (long r = 0; r < heads; r++) { /* a cosine is at most 1: no need to take off the largest */
                float cosine = dot(keys + r * width, row) / (key_norms[r] * norms[i] + TINY);
                reading[r * slots + i] = cosine;
            }
        }
        for (long r = 0; r < heads; r++) {
            float *weights = reading + r * slots, *read = reads + r * width, total = 0;
#pragma omp simd reduction(+ : total)
            for (long i = 0; i < slots; i++) total += weights[i] = exp_(weights[i]);
            for (long k = 0; k < width; k++) read[k] = 0;
            for (long i = 0; i < slots; i++) {
                weights[i] /= total;
                usage[i] += weights[i];
                add(weights[i], memory + i * width, read);
            }
        }
    }
}

/* The way back. `d_memory` and `d_reading` come in as the gradients of the memory and of the reading weights after the
   step, and leave as those before it. */
void backward(long batch, long slots, const float *all_keys, const float *all_gates,
              const float *all_reading_before, const float *all_memory, const float *all_reading,
              const float *all_writing, const float *all_norms, const int64_t *all_least, const float *all_d_reads,
              float *all_d_memory, float *all_d_reading, float *all_d_keys, float *all_d_gates) {
#pragma omp parallel for
    for (long b = 0; b < batch; b++) {
        const float *keys = all_keys + b * heads * width, *gates = all_gates + b * heads;
        const float *reading_before = all_reading_before + b * heads * slots;
        const float *memory = all_memory + b * slots * width, *norms = all_norms + b * slots;
        const float *reading = all_reading + b * heads * slots, *writing = all_writing + b * heads * slots;
        const float *d_reads = all_d_reads + b * heads * width;
        const int64_t *least = all_least + b * heads;
        float *d_keys = all_d_keys + b * heads * width, *d_gates = all_d_gates + b * heads;
        float *d_memory = all_d_memory + b * slots * width, *d_reading = all_d_reading + b * heads * slots;
        float key_norms[heads], d_cosines[heads][slots];
        for (long r = 0; r < heads; r++) {
            const float *weights = reading + r * slots;
            float mean = 0;
            for (long i = 0; i < slots; i++) {
                d_cosines[r][i] = d_reading[r * slots + i] + dot(d_reads + r * width, memory + i * width);
                mean += weights[i] * d_cosines[r][i];
            }
            for (long i = 0; i < slots; i++) d_cosines[r][i] = weights[i] * (d_cosines[r][i] - mean);
            key_norms[r] = sqrtf(dot(keys + r * width, keys + r * width));
            d_gates[r] = 0;
            for (long k = 0; k < width; k++) d_keys[r * width + k] = 0;
        }
        for (long i = 0; i < slots; i++) {
            const float *row = memory + i * width;
            float *d_row = d_memory + i * width, fresh = among(heads, least, i);
            for (long r = 0; r < heads; r++) {
                const float *key = keys + r * width;
                float *d_key = d_keys + r * width;
                float below = key_norms[r] * norms[i] + TINY, d = d_cosines[r][i] / below;
                float cosine = dot(key, row) / below;
                add(reading[r * slots + i], d_reads + r * width, d_row);
                add(d, key, d_row);
                add(d, row, d_key);
                if (norms[i] > 0) add(-d * cosine * key_norms[r] / norms[i], row, d_row);
                if (key_norms[r] > 0) add(-d * cosine * norms[i] / key_norms[r], key, d_key);
            }
            for (long r = 0; r < heads; r++) {
                float d_writing = dot(d_row, keys + r * width);
                add(writing[r * slots + i], d_row, d_keys + r * width);
                d_gates[r] += d_writing * (reading_before[r * slots + i] - fresh);
                d_reading[r * slots + i] = gates[r] * d_writing;
            }
            if (i == least[0])
                for (long k = 0; k < width; k++) d_row[k] = 0;
        }
    }
}
