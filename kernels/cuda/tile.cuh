// Many tokens: blocks of 128 outputs by TOKENS tokens, bound by the tensor cores.
//
//   y[token][output] = round(sum over slices of acc + bias), acc as in sums.cuh
//
//        tokens 0..63   64..127                  tokens 0..63
//      +-------------+-------------+            +-------------+
//   64 |   warp 0    |   warp 1    |         32 |   warp 0    |
//      |             |             |            +-------------+
//      +-------------+-------------+         32 |   warp 1    |     A warp has all of K for its part of
//   64 |   warp 2    |   warp 3    |            +-------------+     the block: no sum crosses warps.
//      |             |             |         32 |   warp 2    |
//      +-------------+-------------+            +-------------+
//          TOKENS = 128                      32 |   warp 3    |
//                                               +-------------+     TOKENS = 64
//
// A ring of units in shared memory, filled by asynchronous copies of all threads,
// STAGES - 1 ahead; one barrier for each unit. A unit of x is [token][32 features],
// 64 bytes a row: eight lanes read two rows, which is all banks once. So is what a
// lane reads of weights, and no swizzle is needed.
//
//   stage   [TOKENS][32] x | 4 bricks          behind the stages: slots of groups.cuh
//
//   blockIdx.x   128 outputs     blockIdx.y  slice     blockIdx.z  TOKENS tokens
//
// x and its rows are 16-byte aligned. Features from k on are not read.
// Threads: 128. Dynamic shared memory: tile_shared bytes.
#pragma once
#include "groups.cuh"
#include "sums.cuh"

template <int BITS, int TOKENS> constexpr int tile_stages = BITS == 16 ? 3 : TOKENS == 128 ? (BITS == 8 ? 3 : 4) : (BITS == 8 ? 5 : 6);

template <int BITS, int TOKENS> constexpr int tile_stage_bytes = 64 * TOKENS + 4 * brick_bytes<BITS>;

template <int BITS, int TOKENS>
constexpr int tile_shared = tile_stages<BITS, TOKENS> *(tile_stage_bytes<BITS, TOKENS> + group_slot_bytes<128>);

// What one thread copies of each unit: 16 bytes of every 32nd row of x, and of the bricks.
template <int BITS, int TOKENS> struct TileCopier {
  static constexpr int chunks = brick_bytes<BITS> / 4; // of 16 bytes, of 4 bricks
  u64 x;     // of this thread's first row, at its features of the next unit
  i32 rows;  // that exist, from that one on
  i32 whole; // units that are copied 16 bytes at a time
  u64 bricks[(chunks + 127) / 128];

  INLINE TileCopier(const Layer &l, i32 output, i32 token, i32 unit) {
    i32 row = token + thread_x() / 4;
    x = l.x + 2 * ((i64)row * l.x_stride + 32 * unit + 8 * (thread_x() % 4));
    rows = l.m - row;
    whole = l.fine ? 0 : l.whole_units();
    UNROLL
    for (int i = 0; i < (chunks + 127) / 128; i++) {
      i32 chunk = thread_x() + 128 * i, brick = chunk / (brick_bytes<BITS> / 16), at = chunk % (brick_bytes<BITS> / 16);
      if (output + 32 * brick >= l.np) // does not exist: the first stands in, nobody uses the results
        brick = 0;
      bricks[i] = l.weights + ((i64)(output / 32 + brick) * l.units + unit) * brick_bytes<BITS> + 16 * at;
    }
  }

  // Copies a unit to the stage: all of x in it, or half of it and zeros.
  INLINE void copy(const Layer &l, u32 stage, i32 unit, i32 half) {
    u32 to = stage + 16 * thread_x();
    // Rows that do not exist are not copied: what lies there reaches no other row's results.
    if (unit < whole) {
      UNROLL
      for (int i = 0; i < TOKENS / 32; i++)
        if (32 * i < rows)
          copy16(to + 2048 * i, x + i * (64 * (i64)l.x_stride));
    } else {
      i32 bytes = minimum(maximum(2 * (l.k - 32 * unit) - 16 * (thread_x() % 4), 0), 16); // that exist
      i32 first = minimum(bytes, 8), second = bytes - first;
      if (l.fine && half == 0)
        second = 0;
      if (l.fine && half == 1)
        first = 0;
      UNROLL
      for (int i = 0; i < TOKENS / 32; i++)
        if (32 * i < rows) {
          u64 from = x + i * (64 * (i64)l.x_stride);
          copy8_part(to + 2048 * i, from, first);
          copy8_part(to + 2048 * i + 8, from + (second ? 8 : 0), second);
        }
    }
    UNROLL
    for (int i = 0; i < (chunks + 127) / 128; i++)
      if (128 * i + 128 <= chunks || thread_x() < chunks - 128 * i)
        copy16(to + 64 * TOKENS + 2048 * i, bricks[i]);
  }

  INLINE void next_unit() {
    x += 64;
    UNROLL
    for (int i = 0; i < (chunks + 127) / 128; i++)
      bricks[i] += brick_bytes<BITS>;
  }
};

