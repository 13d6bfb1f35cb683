/* SPDX-License-Identifier: MIT */
#include "exponential.h"

#include <string.h>

#define LN2 0.69314718055994530942

/* Invert the bits of a double into its exponent and a mantissa in [sqrt(1/2), sqrt(2)). */
static double split(double x, int *exponent)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    *exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    bits = (bits & 0xfffffffffffffull) | 0x3ff0000000000000ull;
    double mantissa;
    memcpy(&mantissa, &bits, sizeof mantissa);
    if (mantissa > 1.41421356237309504880) {
        mantissa /= 2;
        ++*exponent;
    }
    return mantissa;
}

/* ln m = 2 artanh s, s = (m - 1) / (m + 1), |s| < 0.172: the series gains 1.5 digits a term. */
double exponential_log(double x)
{
    int exponent;
    double mantissa = split(x, &exponent);
    double s = (mantissa - 1) / (mantissa + 1), square = s * s, power = s, sum = 0;
    for (int term = 1; term <= 17; term += 2) {
        sum += power / term;
        power *= square;
    }
    return exponent * LN2 + 2 * sum;
}

/* xorshift64*, Marsaglia (2003) and Vigna (2016). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dull;
}

uint64_t exponential_draw(uint64_t *state, uint64_t mean)
{
    /* Uniform on (0, 1], 53 bits. A call of integer cost c is sampled when the drawn distance d has
     * d < c, that is floor(d) + 1 <= c. */
    double uniform = (double)((next_random(state) >> 11) + 1) * 0x1p-53;
    return (uint64_t)(-exponential_log(uniform) * (double)mean) + 1;
}

/* 1 - exp(-y) for y >= 0, without losing digits where y is small. */
static double probability(double y)
{
    if (y > 40)
        return 1;
    /* exp(-y) = exp(-y / 2^k)^(2^k): with e = 1 - exp(-y / 2^k), doubling the argument maps e to
     * e (2 - e), which never subtracts nearly equal numbers. */
    int halvings = 0;
    for (; y > 0x1p-4; halvings++)
        y /= 2;
    double term = y, e = 0;
    for (int n = 2; n <= 9; n++) {
        e += term;
        term *= -y / n;
    }
    for (; halvings > 0; halvings--)
        e = e * (2 - e);
    return e;
}

double exponential_weight(uint64_t cost, uint64_t mean)
{
    return 1 / probability((double)cost / (double)mean);
}
