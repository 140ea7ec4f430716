// The second launch of a product that was cut into slices:
//
//   y[token][output] = round((((sums[0] + sums[1]) + sums[2]) + ...) enlarge + bias)
//
//   blockIdx.x   128 outputs, one for each thread     blockIdx.y  tokens y, y + gridDim.y, ...
//
// Its reads are coalesced and four at a time; the order of additions is that of slices.
#pragma once
#include "bricks.cuh"

INLINE void finish_sums(u64 sums, i32 slices, i32 m, i32 n, i32 np, u64 bias, u64 y, i32 y_stride, i32 y_kind, float enlarge) {
  i32 output = block_x() * 128 + thread_x();
  if (output >= n)
    return;
  float add = bias ? read_float(bias + 4 * (i64)output) : 0.0f;
  for (i32 token = block_y(); token < m; token += grid_y()) {
    u64 from = sums + 4 * ((i64)token * np + output);
    i64 step = 4 * (i64)m * np;
    float sum = read_float(from);
    i32 slice = 1;
    for (; slice + 4 <= slices; slice += 4) {
      float part[4];
      UNROLL
      for (int i = 0; i < 4; i++)
        part[i] = read_float(from + (slice + i) * step);
      UNROLL
      for (int i = 0; i < 4; i++)
        sum += part[i];
    }
    for (; slice < slices; slice++)
      sum += read_float(from + slice * step);
    sum *= enlarge;
    if (bias)
      sum += add;
    write_rounded(y, (i64)token * y_stride + output, y_kind, sum);
  }
}

#define FINISH_KERNEL(T, BITS)                                                                                                            \
  KERNEL THREADS(128) finish(u64 sums, i32 slices, i32 m, i32 n, i32 np, u64 bias, u64 y, i32 y_stride, i32 y_kind) {                     \
    finish_sums(sums, slices, m, n, np, bias, y, y_stride, y_kind, enlarge<T, BITS>);                                                     \
  }
