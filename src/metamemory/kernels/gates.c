/* The gate update of an LSTM whose cells lie in rows: one row a pixel of an episode, `filters` cells in it.

   A row of `u`, `hidden` and `a` holds the pre-activations of all its cells, gate by gate: i, f, o, g. They are
   of type `product`; cells are float32. The formulas are those of gates.py, which calls these functions. */

#include "functions.h"
#include "product.h"

/* a = u + hidden; c' = f c + i g; h' = o tanh(c'). Writes a, c_next and h_next. */
int forward(long rows, long filters, const product *restrict u, const product *restrict hidden,
            const float *restrict c, product *restrict a, float *restrict c_next, product *restrict h_next) {
#pragma omp parallel for if (rows * filters > 4096)
    for (long row = 0; row < rows; row++) {
        long at = row * filters, at4 = 4 * at;
#pragma omp simd
        for (long n = 0; n < filters; n++) {
            product p[4];
            for (int gate = 0; gate < 4; gate++) {
                long k = at4 + gate * filters + n;
                p[gate] = store(load(u[k]) + load(hidden[k]));
                a[k] = p[gate];
            }
            float cell = sigmoid(load(p[1])) * c[at + n] + sigmoid(load(p[0])) * tanh_(load(p[3]));
            c_next[at + n] = cell;
            h_next[at + n] = store(sigmoid(load(p[2])) * tanh_(cell));
        }
    }
    return 0;
}

/* The backward pass: given the gradients of h' (from above, and from the next step) and of c', writes that of a and
   turns d_c into the gradient of c. */
int backward(long rows, long filters, const product *restrict a, const float *restrict c,
             const float *restrict c_next, const product *restrict d_above, const product *restrict d_next,
             float *restrict d_c, product *restrict d_a) {
#pragma omp parallel for if (rows * filters > 4096)
    for (long row = 0; row < rows; row++) {
        long at = row * filters, at4 = 4 * at;
#pragma omp simd
        for (long n = 0; n < filters; n++) {
            float i = sigmoid(load(a[at4 + n])), f = sigmoid(load(a[at4 + filters + n]));
            float o = sigmoid(load(a[at4 + 2 * filters + n])), g = tanh_(load(a[at4 + 3 * filters + n]));
            float squashed = tanh_(c_next[at + n]);
            float d_h = load(d_above[at + n]) + load(d_next[at + n]);
            float d = d_c[at + n] + d_h * o * (1 - squashed * squashed);
            d_a[at4 + n] = store(d * g * i * (1 - i));
            d_a[at4 + filters + n] = store(d * c[at + n] * f * (1 - f));
            d_a[at4 + 2 * filters + n] = store(d_h * squashed * o * (1 - o));
            d_a[at4 + 3 * filters + n] = store(d * i * (1 - g * g));
            d_c[at + n] = d * f;
        }
    }
    return 0;
}
