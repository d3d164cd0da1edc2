/* Neurons over time, alone or behind a batch norm, for one update rule. The rule's functions stand where RULE is written:

     charge_of    the potential before the spike
     backward_of  the gradients of membrane, input and tensors from that of the potential
     surrogate_of the gradient of the potential from that of the spike

   Data are [T, R, C], C columns side by side in memory; the rule's tensors are one value for each column, or one for all.
   A task is a block of rows; WIDTH columns are worked on at once. Sums run over blocks that depend on R alone, in double precision, so that no
   result depends on the number of threads; within a block, SHORT rows at a time are summed in the data's own precision. */

#include <tgmath.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef REAL real;
enum { WIDTH = 64, SHORT = 8, TENSORS = NUM_TENSORS, GRADIENTS = NUM_GRADIENTS };

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define MULTIPLY_ADD(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

/* 2^n e^r with |r| <= ln 2 / 2; a polynomial that vectorises, right to 2 units in the last place. For derivatives only. */
static inline float exponential_float(float x) {
  x = x < -87.3f ? -87.3f : x;
  x = x > 88.3f ? 88.3f : x;
  const float n = floorf(MULTIPLY_ADD(x, 1.44269504088896341f, 0.5f));
  const float r = MULTIPLY_ADD(n, 2.12194440e-4f, MULTIPLY_ADD(n, -0.693359375f, x));
  float e = 1.9875691500e-4f;
  e = MULTIPLY_ADD(e, r, 1.3981999507e-3f);
  e = MULTIPLY_ADD(e, r, 8.3334519073e-3f);
  e = MULTIPLY_ADD(e, r, 4.1665795894e-2f);
  e = MULTIPLY_ADD(e, r, 1.6666665459e-1f);
  e = MULTIPLY_ADD(e, r, 5.0000001201e-1f);
  e = MULTIPLY_ADD(e, r * r, r + 1.0f);
  const union { int32_t bits; float value; } power = {((int32_t)n + 127) << 23};
  return e * power.value;
}

static inline real exponential(real x) { return sizeof(real) == 4 ? (real)exponential_float((float)x) : (real)(exp)((double)x); }
static inline real sigmoid(real x) { return (real)1 / ((real)1 + exponential(-x)); }
static inline real tangent(real x) { return (real)2 * sigmoid((real)2 * x) - (real)1; }
static inline real sign_of(real x) { return (real)((x > 0) - (x < 0)); }

/* RULE */

typedef struct {
  long T, R, C, blocks;
  long channels; /* columns repeat after so many */
  long constant; /* the input is one step, the same at each */
  long record;   /* membranes of all steps, not only the last */
  const real *x, *columns, *v0; /* columns [NUM_COLUMNS, channels]: the norm in front; 0 where there is none */
  const real *tensors[TENSORS + 1];
  long strides[TENSORS + 1];
} Given;

enum { MEAN, INVERSE, SCALE, SHIFT, NUM_COLUMNS }; /* as norm.c writes them */

#define EACH _Pragma("GCC ivdep") for (long i = 0; i < w; i++)

/* What differs from column to column: the norm in front, and the rule's tensors; [NUM_COLUMNS + TENSORS, C]. */
static real *columns_of(const Given *g, const int normed) {
  real *found = malloc(sizeof(real) * (NUM_COLUMNS + TENSORS) * g->C);
  for (long c = 0; c < g->C; c++) {
    const long channel = c % g->channels;
    for (long n = 0; n < NUM_COLUMNS; n++) found[n * g->C + c] = normed ? g->columns[n * g->channels + channel] : 0;
    for (long n = 0; n < TENSORS; n++) found[(NUM_COLUMNS + n) * g->C + c] = g->tensors[n][g->strides[n] * channel];
  }
  return found;
}

#define COLUMN(n) (k + (n) * g->C + c)
#define TENSOR(n) COLUMN(NUM_COLUMNS + (n))[i]
#define FIRES(h, i) ((h) COMPARE THRESHOLD(i) ? (real)1 : (real)0)

#define ROWS for (long r = block * g->R / g->blocks; r < (block + 1) * g->R / g->blocks; r++)
#define CHUNKS for (long c = 0; c < g->C; c += WIDTH)
#define PLACE const long w = g->C - c < WIDTH ? g->C - c : WIDTH, at = r * g->C + c;

static inline __attribute__((always_inline)) void load(
    const Given *g, const int normed, const real *k, long t, long c, long at, long w, real *x) {
  const real *from = g->x + (g->constant ? 0 : t) * g->R * g->C + at;
  if (normed) {
    const real *scale = COLUMN(SCALE), *shift = COLUMN(SHIFT);
    EACH x[i] = from[i] * scale[i] + shift[i];
  } else {
    EACH x[i] = from[i];
  }
}

static inline void begin(const Given *g, long at, long w, real *v) {
  EACH v[i] = g->v0 ? g->v0[at + i] : (real)INITIAL;
}

static inline __attribute__((always_inline)) void forward(
    const Given *g, const int normed, long threads, real *spikes, real *membranes) {
  const long size = g->R * g->C;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long block = 0; block < g->blocks; block++) {
    real x[WIDTH], v[WIDTH], *k = columns_of(g, normed);
    ROWS CHUNKS {
      PLACE
      begin(g, at, w, v);
      for (long t = 0; t < g->T; t++) {
        load(g, normed, k, t, c, at, w, x);
        real *s = spikes + t * size + at;
        EACH {
          const real h = charge_of(CHARGE_ARGUMENTS(v[i], x[i], i));
          const real fired = FIRES(h, i);
          s[i] = fired;
          v[i] = AFTER(h, fired, i);
        }
        if (g->record) EACH membranes[t * size + at + i] = v[i];
      }
      if (!g->record) EACH membranes[at + i] = v[i];
    }
    free(k);
  }
}

