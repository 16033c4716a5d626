/* Small networks that read two numbers of a coordinate and write one, for very many coordinates with the same weights:
   an LSTM over steps with a linear layer after the last, and an MLP of two layers of ReLUs and a linear one. HIDDEN,
   the units of each layer, is a multiple of 4. The formulas are those of generators.py, which calls these functions.

   Coordinates go BLOCK at a time through the whole network, in cache. The backward passes do the forward one again, so
   that nothing is kept but what was read. What is read needs no gradient. */

#include <stdlib.h>

#include "functions.h"
#include "threads.h"
#include "vectors.h"

#define GATES (4 * HIDDEN)
#define BLOCK 64
enum { VECTORS = BLOCK / LANES, TILE = LANES < 16 ? 2 : 4 }; /* 4 x TILE sums and what is added have room in registers */

typedef vector lanes[VECTORS]; /* one number of each coordinate of a block */

static void *room(size_t bytes) { return aligned_alloc(64, (bytes + 63) / 64 * 64); }

/* The next `count` numbers, and zeros in the lanes that are left. */
static void load_lanes(lanes to, const float *from, long count) {
    memset(to, 0, sizeof(lanes));
    memcpy(to, from, count * sizeof(float));
}

/* One after the other. */
static inline float in_order(const parts all) {
    const float *each = (const float *)all;
    float sum = 0;
    for (int n = 0; n < APART; n++) sum += each[n];
    return sum;
}

/* y += w x: w [rows][columns], rows a multiple of 4. */
static inline void product(long rows, long columns, const float *restrict w, const lanes *restrict x,
                           lanes *restrict y) {
    for (long j = 0; j < rows; j += 4)
        for (int first = 0; first < VECTORS; first += TILE) {
            vector sum[4][TILE];
            for (int i = 0; i < 4; i++)
                for (int v = 0; v < TILE; v++) sum[i][v] = y[j + i][first + v];
            for (long k = 0; k < columns; k++)
                for (int i = 0; i < 4; i++)
                    for (int v = 0; v < TILE; v++) sum[i][v] += w[(j + i) * columns + k] * x[k][first + v];
            for (int i = 0; i < 4; i++)
                for (int v = 0; v < TILE; v++) y[j + i][first + v] = sum[i][v];
        }
}

/* Sums over vectors of y_j x_k, added to sums [rows][columns]. */
static inline void outer(long rows, long columns, const lanes *restrict y, const lanes *restrict x,
                         parts *restrict sums) {
    for (long j = 0; j < rows; j++)
        for (long k = 0; k < columns; k++)
            for (int p = 0; p < PARTS; p++) {
                vector sum = y[j][p] * x[k][p];
                for (int v = p + PARTS; v < VECTORS; v += PARTS) sum += y[j][v] * x[k][v];
                sums[j * columns + k][p] += sum;
            }
}

static inline void add_up(long rows, const lanes *restrict y, parts *restrict sums) {
    for (long j = 0; j < rows; j++)
        for (int v = 0; v < VECTORS; v++) sums[j][v % PARTS] += y[j][v];
}

static void set_to(long rows, const float *restrict values, lanes *restrict y) {
    for (long j = 0; j < rows; j++)
        for (int v = 0; v < VECTORS; v++) y[j][v] = (vector){0} + values[j];
}

static void transpose(long rows, long columns, const float *restrict w, float *restrict to) {
    for (long j = 0; j < rows; j++)
        for (long k = 0; k < columns; k++) to[k * rows + j] = w[j * columns + k];
}

/* What a block of coordinates is at a step. */
typedef struct {
    lanes read[2];      /* size and sign of the gradient */
    lanes gates[GATES]; /* i, f, g, o after their non-linearities */
    lanes c[HIDDEN], squashed[HIDDEN], h[HIDDEN];
} moment;

typedef struct {
    const float *w_x, *bias, *w_h, *w_out, *bias_out; /* [GATES][2], [GATES], [GATES][HIDDEN], [HIDDEN], [1] */
} lstm;

