/* The type that convolutions multiply in, and that what enters or leaves them is kept in: float32, or bfloat16
   with -DBFLOAT16. Arithmetic is float32 in both. */

#include <stdint.h>

#ifdef BFLOAT16
typedef uint16_t product;

static inline float load(product x) {
    union { uint32_t bits; float value; } wide = {.bits = (uint32_t)x << 16};
    return wide.value;
}

static inline product store(float x) { /* round to nearest, ties to even */
    union { float value; uint32_t bits; } wide = {.value = x};
    if (x != x) return 0x7fc0; /* rounding could carry the digits of a NaN into a number */
    return (product)((wide.bits + 0x7fff + ((wide.bits >> 16) & 1)) >> 16);
}
#else
typedef float product;
static inline float load(product x) { return x; }
static inline product store(float x) { return x; }
#endif
