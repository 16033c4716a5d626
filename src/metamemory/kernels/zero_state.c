/* The gates of an LSTM whose state before the step is zero, for cells that lie in rows: one row a pixel of an image,
   `filters` cells in it. A row of `a` holds the pre-activations of all its cells, gate by gate: i, o, g; there is
   nothing to forget. The formulas are those of zero_state.py, which calls these functions. */

#include "functions.h"
#include "product.h"

/* h = o tanh(i g) */
int forward(long rows, long filters, const product *restrict a, product *restrict h) {
#pragma omp parallel for if (rows * filters > 4096)
    for (long row = 0; row < rows; row++) {
        const product *restrict p = a + 3 * row * filters;
#pragma omp simd
        for (long n = 0; n < filters; n++) {
            float cell = sigmoid(load(p[n])) * tanh_(load(p[2 * filters + n]));
            h[row * filters + n] = store(sigmoid(load(p[filters + n])) * tanh_(cell));
        }
    }
    return 0;
}

/* The backward pass: given the gradient of h, writes that of a. */
int backward(long rows, long filters, const product *restrict a, const product *restrict d_h, product *restrict d_a) {
#pragma omp parallel for if (rows * filters > 4096)
    for (long row = 0; row < rows; row++) {
        const product *restrict p = a + 3 * row * filters;
        product *restrict d_p = d_a + 3 * row * filters;
#pragma omp simd
        for (long n = 0; n < filters; n++) {
            float i = sigmoid(load(p[n])), o = sigmoid(load(p[filters + n])), g = tanh_(load(p[2 * filters + n]));
            float squashed = tanh_(i * g), d = load(d_h[row * filters + n]);
            float d_c = d * o * (1 - squashed * squashed);
            d_p[n] = store(d_c * g * i * (1 - i));
            d_p[filters + n] = store(d * squashed * o * (1 - o));
            d_p[2 * filters + n] = store(d_c * i * (1 - g * g));
        }
    }
    return 0;
}