static void forward_block(long steps, long coordinates, long first, long count, const float *size, const float *sign,
                          lstm w, moment *trace) {
    for (long step = 0; step < steps; step++) {
        moment *now = trace + step, *before = now - 1;
        load_lanes(now->read[0], size + step * coordinates + first, count);
        load_lanes(now->read[1], sign + step * coordinates + first, count);
        set_to(GATES, w.bias, now->gates);
        product(GATES, 2, w.w_x, now->read, now->gates);
        if (step) product(GATES, HIDDEN, w.w_h, before->h, now->gates);
        float *gates = (float *)now->gates, *c = (float *)now->c, *h = (float *)now->h, *squashed = (float *)now->squashed;
        const float *c_before = step ? (const float *)before->c : NULL;
        const long n_cells = HIDDEN * BLOCK;
#pragma omp simd
        for (long n = 0; n < n_cells; n++) {
            float i = sigmoid(gates[n]), g = tanh_(gates[2 * n_cells + n]), o = sigmoid(gates[3 * n_cells + n]);
            gates[n] = i, gates[2 * n_cells + n] = g, gates[3 * n_cells + n] = o;
            c[n] = i * g;
        }
        if (step) {
#pragma omp simd
            for (long n = 0; n < n_cells; n++) {
                float f = sigmoid(gates[n_cells + n]);
                gates[n_cells + n] = f;
                c[n] += f * c_before[n];
            }
        }
#pragma omp simd
        for (long n = 0; n < n_cells; n++) {
            squashed[n] = tanh_(c[n]);
            h[n] = gates[3 * n_cells + n] * squashed[n];
        }
    }
}

/* out [coordinates] after the last of the steps; size, sign [steps][coordinates]. 1 where there is no memory left. */
int lstm_forward(long steps, long coordinates, const float *size, const float *sign, const float *w_x,
                 const float *bias, const float *w_h, const float *w_out, const float *bias_out, float *out) {
    int failed = 0;
    lstm w = {w_x, bias, w_h, w_out, bias_out};
#pragma omp parallel
    {
        moment *trace = room(steps * sizeof(moment));
        if (!trace) {
#pragma omp atomic write
            failed = 1;
        }
#pragma omp for schedule(static)
        for (long first = 0; first < coordinates; first += BLOCK) {
            if (!trace) continue;
            long count = coordinates - first < BLOCK ? coordinates - first : BLOCK;
            forward_block(steps, coordinates, first, count, size, sign, w, trace);
            lanes sum;
            set_to(1, bias_out, &sum);
            for (long k = 0; k < HIDDEN; k++)
                for (int v = 0; v < VECTORS; v++) sum[v] += w_out[k] * trace[steps - 1].h[k][v];
            memcpy(out + first, sum, count * sizeof(float));
        }
        free(trace);
    }
    return failed;
}

/* Sums over coordinates, one of each thread. */
typedef struct {
    parts w_x[GATES * 2], bias[GATES], w_h[GATES * HIDDEN], w_out[HIDDEN], bias_out[1];
} lstm_sums;

static void backward_block(long steps, const lanes d_out, const float *w_h_transposed, const float *w_out,
                           const moment *trace, lstm_sums *sums) {
    lanes d_h[HIDDEN], d_c[HIDDEN], d_a[GATES];
    memset(d_c, 0, sizeof(d_c));
    for (long k = 0; k < HIDDEN; k++)
        for (int v = 0; v < VECTORS; v++) d_h[k][v] = w_out[k] * d_out[v];
    outer(HIDDEN, 1, trace[steps - 1].h, (const lanes *)d_out, sums->w_out);
    add_up(1, (const lanes *)d_out, sums->bias_out);
    const long n_cells = HIDDEN * BLOCK;
    for (long step = steps - 1; step >= 0; step--) {
        const moment *now = trace + step, *before = now - 1;
        const float *gates = (const float *)now->gates, *squashed = (const float *)now->squashed;
        const float *c_before = step ? (const float *)before->c : NULL;
        float *dh = (float *)d_h, *dc = (float *)d_c, *da = (float *)d_a;
#pragma omp simd
        for (long n = 0; n < n_cells; n++) {
            float i = gates[n], g = gates[2 * n_cells + n], o = gates[3 * n_cells + n], s = squashed[n];
            float d = dc[n] + dh[n] * o * (1 - s * s);
            da[n] = d * g * i * (1 - i);
            da[2 * n_cells + n] = d * i * (1 - g * g);
            da[3 * n_cells + n] = dh[n] * s * o * (1 - o);
            dc[n] = d;
        }
        if (step) {
#pragma omp simd
            for (long n = 0; n < n_cells; n++) {
                float f = gates[n_cells + n], d = dc[n];
                da[n_cells + n] = d * c_before[n] * f * (1 - f);
                dc[n] = d * f;
            }
        } else {
            memset(da + n_cells, 0, n_cells * sizeof(float));
        }
        outer(GATES, 2, d_a, now->read, sums->w_x);
        add_up(GATES, d_a, sums->bias);
        if (step) {
            outer(GATES, HIDDEN, d_a, before->h, sums->w_h);
            memset(d_h, 0, sizeof(d_h));
            product(HIDDEN, GATES, w_h_transposed, d_a, d_h);
        }
    }
}

