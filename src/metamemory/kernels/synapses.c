/* The gates of LSTM cells that lie between two layers of neurons, one cell a synapse: what enters them is the sum of what
   comes from the neuron below, from the neuron above, and from the cell itself. Cells are in the order network, input,
   output; pre-activations of a cell gate by gate: i, f, o, g. Called from synapses.py, whose formulas these are. */

#include "functions.h"

static inline void sum_of_three(float *restrict a, const float *restrict below, const float *restrict above,
                                const float *restrict own, long gates) {
#pragma omp simd
    for (long k = 0; k < gates; k++) a[k] = below[k] + above[k] + own[k];
}

/* a = below + above + own; c' = f c + i g; h' = o tanh(c'). */
int forward(long networks, long inputs, long outputs, long units, const float *restrict below,
            const float *restrict above, const float *restrict own, const float *restrict c, float *restrict h_next,
            float *restrict c_next) {
    long gates = 4 * units;
#pragma omp parallel for if (networks * inputs * outputs * units > 16384)
    for (long row = 0; row < networks * inputs; row++) {
        float a[gates];
        for (long j = 0; j < outputs; j++) {
            long cell = row * outputs + j;
            sum_of_three(a, below + row * gates, above + (row / inputs * outputs + j) * gates, own + cell * gates, gates);
#pragma omp simd
            for (long n = 0; n < units; n++) {
                float next = sigmoid(a[units + n]) * c[cell * units + n] + sigmoid(a[n]) * tanh_(a[3 * units + n]);
                c_next[cell * units + n] = next;
                h_next[cell * units + n] = sigmoid(a[2 * units + n]) * tanh_(next);
            }
        }
    }
    return 0;
}

/* The same back: given the gradients of h' and c', writes those of a and c. */
int backward(long networks, long inputs, long outputs, long units, const float *restrict below,
             const float *restrict above, const float *restrict own, const float *restrict c,
             const float *restrict d_h, const float *restrict d_next, float *restrict d_a, float *restrict d_c) {
    long gates = 4 * units;
#pragma omp parallel for if (networks * inputs * outputs * units > 16384)
    for (long row = 0; row < networks * inputs; row++) {
        float a[gates];
        for (long j = 0; j < outputs; j++) {
            long cell = row * outputs + j, at = cell * units;
            float *restrict d = d_a + cell * gates;
            sum_of_three(a, below + row * gates, above + (row / inputs * outputs + j) * gates, own + cell * gates, gates);
#pragma omp simd
            for (long n = 0; n < units; n++) {
                float i = sigmoid(a[n]), f = sigmoid(a[units + n]), o = sigmoid(a[2 * units + n]);
                float g = tanh_(a[3 * units + n]), squashed = tanh_(f * c[at + n] + i * g);
                float of_cell = d_next[at + n] + d_h[at + n] * o * (1 - squashed * squashed);
                d[n] = of_cell * g * i * (1 - i);
                d[units + n] = of_cell * c[at + n] * f * (1 - f);
                d[2 * units + n] = d_h[at + n] * squashed * o * (1 - o);
                d[3 * units + n] = of_cell * i * (1 - g * g);
                d_c[at + n] = of_cell * f;
            }
        }
    }
    return 0;
}
