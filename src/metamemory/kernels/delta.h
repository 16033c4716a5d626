/* What is common to the C functions of weights that are written by the delta rule: rows of numbers, each in vectors of
   WIDTH, the last filled up with zeros. LONG is the length of a row, KEYS the number of rows. */

#include <string.h>

#include "functions.h"
#include "threads.h"

#define WIDTH 16
#define VECTORS ((LONG + WIDTH - 1) / WIDTH)
#define EVERY 16 /* steps between two marks, where the weights are kept as they are */

typedef float vector __attribute__((vector_size(4 * WIDTH), may_alias));
typedef vector row[VECTORS];
typedef int pattern __attribute__((vector_size(4 * WIDTH)));

static inline void load_row(row to, const float *from) {
    to[VECTORS - 1] = (vector){0};
    memcpy(to, from, LONG * sizeof(float));
}

static inline void load_rows(row *to, const float *from) {
    for (int i = 0; i < KEYS; i++) load_row(to[i], from + i * LONG);
}

static inline void store_rows(float *to, const row *from) {
    for (int i = 0; i < KEYS; i++) memcpy(to + i * LONG, from[i], LONG * sizeof(float));
}

static inline float total(vector x) {
    x += __builtin_shuffle(x, (pattern){8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7});
    x += __builtin_shuffle(x, (pattern){4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11});
    x += __builtin_shuffle(x, (pattern){2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13});
    return x[0] + x[1];
}

/* y = x w */
static inline void read_rows(const float *restrict x, const row *restrict w, row y) {
    vector sum[VECTORS];
    for (int v = 0; v < VECTORS; v++) sum[v] = x[0] * w[0][v];
    for (int i = 1; i < KEYS; i++)
        for (int v = 0; v < VECTORS; v++) sum[v] += x[i] * w[i][v];
    for (int v = 0; v < VECTORS; v++) y[v] = sum[v];
}

/* x += sign w y */
static inline void read_columns(const row *restrict w, const row y, float sign, float *restrict x) {
    for (int i = 0; i < KEYS; i++) {
        vector sum = w[i][0] * y[0];
        for (int v = 1; v < VECTORS; v++) sum += w[i][v] * y[v];
        x[i] += sign * total(sum);
    }
}

/* w += sign x y */
static inline void write(row *restrict w, const float *restrict x, const row y, float sign) {
    for (int i = 0; i < KEYS; i++)
        for (int v = 0; v < VECTORS; v++) w[i][v] += sign * x[i] * y[v];
}
