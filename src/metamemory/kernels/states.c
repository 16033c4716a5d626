/* Neurons and synapses of several states. Called from states.py, whose formulas these are. A plane is one state of the
   neurons of one network: a row a sample, a column a neuron; or one state of its synapses: a row an input, a column an
   output. Sums go down the columns, in order of the rows, so that the number of threads changes no bit. */

#include "functions.h"

/* out = tanh(mean + deviation (z - centre) scale), with centre and scale of each column. */
int normalise(long planes, long states, long rows, long columns, const float *restrict z, const float *restrict mean,
              const float *restrict deviation, float *restrict out, float *restrict centre, float *restrict scale) {
#pragma omp parallel for if (planes * rows * columns > 16384)
    for (long p = 0; p < planes; p++) {
        const float *of = z + p * rows * columns;
        float *to = out + p * rows * columns, *c = centre + p * columns, *s = scale + p * columns;
        float m = mean[p % states], d = deviation[p % states];
        for (long j = 0; j < columns; j++) c[j] = s[j] = 0;
        for (long i = 0; i < rows; i++)
#pragma omp simd
            for (long j = 0; j < columns; j++) c[j] += of[i * columns + j];
        for (long j = 0; j < columns; j++) c[j] /= rows;
        for (long i = 0; i < rows; i++)
#pragma omp simd
            for (long j = 0; j < columns; j++) {
                float x = of[i * columns + j] - c[j];
                s[j] += x * x;
            }
        for (long j = 0; j < columns; j++) s[j] = 1 / sqrtf(s[j] / rows + 1e-5f);
        for (long i = 0; i < rows; i++)
#pragma omp simd
            for (long j = 0; j < columns; j++) {
                long at = i * columns + j;
                to[at] = tanh_(m + d * (of[at] - c[j]) * s[j]);
            }
    }
    return 0;
}

/* Given the gradient of out, writes that of z; and for each column the sums of y and of y x, where y is the gradient of
   what tanh was taken of and x the normalised z: the gradients of mean and deviation are sums of these. */
int normalise_back(long planes, long states, long rows, long columns, const float *restrict z,
                   const float *restrict deviation, const float *restrict out, const float *restrict centre,
                   const float *restrict scale, const float *restrict d_out, float *restrict d_z,
                   float *restrict sums) {
#pragma omp parallel for if (planes * rows * columns > 16384)
    for (long p = 0; p < planes; p++) {
        long first = p * rows * columns;
        const float *c = centre + p * columns, *s = scale + p * columns;
        float d = deviation[p % states], *one = sums + 2 * p * columns, *other = one + columns;
        for (long j = 0; j < columns; j++) one[j] = other[j] = 0;
        for (long i = 0; i < rows; i++)
#pragma omp simd
            for (long j = 0; j < columns; j++) {
                long at = first + i * columns + j;
                float y = d_out[at] * (1 - out[at] * out[at]);
                one[j] += y;
                other[j] += y * (z[at] - c[j]) * s[j];
            }
        for (long i = 0; i < rows; i++)
#pragma omp simd
            for (long j = 0; j < columns; j++) {
                long at = first + i * columns + j;
                float y = d_out[at] * (1 - out[at] * out[at]), x = (z[at] - c[j]) * s[j];
                d_z[at] = d * s[j] * (y - (one[j] + x * other[j]) / rows);
            }
    }
    return 0;
}

/* new = keep w / (1 + bound sum w^2) + rate hebb, the sum over the rows of a column; squares are these sums. */
int grow(long planes, long rows, long columns, const float *restrict w, const float *restrict hebb,
         const float *restrict keep, const float *restrict bound, const float *restrict rate, float *restrict new,
         float *restrict squares) {
    float k = *keep, b = *bound, r = *rate;
#pragma omp parallel for if (planes * rows * columns > 16384)
    for (long p = 0; p < planes; p++) {
        long first = p * rows * columns;
        float *q = squares + p * columns;
        for (long j = 0; j < columns; j++) q[j] = 0;
        for (long i = 0; i < rows; i++)
#pragma omp simd
            for (long j = 0; j < columns; j++) q[j] += w[first + i * columns + j] * w[first + i * columns + j];
        for (long i = 0; i < rows; i++)
#pragma omp simd
            for (long j = 0; j < columns; j++) {
                long at = first + i * columns + j;
                new[at] = k * w[at] / (1 + b * q[j]) + r * hebb[at];
            }
    }
    return 0;
}

/* Given the gradient d of new, writes those of w and hebb; and for each column the sums of d w and d hebb, of which the
   gradients of the three numbers are made. */
int grow_back(long planes, long rows, long columns, const float *restrict w, const float *restrict hebb,
              const float *restrict keep, const float *restrict bound, const float *restrict rate,
              const float *restrict squares, const float *restrict d, float *restrict d_w, float *restrict d_hebb,
              float *restrict sums) {
    float k = *keep, b = *bound, r = *rate;
#pragma omp parallel for if (planes * rows * columns > 16384)
    for (long p = 0; p < planes; p++) {
        long first = p * rows * columns;
        const float *q = squares + p * columns;
        float *of_w = sums + 2 * p * columns, *of_hebb = of_w + columns;
        for (long j = 0; j < columns; j++) of_w[j] = of_hebb[j] = 0;
        for (long i = 0; i < rows; i++)
#pragma omp simd
            for (long j = 0; j < columns; j++) {
                long at = first + i * columns + j;
                of_w[j] += d[at] * w[at];
                of_hebb[j] += d[at] * hebb[at];
            }
        for (long i = 0; i < rows; i++)
#pragma omp simd
            for (long j = 0; j < columns; j++) {
                long at = first + i * columns + j;
                float share = 1 / (1 + b * q[j]);
                d_w[at] = k * share * (d[at] - 2 * b * share * of_w[j] * w[at]);
                d_hebb[at] = r * d[at];
            }
    }
    return 0;
}