/* Write the gradient of the input, and add to the sums that a norm in front needs. */
static inline __attribute__((always_inline)) void leave(
    const Given *g, const int normed, const real *k, long t, long c, long at, long w, const real *g_in, real *g_x,
    real *part) {
  const long size = g->R * g->C;
  real *into = g_x + t * size + at;
  EACH into[i] = g_in[i];
  if (normed) {
    const real *from = g->x + t * size + at, *mean = COLUMN(MEAN), *inverse = COLUMN(INVERSE);
    real *first = part + GRADIENTS * g->C + c, *second = first + g->C;
    EACH {
      first[i] += g_in[i];
      second[i] += g_in[i] * ((from[i] - mean[i]) * inverse[i]);
    }
  }
}

static inline __attribute__((always_inline)) void backward(
    const Given *g, const int normed, long threads, const real *g_spikes, const real *g_membranes, real *g_x,
    real *g_v0, double *sums) {
  const long size = g->R * g->C, num_sums = (GRADIENTS + 2) * g->C;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (long block = 0; block < g->blocks; block++) {
    real v[WIDTH], x[WIDTH], carry[WIDTH], into[WIDTH], total[WIDTH], *k = columns_of(g, normed);
    real *potentials = malloc(sizeof(real) * g->T * WIDTH), *part = calloc(num_sums, sizeof(real));
    double *sum = sums + block * num_sums;
    memset(sum, 0, sizeof(double) * num_sums);
    ROWS {
      CHUNKS {
        PLACE
        begin(g, at, w, v);
        for (long t = 0; t < g->T; t++) {
          real *h = potentials + t * WIDTH;
          load(g, normed, k, t, c, at, w, x);
          EACH {
            h[i] = charge_of(CHARGE_ARGUMENTS(v[i], x[i], i));
            v[i] = AFTER(h[i], FIRES(h[i], i), i);
          }
        }
        EACH carry[i] = (g_membranes && !g->record) ? g_membranes[at + i] : 0;
        EACH total[i] = 0;
        for (long t = g->T - 1; t >= 0; t--) {
          const real *h = potentials + t * WIDTH, *gs = g_spikes + t * size + at;
          if (g_membranes && g->record) EACH carry[i] += g_membranes[t * size + at + i];
          load(g, normed, k, t, c, at, w, x);
          if (t) {
            EACH v[i] = AFTER(h[i - WIDTH], FIRES(h[i - WIDTH], i), i);
          } else {
            begin(g, at, w, v);
          }
          EACH {
            const real fired = FIRES(h[i], i);
            const real g_u = surrogate_of(gs[i] + THROUGH_RESET(carry[i], h[i], i), h[i] - THRESHOLD(i));
            const real g_h = g_u + KEPT(carry[i], fired);
            real g_v, g_in;
            BACKWARD(g_h, v[i], x[i], i);
            THRESHOLD_GRADIENT(g_u, carry[i], fired, i);
            carry[i] = g_v;
            into[i] = g_in;
          }
          if (g->constant) {
            EACH total[i] += into[i];
          } else {
            leave(g, normed, k, t, c, at, w, into, g_x, part);
          }
        }
        if (g->constant) leave(g, normed, k, 0, c, at, w, total, g_x, part);
        if (g_v0) EACH g_v0[at + i] = carry[i];
      }
      if ((r + 1) % SHORT == 0 || r + 1 == (block + 1) * g->R / g->blocks) {
        for (long n = 0; n < num_sums; n++) sum[n] += (double)part[n], part[n] = 0;
      }
    }
    free(k);
    free(potentials);
    free(part);
  }
}

/* spikes [T, R, C]; membranes [R, C], or with record [T, R, C]. */
void neuron_forward(const Given *g, long threads, real *spikes, real *membranes) {
  if (g->columns) forward(g, 1, threads, spikes, membranes);
  else forward(g, 0, threads, spikes, membranes);
}

/* sums [blocks, GRADIENTS + 2, C]: of the gradients of the rule's tensors; behind a norm, of the gradient that reaches it, and
   of that times the standardised values. */
void neuron_backward(
    const Given *g, long threads, const real *g_spikes, const real *g_membranes, real *g_x, real *g_v0, double *sums) {
  if (g->columns) backward(g, 1, threads, g_spikes, g_membranes, g_x, g_v0, sums);
  else backward(g, 0, threads, g_spikes, g_membranes, g_x, g_v0, sums);
}
