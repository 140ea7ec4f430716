// The arguments that all kernels of a layer's product share, in one order, and
// the meaning of each. Pointers are 64-bit, all else 32-bit integers.
//
//   x            x[token][feature], 16-bit elements of the kernel's type
//   x_stride     elements from one token's row to the next
//   m, k, n      tokens, features of a row, outputs
//   np           n rounded up to 32: the outputs that weights, scales and sums have
//   units        units of 32 packed features
//   weights      bricks, [np/32][units]
//   scales       [groups][np] of scale_kind
//   zeros        int16 [groups][np], or 0: every zero point is zero_point
//   unit_group   int32 [units]: which row of scales and zeros
//   map          int32 [32 units]: the feature of x, or -1 for none; read by gather kernels alone
//   bias         float32 [n], or 0
//   y, y_stride  y[token][output] of y_kind, elements from one row to the next
//   sums         float32 [slices][m][np], written in place of y where the grid has several slices, not yet enlarged
//   fine         1: scale each of a unit's two products on its own; else 0
//   slice_units  units of a slice: blockIdx.y is the slice
//   run_units    units of a warp's run: threadIdx.y is the run (kernel "stream")
#pragma once
#include "number.cuh"

struct Layer {
  u64 x;
  i32 x_stride, m, k, n, np, units;
  u64 weights, scales;
  i32 scale_kind;
  u64 zeros;
  i32 zero_point;
  u64 unit_group, map, bias, y;
  i32 y_stride, y_kind;
  u64 sums;
  i32 fine, slice_units, run_units;

  // Units [first, last) of this block's slice.
  INLINE i32 first_unit() const { return minimum(block_y() * slice_units, units); }
  INLINE i32 last_unit() const { return minimum(first_unit() + slice_units, units); }

  // Units of which all features exist.
  INLINE i32 whole_units() const { return k / 32; }

  // The end of every kernel: the sum of a slice for one output of one token, which
  // is to be multiplied with enlarge.
  INLINE void write(i32 token, i32 output, float sum, float enlarge) const {
    if (grid_y() > 1) {
      write_float(sums + 4 * (((i64)block_y() * m + token) * np + output), sum);
    } else if (output < n) {
      sum *= enlarge;
      if (bias)
        sum += read_float(bias + 4 * (i64)output);
      write_rounded(y, (i64)token * y_stride + output, y_kind, sum);
    }
  }
};

#define LAYER_PARAMETERS                                                                                                                  \
  u64 x, i32 x_stride, i32 m, i32 k, i32 n, i32 np, i32 units, u64 weights, u64 scales, i32 scale_kind, u64 zeros, i32 zero_point,        \
      u64 unit_group, u64 map, u64 bias, u64 y, i32 y_stride, i32 y_kind, u64 sums, i32 fine, i32 slice_units, i32 run_units
#define LAYER_ARGUMENTS                                                                                                                   \
  Layer {                                                                                                                                 \
    x, x_stride, m, k, n, np, units, weights, scales, scale_kind, zeros, zero_point, unit_group, map, bias, y, y_stride, y_kind, sums,    \
        fine, slice_units, run_units                                                                                                         \
  }
