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

template <int BITS, int TOKENS> constexpr int tile_stages = TOKENS == 128 ? (BITS == 8 ? 3 : 4) : (BITS == 8 ? 5 : 6);

template <int BITS, int TOKENS> constexpr int tile_stage_bytes = 64 * TOKENS + 4 * brick_bytes<BITS>;

template <int BITS, int TOKENS>
constexpr int tile_shared = tile_stages<BITS, TOKENS> *(tile_stage_bytes<BITS, TOKENS> + group_slot_bytes<128>);

// What one thread copies of each unit: 16 bytes of every 32nd row of x, and of the bricks.
template <int BITS, int TOKENS> struct TileCopier {
  static constexpr int rows = TOKENS / 32, chunks = brick_bytes<BITS> / 4; // chunks of 16 bytes of 4 bricks
  u64 x;
  i64 row_step;
  i32 tokens; // from this thread's first row on
  i32 left;   // features from this thread's first one on
  u64 bricks[(chunks + 127) / 128];
  i32 thread;

  INLINE TileCopier(const Layer &l, i32 output, i32 token, i32 unit, i32 thread) : thread(thread) {
    i32 row = token + thread / 4, feature = 32 * unit + 8 * (thread % 4);
    x = l.x + 2 * ((i64)row * l.x_stride + feature);
    row_step = 64 * (i64)l.x_stride;
    tokens = l.m - row;
    left = l.k - feature;
    UNROLL
    for (int i = 0; i < (chunks + 127) / 128; i++) {
      // Bricks from np on do not exist: the first stands in, nobody uses its results.
      i32 chunk = thread + 128 * i, brick = chunk / (brick_bytes<BITS> / 16), at = chunk % (brick_bytes<BITS> / 16);
      if (output + 32 * brick >= l.np)
        brick = 0;
      bricks[i] = l.weights + ((i64)(output / 32 + brick) * l.units + unit) * brick_bytes<BITS> + 16 * at;
    }
  }

  // Copies a unit to the stage and goes to the next.
  INLINE void copy(u32 stage) {
    u32 to = stage + 16 * thread;
    UNROLL
    for (int i = 0; i < rows; i++) {
      if (32 * i < tokens && left >= 8)
        copy16(to + 2048 * i, x + i * row_step);
      else // no bytes are read of rows and features that are not there
        copy16_part(to + 2048 * i, x, 32 * i < tokens ? 2 * maximum(left, 0) : 0);
    }
    x += 64;
    left -= 32;
    UNROLL
    for (int i = 0; i < (chunks + 127) / 128; i++) {
      if (thread + 128 * i < chunks)
        copy16(to + 64 * TOKENS + 2048 * i, bricks[i]);
      bricks[i] += brick_bytes<BITS>;
    }
  }
};

// One unit. x is the warp's first row of it and t, bricks its first brick, for TILES tiles of outputs.
template <bool FINE, class T, int BITS, int TILES>
INLINE void tile_unit(Sums<T, TILES, 8> &sums, u32 x, u32 bricks, i32 lane, const GroupRows<T, BITS, TILES> &rows) {
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
      sums.template add<FINE>(i, j, a0[i], a1[i], b, rows.scale[i]);
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
  i32 output = linear % band / high * 128, token = (linear / band * 8 + linear % band % high) * TOKENS;
  i32 first_row = TOKENS == 128 ? 64 * (warp / 2) : 32 * warp, first_token = TOKENS == 128 ? 64 * (warp % 2) : 0;

  i32 unit = l.first_unit(), end = l.last_unit();
  u32 ring = shared_base(), slots = ring + stages * stage_bytes;
  Sums<T, tiles, 8> sums;
  sums.clear();
  if (unit < end) {
    TileCopier<BITS, TOKENS> copier(l, output, token, unit, thread);
    GroupCopier<128, stages> groups(l, slots, output, thread);
    GroupRows<T, BITS, tiles> rows(l.zero_point);
    i32 ahead = unit, stage = 0, slot = -1; // ahead: the next unit to copy; stage: where it goes
    u64 unit_group = l.unit_group + 4 * (lane & l.units >> 31);
    i32 group = read_word(unit_group + 4 * (i64)unit);

    // now is the unit to multiply. The first steps, before there is one, fill the ring.
#pragma unroll 1
    for (i32 now = unit - (stages - 1); now < end; now++) {
      wait_copies<stages - 2>();
      block_barrier();
      // Behind the barrier: all warps are done with the unit whose place this takes.
      if (ahead < end) {
        copier.copy(ring + stage * stage_bytes);
        groups.copy(group);
        ahead++;
        group = read_word(unit_group + 4 * (i64)minimum(ahead, end - 1));
      } else {
        groups.skip();
      }
      commit_copies();
      stage = stage + 1 == stages ? 0 : stage + 1; // that of unit now, too
      if (now < unit)
        continue;
      if (groups.starts_group()) {
        slot = slot + 1 == stages ? 0 : slot + 1;
        rows.template read<128>(slots + slot * group_slot_bytes<128>, first_row + g, l.scale_kind, l.zeros != 0);
      }
      u32 x = ring + stage * stage_bytes + 64 * (first_token + g) + 16 * t;
      u32 bricks = ring + stage * stage_bytes + 64 * TOKENS + first_row / 32 * brick_bytes<BITS>;
      if (l.fine)
        tile_unit<true>(sums, x, bricks, lane, rows);
      else
        tile_unit<false>(sums, x, bricks, lane, rows);
    }
    wait_copies<0>();
  }
  block_barrier();

  // Through shared memory, 8 tokens at a time, so that lanes write neighbouring
  // outputs. Each warp has a place of its own, rows 4 floats apart from full banks.
  constexpr int width = 16 * tiles, row = width + 4;
  u32 place = ring + warp * 8 * row * 4;
  UNROLL
  for (int j = 0; j < 8; j++) {
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
        l.write(to, out, shared_float(place + 4 * (e / width * row + e % width)));
    }
  }
}
