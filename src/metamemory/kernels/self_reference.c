/* Weights that read their own keys, queries and rates and write themselves by the delta rule, and the backward pass: the
   formulas of self_reference.py, which calls these functions. Every head of every episode is on its own, and its weights
   stay in cache from the first step to the last. KEYS is the size of a head.

   Shapes, a head: weights [KEYS][LONG], whose columns are those of the answer, the query, the key and four rates; a step
   keeps the query, the key, the rates and r [2 KEYS + 4 + LONG]. Both return 0. */

#define LONG (3 * KEYS + 4)
#define KEPT (2 * KEYS + 4 + LONG)

#include "delta.h"

typedef struct {
    float q[KEYS], k[KEYS], rates[4], r[LONG];
} moment;

static inline void softmax(const float *restrict x, float *restrict y) {
    float most = x[0], sum = 0;
    for (int i = 1; i < KEYS; i++) most = x[i] > most ? x[i] : most;
    for (int i = 0; i < KEYS; i++) y[i] = exp_(x[i] - most);
    for (int i = 0; i < KEYS; i++) sum += y[i];
    float share = 1 / sum;
    for (int i = 0; i < KEYS; i++) y[i] *= share;
}

/* The gradient of x where y = softmax(x). */
static inline void softmax_back(const float *restrict y, const float *restrict d_y, float *restrict d_x) {
    float mean = 0;
    for (int i = 0; i < KEYS; i++) mean += y[i] * d_y[i];
    for (int i = 0; i < KEYS; i++) d_x[i] = y[i] * (d_y[i] - mean);
}

/* Each column times the rate of its block. */
static inline void at_rates(const float *rates, const row x, row y) {
    const float *from = (const float *)x;
    float *to = (float *)y;
    for (int block = 0; block < 3; block++)
        for (int i = 0; i < KEYS; i++) to[block * KEYS + i] = rates[block] * from[block * KEYS + i];
    for (int i = 3 * KEYS; i < LONG; i++) to[i] = rates[3] * from[i];
    for (int i = LONG; i < VECTORS * LANES; i++) to[i] = 0;
}

static inline void between(const moment *now, float *restrict difference) {
    for (int i = 0; i < KEYS; i++) difference[i] = now->q[i] - now->k[i];
}

/* x, y [steps][heads][KEYS]; before, after [heads][KEYS][LONG]; marks [(steps - 1) / EVERY][heads][KEYS][LONG], the weights
   after every EVERY steps; kept [steps][heads][KEPT]. */
int forward(long steps, long heads, const float *x, const float *before, float *y, float *after, float *marks,
            float *kept) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < heads; n++) {
        row w[KEYS], u, s;
        float difference[KEYS];
        load_rows(w, before + n * KEYS * LONG);
        for (long t = 0; t < steps; t++) {
            long at = t * heads + n;
            if (t && t % EVERY == 0) store_rows(marks + ((t / EVERY - 1) * heads + n) * KEYS * LONG, w);
            moment *now = (moment *)(kept + at * KEPT);
            read_rows(x + at * KEYS, w, u);
            const float *told = (const float *)u;
            memcpy(y + at * KEYS, told, KEYS * sizeof(float));
            softmax(told + KEYS, now->q);
            softmax(told + 2 * KEYS, now->k);
            for (int block = 0; block < 4; block++) now->rates[block] = sigmoid(told[3 * KEYS + block]);
            between(now, difference);
            read_rows(difference, w, u);
            memcpy(now->r, u, LONG * sizeof(float));
            at_rates(now->rates, u, s);
            write(w, now->k, s, 1);
        }
        store_rows(after + n * KEYS * LONG, w);
    }
    return 0;
}

/* Gradients of x and of the weights before; `d_w` comes in as that of the weights after. Weights are gone back to step by
   step, by taking off what was written, and are set right at every mark. */
int backward(long steps, long heads, const float *x, const float *after, const float *marks, const float *kept,
             const float *d_y, float *d_x, float *d_w) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < heads; n++) {
        row w[KEYS], d[KEYS], r, s, d_s, d_r, d_u;
        float difference[KEYS], d_q[KEYS], d_k[KEYS];
        load_rows(w, after + n * KEYS * LONG);
        load_rows(d, d_w + n * KEYS * LONG);
        for (long t = steps - 1; t >= 0; t--) {
            long at = t * heads + n;
            const moment *now = (const moment *)(kept + at * KEPT);
            if (t < steps - 1 && (t + 1) % EVERY == 0)
                load_rows(w, marks + (((t + 1) / EVERY - 1) * heads + n) * KEYS * LONG);
            load_row(r, now->r);
            at_rates(now->rates, r, s);
            write(w, now->k, s, -1);
            memset(d_k, 0, sizeof d_k), memset(d_q, 0, sizeof d_q);
            read_columns(d, s, 1, d_k);
            read_rows(now->k, d, d_s);
            at_rates(now->rates, d_s, d_r);
            between(now, difference);
            write(d, difference, d_r, 1);
            read_columns(w, d_r, 1, d_q);
            for (int i = 0; i < KEYS; i++) d_k[i] -= d_q[i];
            float *told = (float *)d_u;
            clear_end(d_u);
            memcpy(told, d_y + at * KEYS, KEYS * sizeof(float));
            softmax_back(now->q, d_q, told + KEYS);
            softmax_back(now->k, d_k, told + 2 * KEYS);
            const float *one = (const float *)d_s, *other = now->r;
            for (int block = 0; block < 4; block++) {
                float sum = 0, rate = now->rates[block];
                int end = block < 3 ? (block + 1) * KEYS : LONG;
                for (int i = block * KEYS; i < end; i++) sum += one[i] * other[i];
                told[3 * KEYS + block] = sum * rate * (1 - rate);
            }
            write(d, x + at * KEYS, d_u, 1);
            memset(d_x + at * KEYS, 0, KEYS * sizeof(float));
            read_columns(w, d_u, 1, d_x + at * KEYS);
        }
        store_rows(d_w + n * KEYS * LONG, d);
    }
    return 0;
}