// One step. x is the warp's first row of it and t, bricks its first brick, for TILES tiles of outputs.
template <class T, int BITS, int TILES>
INLINE void tile_step(Sums<T, TILES, 8> &sums, u32 x, u32 bricks, i32 lane, const GroupRows<T, BITS, TILES> &rows) {
  u32 a0[TILES][4], a1[TILES][4];
  UNROLL
  for (int i = 0; i < TILES; i += 2) {
    u32 w[BITS];
    read_brick<BITS>(w, bricks + i / 2 * brick_bytes<BITS>, lane);
    fragments<T, BITS, 0>(a0[i], a1[i], w, rows.zero[i]);
    fragments<T, BITS, 1>(a0[i + 1], a1[i + 1], w, rows.zero[i + 1]);
  }
  UNROLL
  for (int j = 0; j < 8; j++) {
    Words4 b = shared_words4(x + 512 * j);
    UNROLL
    for (int i = 0; i < TILES; i++)
      sums.add(i, j, a0[i], a1[i], b, rows.scale[i]);
  }
}

template <class T, int BITS, int TOKENS> INLINE void tile(Layer l) {
  constexpr int stages = tile_stages<BITS, TOKENS>, stage_bytes = tile_stage_bytes<BITS, TOKENS>;
  constexpr int tiles = TOKENS == 128 ? 4 : 2; // of outputs, for each warp
  i32 thread = thread_x(), lane = thread % 32, warp = uniform(thread / 32), g = lane / 4, t = lane % 4;

  // Blocks that run at the same time take 8 tiles of tokens by as many of outputs
  // as there are, so that both weights and x are read from L2 more often than from memory.
  i32 band = 8 * grid_x(), linear = block_z() * grid_x() + block_x();
  i32 high = minimum(8, grid_z() - linear / band * 8);
  i32 output = uniform(linear % band / high * 128), token = uniform((linear / band * 8 + linear % band % high) * TOKENS);
  i32 first_row = TOKENS == 128 ? 64 * (warp / 2) : 32 * warp, first_token = TOKENS == 128 ? 64 * (warp % 2) : 0;

  i32 unit = l.first_unit(), end = l.last_unit();
  u32 ring = shared_base(), slots = ring + stages * stage_bytes;
  Sums<T, tiles, 8> sums;
  sums.clear();
  if (unit < end) {
    TileCopier<BITS, TOKENS> copier(l, output, token, unit);
    GroupCopier<128, stages> groups(unit, end - 1, slots, output);
    GroupRows<T, BITS, tiles> rows(l.zero_point);
    i32 half = 0, stage = 0, slot = -1; // unit, half: the next to copy; stage: where it goes
    // Steps until the last is multiplied. The first rounds, before there is one, fill the ring.
    i32 steps = (end - unit) << l.fine;
#pragma unroll 1
    for (i32 left = steps + stages - 1; left > 0; left--) {
      wait_copies<stages - 2>();
      block_barrier();
      // Behind the barrier: all warps are done with the step whose place this takes.
      if (unit < end) {
        copier.copy(l, ring + stage * stage_bytes, unit, half);
        if (half == 0)
          groups.copy(l, unit, thread);
        else
          groups.skip();
        if (l.fine && half == 0) {
          half = 1;
        } else {
          half = 0;
          unit++;
          copier.next_unit();
        }
      } else {
        groups.skip();
      }
      commit_copies();
      stage = stage + 1 == stages ? 0 : stage + 1; // that of the step to multiply, too
      if (left > steps)
        continue;
      if (groups.firsts >> (stages - 1) & 1) {
        slot = slot + 1 == stages ? 0 : slot + 1;
        rows.template read<128>(slots + slot * group_slot_bytes<128>, first_row + g, l.scale_kind, l.zeros != 0);
      }
      u32 x = ring + stage * stage_bytes + 64 * (first_token + g) + 16 * t;
      u32 bricks = ring + stage * stage_bytes + 64 * TOKENS + first_row / 32 * brick_bytes<BITS>;
      tile_step(sums, x, bricks, lane, rows);
    }
  }
  block_barrier(); // no warp reads the ring any more, and no copy is under way

  // Through shared memory, 8 tokens at a time, so that lanes write neighbouring
  // outputs. Each warp has a place of its own, rows 4 floats apart from full banks.
  constexpr int width = 16 * tiles, row = width + 4;
  u32 place = ring + warp * 8 * row * 4;
  UNROLL
  for (int j = 0; j < 8; j++) {
    if (j > 0)
      warp_barrier();
    UNROLL
    for (int i = 0; i < tiles; i++)
      UNROLL
      for (int c = 0; c < 4; c++)
        set_shared_float(place + 4 * ((2 * t + c % 2) * row + 16 * i + 8 * (c / 2) + g), sums.acc[i][j][c]);
    warp_barrier();
#pragma unroll 1
    for (i32 e = lane; e < 8 * width; e += 32) {
      i32 to = token + first_token + 8 * j + e / width, out = output + first_row + e % width;
      if (to < l.m && out < l.np)
        l.write(to, out, shared_float(place + 4 * (e / width * row + e % width)), enlarge<T, BITS>);
    }
  }
}