/* Adds up the sums of all threads, in order: `count` of each. */
static void gather(long threads, long count, const parts *each, float *const *to, const long *lengths) {
    long place = 0;
    for (; *lengths; to++, lengths++)
        for (long n = 0; n < *lengths; n++, place++) {
            float sum = 0;
            for (long thread = 0; thread < threads; thread++) sum += in_order(each[thread * count + place]);
            (*to)[n] = sum;
        }
}

/* The backward pass: given the gradient of out, writes those of the weights. 1 where there is no memory left. */
int lstm_backward(long steps, long coordinates, const float *size, const float *sign, const float *w_x,
                  const float *bias, const float *w_h, const float *w_out, const float *bias_out, const float *d_out,
                  float *d_w_x, float *d_bias, float *d_w_h, float *d_w_out, float *d_bias_out) {
    long threads = omp_get_max_threads();
    int failed = 0;
    lstm w = {w_x, bias, w_h, w_out, bias_out};
    lstm_sums *sums = room(threads * sizeof(lstm_sums));
    float *transposed = room(GATES * HIDDEN * sizeof(float));
    if (!sums || !transposed) {
        free(sums), free(transposed);
        return 1;
    }
    memset(sums, 0, threads * sizeof(lstm_sums));
    transpose(GATES, HIDDEN, w_h, transposed);
#pragma omp parallel
    {
        moment *trace = room(steps * sizeof(moment));
        if (!trace) {
#pragma omp atomic write
            failed = 1;
        }
#pragma omp for schedule(static)
        for (long first = 0; first < coordinates; first += BLOCK) {
            if (!trace) continue;
            long count = coordinates - first < BLOCK ? coordinates - first : BLOCK;
            lanes d;
            load_lanes(d, d_out + first, count);
            forward_block(steps, coordinates, first, count, size, sign, w, trace);
            backward_block(steps, d, transposed, w_out, trace, sums + omp_get_thread_num());
        }
        free(trace);
    }
    float *to[] = {d_w_x, d_bias, d_w_h, d_w_out, d_bias_out};
    long lengths[] = {GATES * 2, GATES, GATES * HIDDEN, HIDDEN, 1, 0};
    gather(threads, sizeof(lstm_sums) / sizeof(parts), (const parts *)sums, to, lengths);
    free(sums), free(transposed);
    return failed;
}

typedef struct {
    const float *w_1, *bias_1, *w_2, *bias_2, *w_3, *bias_3; /* [HIDDEN][2], [HIDDEN], [HIDDEN][HIDDEN], .. [1] */
} mlp;

static void rectify(lanes *z) {
    float *values = (float *)z;
#pragma omp simd
    for (long n = 0; n < HIDDEN * BLOCK; n++) values[n] = values[n] < 0 ? 0 : values[n]; /* nan stays */
}

static void mlp_block(long first, long count, const float *size, const float *sign, mlp w, lanes *read, lanes *z_1,
                      lanes *z_2) {
    load_lanes(read[0], size + first, count);
    load_lanes(read[1], sign + first, count);
    set_to(HIDDEN, w.bias_1, z_1);
    product(HIDDEN, 2, w.w_1, read, z_1);
    rectify(z_1);
    set_to(HIDDEN, w.bias_2, z_2);
    product(HIDDEN, HIDDEN, w.w_2, z_1, z_2);
    rectify(z_2);
}

