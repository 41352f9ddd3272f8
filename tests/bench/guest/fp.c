/*
 * Scalar floating point. Built with -ffp-contract=off, so that every platform rounds after each operation; `horner`
 * asks for fused operations by name.
 */
#include <math.h>

#include "bench.h"

typedef struct Body {
    double x[3], v[3], mass;
} Body;

static uint64_t nbody(uint64_t n)
{
    Body     b[5];
    uint32_t seed = 17;
    uint64_t sum = 0;

    for (unsigned i = 0; i < 5; i++) {
        for (unsigned k = 0; k < 3; k++) {
            b[i].x[k] = 4.0 * i + next_random(&seed) % 1000 * 0.001;
            b[i].v[k] = next_random(&seed) % 1000 * 0.0001;
        }
        b[i].mass = i == 0 ? 40 : 0.01 * (i + 1);
    }
    while (n-- > 0) {
        for (unsigned i = 0; i < 5; i++) {
            for (unsigned j = i + 1; j < 5; j++) {
                double dx = b[i].x[0] - b[j].x[0], dy = b[i].x[1] - b[j].x[1], dz = b[i].x[2] - b[j].x[2];
                double d2 = dx * dx + dy * dy + dz * dz, mag = 0.001 / (d2 * sqrt(d2));

                b[i].v[0] -= dx * b[j].mass * mag;
                b[i].v[1] -= dy * b[j].mass * mag;
                b[i].v[2] -= dz * b[j].mass * mag;
                b[j].v[0] += dx * b[i].mass * mag;
                b[j].v[1] += dy * b[i].mass * mag;
                b[j].v[2] += dz * b[i].mass * mag;
            }
        }
        for (unsigned i = 0; i < 5; i++) {
            for (unsigned k = 0; k < 3; k++) {
                b[i].x[k] += 0.001 * b[i].v[k];
            }
        }
    }
    for (unsigned i = 0; i < 5; i++) {
        sum = mix_double(sum, b[i].x[0]);
    }
    return sum;
}

static uint64_t mandelbrot(uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t p = 0; p < n; p++) {
        double   cr = (double)(p % 97) / 40 - 2, ci = (double)(p % 89) / 40 - 1.1, r = 0, i = 0;
        unsigned k = 0;

        while (k < 100 && r * r + i * i < 4) {
            double t = r * r - i * i + cr;

            i = 2 * r * i + ci;
            r = t;
            k++;
        }
        sum = mix(sum, k);
    }
    return sum;
}

