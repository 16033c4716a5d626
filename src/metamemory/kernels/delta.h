/* What is common to the C functions of weights that are written by the delta rule: rows of numbers, filled up with
   zeros to a multiple of APART. LONG is the length of a row, KEYS the number of rows. */

#include "functions.h"
#include "threads.h"
#include "vectors.h"

#define VECTORS ((LONG + APART - 1) / APART * PARTS)
#define EVERY 16 /* steps between two marks, where the weights are kept as they are */

typedef vector row[VECTORS];

static inline void clear_end(row x) {
    for (int v = VECTORS - PARTS; v < VECTORS; v++) x[v] = (vector){0};
}

static inline void load_row(row to, const float *from) {
    clear_end(to);
    memcpy(to, from, LONG * sizeof(float));
}

static inline void load_rows(row *to, const float *from) {
    for (int i = 0; i < KEYS; i++) load_row(to[i], from + i * LONG);
}

static inline void store_rows(float *to, const row *from) {
    for (int i = 0; i < KEYS; i++) memcpy(to + i * LONG, from[i], LONG * sizeof(float));
}

static inline float dot(const row x, const row y) {
    parts sum;
    for (int p = 0; p < PARTS; p++) {
        sum[p] = x[p] * y[p];
        for (int v = p + PARTS; v < VECTORS; v += PARTS) sum[p] += x[v] * y[v];
    }
    return total(sum);
}

/* y = x w */
static inline void read_rows(const float *restrict x, const row *restrict w, row y) {
    vector sum[VECTORS];
    for (int v = 0; v < VECTORS; v++) sum[v] = x[0] * w[0][v];
#pragma GCC unroll 16
    for (int i = 1; i < KEYS; i++)
        for (int v = 0; v < VECTORS; v++) sum[v] += x[i] * w[i][v];
    for (int v = 0; v < VECTORS; v++) y[v] = sum[v];
}

/* x += sign w y */
static inline void read_columns(const row *restrict w, const row y, float sign, float *restrict x) {
    for (int i = 0; i < KEYS; i++) x[i] += sign * dot(w[i], y);
}

/* w += sign x y */
static inline void write(row *restrict w, const float *restrict x, const row y, float sign) {
    for (int i = 0; i < KEYS; i++)
        for (int v = 0; v < VECTORS; v++) w[i][v] += sign * x[i] * y[v];
}