/* out [coordinates]; size, sign [coordinates]. */
int mlp_forward(long coordinates, const float *size, const float *sign, const float *w_1, const float *bias_1,
                const float *w_2, const float *bias_2, const float *w_3, const float *bias_3, float *out) {
    mlp w = {w_1, bias_1, w_2, bias_2, w_3, bias_3};
#pragma omp parallel for schedule(static)
    for (long first = 0; first < coordinates; first += BLOCK) {
        long count = coordinates - first < BLOCK ? coordinates - first : BLOCK;
        lanes read[2], z_1[HIDDEN], z_2[HIDDEN], sum;
        mlp_block(first, count, size, sign, w, read, z_1, z_2);
        set_to(1, bias_3, &sum);
        for (long k = 0; k < HIDDEN; k++)
            for (int v = 0; v < VECTORS; v++) sum[v] += w_3[k] * z_2[k][v];
        memcpy(out + first, sum, count * sizeof(float));
    }
    return 0;
}

typedef struct {
    parts w_1[HIDDEN * 2], bias_1[HIDDEN], w_2[HIDDEN * HIDDEN], bias_2[HIDDEN], w_3[HIDDEN], bias_3[1];
} mlp_sums;

/* The backward pass: given the gradient of out, writes those of the weights. 1 where there is no memory left. */
int mlp_backward(long coordinates, const float *size, const float *sign, const float *w_1, const float *bias_1,
                 const float *w_2, const float *bias_2, const float *w_3, const float *bias_3, const float *d_out,
                 float *d_w_1, float *d_bias_1, float *d_w_2, float *d_bias_2, float *d_w_3, float *d_bias_3) {
    long threads = omp_get_max_threads();
    mlp w = {w_1, bias_1, w_2, bias_2, w_3, bias_3};
    mlp_sums *every = room(threads * sizeof(mlp_sums));
    if (!every) return 1;
    memset(every, 0, threads * sizeof(mlp_sums));
    float transposed[HIDDEN * HIDDEN];
    transpose(HIDDEN, HIDDEN, w_2, transposed);
#pragma omp parallel for schedule(static)
    for (long first = 0; first < coordinates; first += BLOCK) {
        long count = coordinates - first < BLOCK ? coordinates - first : BLOCK;
        mlp_sums *sums = every + omp_get_thread_num();
        lanes read[2], z_1[HIDDEN], z_2[HIDDEN], d_1[HIDDEN], d_2[HIDDEN], d;
        mlp_block(first, count, size, sign, w, read, z_1, z_2);
        load_lanes(d, d_out + first, count);
        outer(HIDDEN, 1, z_2, (const lanes *)&d, sums->w_3);
        add_up(1, (const lanes *)&d, sums->bias_3);
        for (long k = 0; k < HIDDEN; k++)
            for (int n = 0; n < BLOCK; n++)
                ((float *)d_2)[k * BLOCK + n] = ((float *)z_2)[k * BLOCK + n] > 0 ? w_3[k] * ((float *)d)[n] : 0;
        outer(HIDDEN, HIDDEN, d_2, z_1, sums->w_2);
        add_up(HIDDEN, d_2, sums->bias_2);
        memset(d_1, 0, sizeof(d_1));
        product(HIDDEN, HIDDEN, transposed, d_2, d_1);
        for (long n = 0; n < HIDDEN * BLOCK; n++)
            if (!(((float *)z_1)[n] > 0)) ((float *)d_1)[n] = 0;
        outer(HIDDEN, 2, d_1, read, sums->w_1);
        add_up(HIDDEN, d_1, sums->bias_1);
    }
    float *to[] = {d_w_1, d_bias_1, d_w_2, d_bias_2, d_w_3, d_bias_3};
    long lengths[] = {HIDDEN * 2, HIDDEN, HIDDEN * HIDDEN, HIDDEN, HIDDEN, 1, 0};
    gather(threads, sizeof(mlp_sums) / sizeof(parts), (const parts *)every, to, lengths);
    free(every);
    return 0;
}
