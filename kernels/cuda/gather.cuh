// x in packed order, for kernels that read it in 16-byte pieces:
//
//   out[token][f] = x[token][map[f]], 0 where map[f] is -1;  without a map: x[token][f], 0 from k on
//
//   f < 32 units; x is 16-bit elements of any kind, rows aligned to 2 bytes; out is 16-byte aligned.
//   blockIdx.x   token     blockIdx.y  1024 features, 8 for each of 128 threads
//
// The blocks of a token run side by side, and its row comes from L1.
#pragma once
#include "device.cuh"

INLINE void gather_x(u64 x, i32 x_stride, i32 k, i32 units, u64 map, u64 out) {
  i32 feature = 8 * (block_y() * 128 + thread_x());
  if (feature >= 32 * units)
    return;
  u64 row = x + 2 * (i64)block_x() * x_stride;
  i32 from[8];
  if (map) {
    UNROLL
    for (int i = 0; i < 2; i++) {
      Words4 v = read_words4(map + 4 * (i64)feature + 16 * i);
      UNROLL
      for (int j = 0; j < 4; j++)
        from[4 * i + j] = v.v[j];
    }
  } else {
    UNROLL
    for (int i = 0; i < 8; i++)
      from[i] = feature + i < k ? feature + i : -1;
  }
  Words4 r;
  UNROLL
  for (int i = 0; i < 4; i++)
    r.v[i] = read_half_if(row + 2 * (i64)from[2 * i], from[2 * i] >= 0) | read_half_if(row + 2 * (i64)from[2 * i + 1], from[2 * i + 1] >= 0) << 16;
  write_words4(out + 2 * ((i64)block_x() * 32 * units + feature), r);
}

#define GATHER_KERNEL                                                                                                                     \
  KERNEL THREADS(128) gather(u64 x, i32 x_stride, i32 k, i32 units, u64 map, u64 out) { gather_x(x, x_stride, k, units, map, out); }
