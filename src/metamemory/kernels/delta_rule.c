/* Weights that are written by the delta rule, and the backward pass: the formulas of delta_rule.py, which calls these
   functions. Every head of every episode is on its own, and its weights stay in cache from the first step to the last.
   KEYS is the size of a key and of a query, LONG that of a value. Both return 0. */

#include "delta.h"

/* q, k [steps][heads][KEYS]; v, y [steps][heads][LONG]; rates [steps][heads]; before, after [heads][KEYS][LONG]; marks
   [(steps - 1) / EVERY][heads][KEYS][LONG], the weights after every EVERY steps; missing [steps][heads][LONG], v less what
   the weights had at the key. */
int forward(long steps, long heads, const float *q, const float *k, const float *v, const float *rates,
            const float *before, float *y, float *after, float *marks, float *missing) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < heads; n++) {
        row w[KEYS], s, had;
        load_rows(w, before + n * KEYS * LONG);
        for (long t = 0; t < steps; t++) {
            long at = t * heads + n;
            if (t && t % EVERY == 0) store_rows(marks + ((t / EVERY - 1) * heads + n) * KEYS * LONG, w);
            load_row(s, v + at * LONG);
            read_rows(k + at * KEYS, w, had);
            for (int i = 0; i < VECTORS; i++) s[i] -= had[i];
            memcpy(missing + at * LONG, s, LONG * sizeof(float));
            for (int i = 0; i < VECTORS; i++) s[i] *= rates[at];
            write(w, k + at * KEYS, s, 1);
            read_rows(q + at * KEYS, w, had);
            memcpy(y + at * LONG, had, LONG * sizeof(float));
        }
        store_rows(after + n * KEYS * LONG, w);
    }
    return 0;
}

/* Gradients of what is read and of the weights before; `d_w` comes in as that of the weights after. Weights are gone back
   to step by step, by taking off what was written, and are set right at every mark. */
int backward(long steps, long heads, const float *q, const float *k, const float *rates, const float *after,
             const float *marks, const float *missing, const float *d_y, float *d_q, float *d_k, float *d_v,
             float *d_rates, float *d_w) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < heads; n++) {
        row w[KEYS], d[KEYS], of_y, s, d_s;
        load_rows(w, after + n * KEYS * LONG);
        load_rows(d, d_w + n * KEYS * LONG);
        for (long t = steps - 1; t >= 0; t--) {
            long at = t * heads + n;
            if (t < steps - 1 && (t + 1) % EVERY == 0)
                load_rows(w, marks + (((t + 1) / EVERY - 1) * heads + n) * KEYS * LONG);
            memset(d_q + at * KEYS, 0, KEYS * sizeof(float)), memset(d_k + at * KEYS, 0, KEYS * sizeof(float));
            load_row(of_y, d_y + at * LONG);
            read_columns(w, of_y, 1, d_q + at * KEYS);
            write(d, q + at * KEYS, of_y, 1);
            load_row(s, missing + at * LONG);
            read_rows(k + at * KEYS, d, d_s);
            d_rates[at] = dot(s, d_s);
            for (int i = 0; i < VECTORS; i++) s[i] *= rates[at], d_s[i] *= rates[at];
            memcpy(d_v + at * LONG, d_s, LONG * sizeof(float));
            read_columns(d, s, 1, d_k + at * KEYS);
            write(w, k + at * KEYS, s, -1);
            read_columns(w, d_s, -1, d_k + at * KEYS);
            write(d, k + at * KEYS, d_s, -1);
        }
        store_rows(d_w + n * KEYS * LONG, d);
    }
    return 0;
}
