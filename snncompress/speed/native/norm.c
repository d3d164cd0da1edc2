/* Batch norm over rows [R, C]. Sums of SHORT rows are summed in double precision over blocks that depend on R alone: no result
   depends on the number of threads, and none is less accurate than a pairwise sum. Columns repeat after `channels`. */

#include <math.h>
#include <string.h>

typedef REAL real;
enum { WIDTH = 64, SHORT = 32, FAR = 4 };
enum { MEAN, INVERSE, SCALE, SHIFT, NUM_COLUMNS }; /* rows of `columns` [NUM_COLUMNS, channels], as neuron.c reads them */

#define EACH _Pragma("GCC ivdep") for (long i = 0; i < w; i++)
#define TASKS \
  const long chunks = (C + WIDTH - 1) / WIDTH; \
  _Pragma("omp parallel for schedule(static) num_threads(threads)") \
  for (long task = 0; task < blocks * chunks; task++)
#define PLACE \
  const long block = task / chunks, c = (task % chunks) * WIDTH, w = C - c < WIDTH ? C - c : WIDTH; \
  const long first = block * R / blocks, last = (block + 1) * R / blocks;
#define COLUMN(name, from) \
  real name[WIDTH]; \
  for (long i = 0; i < w; i++) name[i] = (from)[(c + i) % channels];
#define ADD \
  for (long k = 0; k < 2; k++) EACH sum[k][i] += (double)part[k][i];
#define KEEP \
  for (long k = 0; k < 2; k++) EACH sums[(block * 2 + k) * C + c + i] = sum[k][i];

/* sums [blocks, 2, C]: of x - shift, and of its square. */
static void sums_of(
    long threads, long R, long C, long channels, long blocks, const real *x, const real *shift, double *sums) {
  TASKS {
    PLACE
    COLUMN(middle, shift)
    double sum[2][WIDTH] = {{0}};
    for (long start = first; start < last; start += SHORT) {
      real part[2][WIDTH] = {{0}};
      for (long r = start; r < last && r < start + SHORT; r++) EACH {
        const real value = x[r * C + c + i] - middle[i];
        part[0][i] += value;
        part[1][i] += value * value;
      }
      ADD
    }
    KEEP
  }
}

/* The sum over blocks and repeated columns of entry `which` of sums [blocks, count, C]. */
static double total(const double *sums, long blocks, long count, long which, long C, long channels, long channel) {
  double found = 0;
  for (long block = 0; block < blocks; block++)
    for (long c = channel; c < C; c += channels) found += sums[(block * count + which) * C + c];
  return found;
}

/* Mean and variance (divided by the number of values) of each channel, and what normalises by them: columns. What is taken
   off before values are squared is the first row of x; where that lies more than FAR deviations from the mean of a channel,
   squares would cancel, and they are summed again around the mean. sums is room for [blocks, 2, C]. */
void norm_statistics(
    long threads, long R, long C, long channels, long blocks, const real *x, const real *weight, const real *bias,
    double eps, double *sums, real *columns, real *variance) {
  const double count = (double)R * (double)(C / channels);
  real *shift = columns + MEAN * channels;
  long is_far = 0;
  for (long c = 0; c < channels; c++) shift[c] = x[c];
  sums_of(threads, R, C, channels, blocks, x, shift, sums);
  for (long c = 0; c < channels; c++) {
    const double first = total(sums, blocks, 2, 0, C, channels, c) / count;
    const double second = total(sums, blocks, 2, 1, C, channels, c) / count;
    is_far |= first * first > FAR * FAR * (second - first * first);
    variance[c] = (real)((double)shift[c] + first);
  }
  if (is_far) {
    for (long c = 0; c < channels; c++) shift[c] = variance[c];
    sums_of(threads, R, C, channels, blocks, x, shift, sums);
  }
  for (long c = 0; c < channels; c++) {
    const double first = total(sums, blocks, 2, 0, C, channels, c) / count;
    const double second = total(sums, blocks, 2, 1, C, channels, c) / count;
    const double mean = (double)shift[c] + first, spread = second - first * first;
    const double inverse = 1 / sqrt((spread > 0 ? spread : 0) + eps), scale = inverse * (double)weight[c];
    columns[MEAN * channels + c] = (real)mean;
    columns[INVERSE * channels + c] = (real)inverse;
    columns[SCALE * channels + c] = (real)scale;
    columns[SHIFT * channels + c] = (real)((double)bias[c] - mean * scale);
    variance[c] = (real)(spread > 0 ? spread : 0);
  }
}

/* y = x scale + shift. */
void norm_apply(long threads, long R, long C, long channels, long blocks, const real *x, const real *columns, real *y) {
  TASKS {
    PLACE
    COLUMN(scale, columns + SCALE * channels)
    COLUMN(shift, columns + SHIFT * channels)
    for (long r = first; r < last; r++) EACH y[r * C + c + i] = x[r * C + c + i] * scale[i] + shift[i];
  }
}

/* sums [blocks, 2, C]: of g, and of g times the standardised x. */
void norm_gradient_sums(
    long threads, long R, long C, long channels, long blocks, const real *x, const real *columns, const real *g,
    double *sums) {
  TASKS {
    PLACE
    COLUMN(mean, columns + MEAN * channels)
    COLUMN(inverse, columns + INVERSE * channels)
    double sum[2][WIDTH] = {{0}};
    for (long start = first; start < last; start += SHORT) {
      real part[2][WIDTH] = {{0}};
      for (long r = start; r < last && r < start + SHORT; r++) EACH {
        const long at = r * C + c + i;
        part[0][i] += g[at];
        part[1][i] += g[at] * ((x[at] - mean[i]) * inverse[i]);
      }
      ADD
    }
    KEEP
  }
}

/* g_x = scale (g - mean of g - standardised x * mean of g times that); g_x may be g. The last two of `count` sums
   [num_blocks, count, num_columns] are those of g; g_bias and g_weight are their totals, and means is room for [2, channels]. */
void norm_backward(
    long threads, long R, long C, long channels, long blocks, const real *x, const real *columns, const real *g,
    const double *sums, long num_blocks, long count, long num_columns, real *g_bias, real *g_weight, real *means, real *g_x) {
  const double values = (double)R * (double)(C / channels);
  for (long c = 0; c < channels; c++) {
    const double one = total(sums, num_blocks, count, count - 2, num_columns, channels, c);
    const double other = total(sums, num_blocks, count, count - 1, num_columns, channels, c);
    g_bias[c] = (real)one;
    g_weight[c] = (real)other;
    means[c] = (real)(one / values);
    means[channels + c] = (real)(other / values);
  }
  TASKS {
    PLACE
    COLUMN(mean, columns + MEAN * channels)
    COLUMN(inverse, columns + INVERSE * channels)
    COLUMN(scale, columns + SCALE * channels)
    COLUMN(middle, means)
    COLUMN(slope, means + channels)
    for (long r = first; r < last; r++) {
      const real *from = x + r * C + c, *reaching = g + r * C + c;
      real *into = g_x + r * C + c;
      EACH into[i] = scale[i] * (reaching[i] - middle[i] - (from[i] - mean[i]) * inverse[i] * slope[i]);
    }
  }
}
