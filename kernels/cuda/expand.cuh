// Codes as numbers of x's type, for a product of plain numbers: some rows of
// bricks, either as bricks of 16 bits or row by row.
//
//   w[output][feature] = round((u - zero) (scale shrink))     u - zero exact; both products in float32
//
//   out_stride 0:  bricks of 16 bits, [rows][units]        else:  [32 rows][out_stride], features in packed order
//
// shrink is a power of two, which keeps all of a layer within the range of a 16-bit
// type; the product's sums are to be made up for it.
//
//   blockIdx.x   row of 32 outputs     blockIdx.y  32 units, 8 for each warp
//   a lane       its registers of a brick: for each of 4 outputs 8 features, which are 16 bytes of a row
//
// Threads: 128. The first row is rows[first_row]; rows of out begin at 0.
#pragma once
#include "layer.cuh"
#include "bricks.cuh"

constexpr int expand_units = 8; // of a warp

// The words of a brick that a lane needs, as read_brick has them, from global memory.
template <int BITS> INLINE void load_brick(u32 (&w)[BITS], u64 brick, i32 lane) {
  if constexpr (BITS == 2) {
    read_words2(brick + 8 * lane, w[0], w[1]);
  } else if constexpr (BITS == 3) {
    UNROLL
    for (int i = 0; i < 3; i++)
      w[i] = read_word(brick + 128 * i + 4 * lane);
  } else {
    UNROLL
    for (int tile = 0; tile < BITS / 4; tile++) {
      Words4 v = read_words4(brick + 512 * tile + 16 * lane);
      UNROLL
      for (int i = 0; i < 4; i++)
        w[4 * tile + i] = v.v[i];
    }
  }
}

// Scale and constant of the zero point of a lane's four outputs: g + 8 i.
template <class T, int BITS> struct ExpandGroup {
  float scale[4];
  u32 zero[4];

  INLINE void read(u64 scales, i32 scale_kind, u64 zeros, i32 zero_point, i64 at, float shrink) {
    UNROLL
    for (int i = 0; i < 4; i++) {
      i64 from = at + 8 * i;
      float s;
      if (scale_kind == kind_f32) {
        s = read_float(scales + 4 * from);
      } else {
        u32 h = read_half_if(scales + 2 * from, true);
        s = scale_kind == kind_f16 ? float_of_half(h) : float_of_bf16(h);
      }
      scale[i] = s * shrink;
      i32 z = zeros ? (i32)(i16)read_half_if(zeros + 2 * from, true) : zero_point;
      zero[i] = zero_constant<T, BITS>(z, i % 2);
    }
  }
};

// Both numbers of a fragment's register times scale, rounded.
template <class T> INLINE u32 scaled_pair(u32 pair, float scale) {
  float lo, hi;
  if constexpr (T::bf16) {
    lo = float_of_bf16(pair & 0xffff), hi = float_of_bf16(pair >> 16);
  } else {
    lo = float_of_half(pair & 0xffff), hi = float_of_half(pair >> 16);
  }
  return T::pair(lo * scale, hi * scale);
}

template <class T, int BITS>
INLINE void expand(u64 weights, u64 scales, i32 scale_kind, u64 zeros, i32 zero_point, u64 unit_group, i32 np, i32 units, i32 first_row,
                   float shrink, u64 out, i32 out_stride) {
  i32 lane = thread_x() % 32, g = lane / 4, t = lane % 4;
  i32 row = first_row + block_x();
  i32 first = (block_y() * 4 + uniform(thread_x() / 32)) * expand_units, last = minimum(first + expand_units, units);
  ExpandGroup<T, BITS> of;
  i32 group = -1;
  for (i32 unit = first; unit < last; unit++) {
    u32 w[BITS];
    load_brick<BITS>(w, weights + ((i64)row * units + unit) * brick_bytes<BITS>, lane);
    i32 its = read_word(unit_group + 4 * (i64)unit);
    if (its != group) {
      group = its;
      of.read(scales, scale_kind, zeros, zero_point, (i64)group * np + 32 * (i64)row + g, shrink * enlarge<T, BITS>);
    }
    Words4 tile[2][2]; // of each tile: step 0, step 1
    UNROLL
    for (int i = 0; i < 2; i++) {
      u32 zero[2] = {of.zero[2 * i], of.zero[2 * i + 1]}, a0[4], a1[4];
      if (i == 0)
        fragments<T, BITS, 0>(a0, a1, w, zero);
      else
        fragments<T, BITS, 1>(a0, a1, w, zero);
      UNROLL
      for (int j = 0; j < 4; j++) {
        tile[i][0].v[j] = scaled_pair<T>(a0[j], of.scale[2 * i + j % 2]);
        tile[i][1].v[j] = scaled_pair<T>(a1[j], of.scale[2 * i + j % 2]);
      }
    }
    if (out_stride == 0) {
      u64 to = out + ((i64)block_x() * units + unit) * brick_bytes<16> + 16 * lane;
      UNROLL
      for (int i = 0; i < 4; i++)
        write_words4(to + 512 * i, tile[i / 2][i % 2]);
    } else {
      u64 to = out + 2 * ((i64)(32 * block_x() + g) * out_stride + 32 * unit + 8 * t);
      UNROLL
      for (int i = 0; i < 4; i++) {
        const Words4 &s0 = tile[i / 2][0], &s1 = tile[i / 2][1];
        write_words4(to + 16 * i * (i64)out_stride, Words4{{s0.v[i % 2], s0.v[i % 2 + 2], s1.v[i % 2], s1.v[i % 2 + 2]}});
      }
    }
  }
}

#define EXPAND_KERNEL(T, BITS)                                                                                                            \
  KERNEL THREADS(128)                                                                                                                     \
  expand(u64 weights, u64 scales, i32 scale_kind, u64 zeros, i32 zero_point, u64 unit_group, i32 np, i32 units, i32 first_row,            \
         float shrink, u64 out, i32 out_stride) {                                                                                         \
    expand<T, BITS>(weights, scales, scale_kind, zeros, zero_point, unit_group, np, units, first_row, shrink, out, out_stride);           \
  }
