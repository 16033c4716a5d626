/* Vectors as wide as the processor's, of LANES numbers: a compiler takes wider ones apart at a loss. Sums over them are
   added up in APART places first, whatever the width, so that their order is the same everywhere. */

#include <string.h>

#define APART 16

#if defined __AVX512F__
enum { LANES = 16 };
#elif defined __AVX__
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
enum { PARTS = APART / LANES };

typedef float vector __attribute__((vector_size(4 * LANES), may_alias));
typedef float eight __attribute__((vector_size(32)));
typedef float four __attribute__((vector_size(16)));
typedef vector parts[PARTS]; /* of a sum */

/* Of all APART places: of one half and the other, and so on. */
static inline float total(const vector *all) {
    union { parts whole; eight halves[2]; four quarters[2]; } sum;
    for (int p = 0; p < PARTS; p++) sum.whole[p] = all[p];
    sum.halves[0] += sum.halves[1];
    sum.quarters[0] += sum.quarters[1];
    four last = sum.quarters[0];
    return (last[0] + last[2]) + (last[1] + last[3]);
}
