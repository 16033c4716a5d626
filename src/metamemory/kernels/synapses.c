/* A step of LSTM cells that lie between two layers of neurons, one cell a synapse: what enters them is the sum of what comes
   from the neuron below, from the neuron above, and from the cell itself. Cells are in the order network, input, output;
   pre-activations of a cell gate by gate: i, f, o, g. UNITS is how many a cell has, so that its numbers stay in registers.
   Called from synapses.py, whose formulas these are. */

#include <string.h>

#include "functions.h"

enum { GATES = 4 * UNITS };

static inline void entering(float *restrict a, const float *restrict below, const float *restrict above,
                            const float *restrict w, const float *restrict h) {
    for (long k = 0; k < GATES; k++) a[k] = below[k] + above[k];
    for (long n = 0; n < UNITS; n++)
        for (long k = 0; k < GATES; k++) a[k] += h[n] * w[n * GATES + k];
}

/* So many ticks, in each: a = below + above + h w; c' = f c + i g; h' = o tanh(c'). Writes h' and c' of the last. With
   `gates`, those of all ticks, one after the other, and i, f, o and g of each. */
int forward(long networks, long inputs, long outputs, long ticks, const float *restrict below, const float *restrict above,
            const float *restrict w, const float *restrict h, const float *restrict c, float *restrict h_next,
            float *restrict c_next, float *restrict gates) {
    long cells = networks * inputs * outputs;
#pragma omp parallel for if (ticks * cells * UNITS > 16384)
    for (long row = 0; row < networks * inputs; row++) {
        for (long j = 0; j < outputs; j++) {
            float a[GATES], of_h[UNITS], of_c[UNITS];
            long cell = row * outputs + j;
            memcpy(of_h, h + cell * UNITS, sizeof of_h), memcpy(of_c, c + cell * UNITS, sizeof of_c);
            for (long tick = 0; tick < ticks; tick++) {
                long at = ((gates ? tick * cells : 0) + cell) * UNITS;
                entering(a, below + row * GATES, above + (row / inputs * outputs + j) * GATES, w, of_h);
#pragma omp simd
                for (long n = 0; n < UNITS; n++) {
                    float i = sigmoid(a[n]), f = sigmoid(a[UNITS + n]), o = sigmoid(a[2 * UNITS + n]);
                    float g = tanh_(a[3 * UNITS + n]), next = f * of_c[n] + i * g;
                    of_c[n] = c_next[at + n] = next;
                    of_h[n] = h_next[at + n] = o * tanh_(next);
                    a[n] = i, a[UNITS + n] = f, a[2 * UNITS + n] = o, a[3 * UNITS + n] = g;
                }
                if (gates) memcpy(gates + 4 * at, a, sizeof a);
            }
        }
    }
    return 0;
}

/* A tick back: given the gradients of h' and c', writes those of a and c. `gates` is what `forward` has kept of it. */
int backward(long networks, long inputs, long outputs, const float *restrict gates, const float *restrict c,
             const float *restrict c_next, const float *restrict d_h, const float *restrict d_next, float *restrict d_a,
             float *restrict d_c) {
#pragma omp parallel for if (networks * inputs * outputs * UNITS > 16384)
    for (long cell = 0; cell < networks * inputs * outputs; cell++) {
        long at = cell * UNITS;
        const float *restrict a = gates + 4 * at;
        float *restrict d = d_a + 4 * at;
#pragma omp simd
        for (long n = 0; n < UNITS; n++) {
            float i = a[n], f = a[UNITS + n], o = a[2 * UNITS + n], g = a[3 * UNITS + n], squashed = tanh_(c_next[at + n]);
            float of_cell = d_next[at + n] + d_h[at + n] * o * (1 - squashed * squashed);
            d[n] = of_cell * g * i * (1 - i);
            d[UNITS + n] = of_cell * c[at + n] * f * (1 - f);
            d[2 * UNITS + n] = d_h[at + n] * squashed * o * (1 - o);
            d[3 * UNITS + n] = of_cell * i * (1 - g * g);
            d_c[at + n] = of_cell * f;
        }
    }
    return 0;
}