/* Products with the matrix 1 / ((i + j)(i + j + 1) / 2 + i + 1): division and conversion. */
static uint64_t spectral(uint64_t n)
{
    enum { SIZE = 64 };
    double u[SIZE], v[SIZE], vv = 0, uv = 0;

    for (unsigned i = 0; i < SIZE; i++) {
        u[i] = 1;
    }
    while (n-- > 0) {
        double norm = 0;

        for (unsigned i = 0; i < SIZE; i++) {
            v[i] = 0;
            for (unsigned j = 0; j < SIZE; j++) {
                v[i] += u[j] / (double)((i + j) * (i + j + 1) / 2 + i + 1);
            }
            norm += v[i] * v[i];
        }
        for (unsigned i = 0; i < SIZE; i++) {
            u[i] = v[i] / sqrt(norm);
        }
    }
    for (unsigned i = 0; i < SIZE; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    return mix_double(mix_double(0, uv), vv);
}

/* Gaussian elimination: multiply and subtract along rows, with a search for the pivot. */
static uint64_t eliminate(uint64_t n)
{
    enum { SIZE = 32 };
    static double a[SIZE][SIZE + 1];
    uint64_t      sum = 0;

    for (uint64_t r = 0; r < n; r++) {
        uint32_t seed = (uint32_t)r;

        for (unsigned i = 0; i < SIZE * (SIZE + 1); i++) {
            a[i / (SIZE + 1)][i % (SIZE + 1)] = next_random(&seed) % 1000 * 0.01 - 5;
        }
        for (unsigned c = 0; c < SIZE; c++) {
            unsigned pivot = c;

            for (unsigned i = c + 1; i < SIZE; i++) {
                pivot = fabs(a[i][c]) > fabs(a[pivot][c]) ? i : pivot;
            }
            for (unsigned k = c; k <= SIZE; k++) {
                double t = a[c][k];

                a[c][k] = a[pivot][k];
                a[pivot][k] = t;
            }
            for (unsigned i = c + 1; i < SIZE; i++) {
                double f = a[i][c] / a[c][c];

                for (unsigned k = c; k <= SIZE; k++) {
                    a[i][k] -= f * a[c][k];
                }
            }
        }
        sum = mix_double(sum, a[SIZE - 1][SIZE] / a[SIZE - 1][SIZE - 1]);
    }
    return sum;
}

/* Rays against spheres, in single precision. */
static uint64_t spheres(uint64_t n)
{
    static float s[16][4];
    uint32_t     seed = 18;
    uint64_t     sum = 0;

    for (unsigned i = 0; i < 64; i++) {
        s[i / 4][i % 4] = (float)(next_random(&seed) % 1000) * 0.01f + (i % 4 == 2 ? 5 : 0);
    }
    for (uint64_t p = 0; p < n; p++) {
        float dx = (float)(p % 131) * 0.01f, dy = (float)(p % 113) * 0.01f, dz = 1, near = 1e9f;
        float scale = 1 / sqrtf(dx * dx + dy * dy + dz * dz);

        for (unsigned i = 0; i < 16; i++) {
            float b = (s[i][0] * dx + s[i][1] * dy + s[i][2] * dz) * scale;
            float c = s[i][0] * s[i][0] + s[i][1] * s[i][1] + s[i][2] * s[i][2] - s[i][3] * 0.5f;
            float d = b * b - c;

            if (d > 0) {
                float t = b - sqrtf(d);

                near = t > 0 && t < near ? t : near;
            }
        }
        sum = mix(sum, (uint64_t)(int64_t)(near * 16));
    }
    return sum;
}

/* A polynomial by fused multiply-add, a sine near enough. The C library answers natively where the host has none. */
static uint64_t horner(uint64_t n)
{
    static const double c[] = {-1. / 6, 1. / 120, -1. / 5040, 1. / 362880, -1. / 39916800};
    double              x = 0.1, sum = 0;

    while (n-- > 0) {
        double x2 = x * x, p = c[4];

        p = fma(p, x2, c[3]);
        p = fma(p, x2, c[2]);
        p = fma(p, x2, c[1]);
        p = fma(p, x2, c[0]);
        p = fma(p * x2, x, x);
        sum += p;
        x = x > 1.5 ? x - 1.4 : x + 0.03;
    }
    return mix_double(0, sum);
}

/* A recursive filter of second order in single precision: one chain of dependent operations. */
static uint64_t filter(uint64_t n)
{
    float    z1 = 0, z2 = 0, out = 0;
    uint32_t seed = 19;

    while (n-- > 0) {
        float in = (float)(next_random(&seed) & 0xffff) / 65536 - 0.5f;

        out = in * 0.2f + z1;
        z1 = in * 0.4f + z2 - out * -0.37f;
        z2 = in * 0.2f - out * 0.195f;
    }
    return mix_double(mix_double(0, out), z1);
}

/* Random numbers of 64 and 32 bits as fractions, and fractions as unsigned numbers of each size. */
static uint64_t convert(uint64_t n)
{
    uint64_t random = 1, sum = 0;

    while (n-- > 0) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        double d = (double)random * 0x1p-64;
        float  f = (float)(uint32_t)random * 0x1p-32f;

        sum += (uint8_t)(f * 200) + (uint16_t)(d * 60000) + (uint32_t)(d * 4e9) + (uint64_t)(d * 1e18);
    }
    return sum;
}

/* Colours: clamped by comparisons that nobody predicts. */
static uint64_t clamp(uint64_t n)
{
    enum { COUNT = 16384 };
    static float   in[COUNT];
    static uint8_t out[COUNT];
    uint32_t       seed = 44;
    uint64_t       sum = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        in[i] = (float)(next_random(&seed) % 6400) / 16 - 64;
    }
    while (n-- > 0) {
        for (unsigned i = 0; i < COUNT; i++) {
            float v = in[i] * 1.125f + 3;

            v = v < 0 ? 0 : v > 255 ? 255 : v;
            out[i] = (uint8_t)(v + 0.5f);
        }
        in[n % COUNT] += 1;
        sum = mix(sum, out[n % COUNT]);
    }
    return sum;
}

const Program fp_programs[] = {
    { "fp", "nbody", nbody, 200000 },
    { "fp", "mandelbrot", mandelbrot, 250000 },
    { "fp", "spectral", spectral, 5000 },
    { "fp", "eliminate", eliminate, 2000 },
    { "fp", "spheres-f32", spheres, 300000 },
    { "fp", "horner-fma", horner, 5000000 },
    { "fp", "convert", convert, 2000000 },
    { "fp", "clamp-f32", clamp, 400 },
    { "fp", "filter-f32", filter, 8000000 },
    { NULL },
};
