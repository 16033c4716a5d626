/* Batch normalisation of rows, one column a channel: sums over all rows, and sweeps that use them. Called from
   batch_norm.py.

   Sums are taken over blocks of rows in float32 and over the blocks in double; the blocks of a thread come one
   after the other and the threads in their order, so that the same number of threads gives the same bits. */

#include <stdlib.h>

#include "product.h"
#include "threads.h"

enum { BLOCK = 128 };

/* sums[0] = sum of x (x = u - pivot where d is null, else d), sums[1] = sum of x (u - pivot); for every channel.
   Returns 0, or 1 where there is no memory for it. */
int sums(long rows, long channels, const product *restrict u, const product *restrict d,
         const float *restrict pivot, double *restrict sums) {
    long threads = omp_get_max_threads();
    double *partial = calloc(threads * 2 * channels, sizeof *partial);
    float *block = malloc(threads * 2 * channels * sizeof *block);
    if (!partial || !block) {
        free(partial);
        free(block);
        return 1;
    }
#pragma omp parallel for schedule(static)
    for (long start = 0; start < rows; start += BLOCK) {
        double *total = partial + omp_get_thread_num() * 2 * channels;
        float *first = block + omp_get_thread_num() * 2 * channels, *second = first + channels;
        for (long k = 0; k < 2 * channels; k++) first[k] = 0;
        for (long row = start; row < rows && row < start + BLOCK; row++) {
            const product *u_row = u + row * channels, *d_row = d ? d + row * channels : u_row;
#pragma omp simd
            for (long k = 0; k < channels; k++) {
                float centred = load(u_row[k]) - pivot[k];
                float x = d ? load(d_row[k]) : centred;
                first[k] += x;
                second[k] += x * centred;
            }
        }
        for (long k = 0; k < 2 * channels; k++) total[k] += first[k];
    }
    for (long k = 0; k < 2 * channels; k++) {
        sums[k] = 0;
        for (long thread = 0; thread < threads; thread++) sums[k] += partial[thread * 2 * channels + k];
    }
    free(partial);
    free(block);
    return 0;
}

/* out = p x + q y + r, with p, q, r of the channel. */
int combine(long rows, long channels, const product *x, const product *y, const float *restrict p,
            const float *restrict q, const float *restrict r, product *restrict out) {
#pragma omp parallel for schedule(static)
    for (long row = 0; row < rows; row++) {
        long at = row * channels;
#pragma omp simd
        for (long k = 0; k < channels; k++) {
            out[at + k] = store(p[k] * load(x[at + k]) + q[k] * load(y[at + k]) + r[k]);
        }
    }
    return 0;
}
