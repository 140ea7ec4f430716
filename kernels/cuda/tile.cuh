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
  static constexpr int chunks = brick_bytes<BITS> / 4; // of 16 bytes, of 4 bricks
  u64 x;     // of this thread's first row, at its features of the next unit
  i32 rows;  // that exist, from that one on
  u64 bricks[(chunks + 127) / 128];

  INLINE TileCopier(const Layer &l, i32 output, i32 token, i32 unit) {
    i32 row = token + thread_x() / 4;
    x = l.x + 2 * ((i64)row * l.x_stride + 32 * unit + 8 * (thread_x() % 4));
    rows = l.m - row;
    UNROLL
    for (int i = 0; i < (chunks + 127) / 128; i++) {
      i32 chunk = thread_x() + 128 * i, brick = chunk / (brick_bytes<BITS> / 16), at = chunk % (brick_bytes<BITS> / 16);
      if (output + 32 * brick >= l.np) // does not exist: the first stands in, nobody uses the results
        brick = 0;
      bricks[i] = l.weights + ((i64)(output / 32 + brick) * l.units + unit) * brick_bytes<BITS> + 16 * at;
    }
  }

  // Copies a step to the stage and goes to the next.
  INLINE void copy(const Layer &l, u32 stage, i32 step) {
    u32 to = stage + 16 * thread_x();
    i32 left = l.k - 32 * l.unit_of(step); // features that exist, of the unit's 32
    i32 mine = minimum(maximum(2 * left - 16 * (thread_x() % 4), 0), 16); // bytes of them
    // Rows that do not exist are not copied: what lies there reaches no other row's results.
    UNROLL
    for (int i = 0; i < TOKENS / 32; i++)
      if (32 * i < rows) {
        u64 from = x + i * (64 * (i64)l.x_stride);
        if (l.fine) {
          bool second = step % 2;
          copy8_part(to + 2048 * i, from, second ? 0 : minimum(mine, 8));
          copy8_part(to + 2048 * i + 8, mine > 8 ? from + 8 : from, second ? maximum(mine - 8, 0) : 0);
        } else if (left >= 32) {
          copy16(to + 2048 * i, from);
        } else {
          copy16_part(to + 2048 * i, from, mine);
        }
      }
    bool next = l.ends_unit(step);
    x += next ? 64 : 0;
    UNROLL
    for (int i = 0; i < (chunks + 127) / 128; i++) {
      if (128 * i + 128 <= chunks || thread_x() < chunks - 128 * i)
        copy16(to + 64 * TOKENS + 2048 * i, bricks[i]);
      bricks[i] += next ? brick_bytes<BITS> : 0;
    }
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

  i32 begin = l.steps(l.first_unit()), end = l.steps(l.last_unit());
  u32 ring = shared_base(), slots = ring + stages * stage_bytes;
  Sums<T, tiles, 8> sums;
  sums.clear();
  if (begin < end) {
    TileCopier<BITS, TOKENS> copier(l, output, token, l.first_unit());
    GroupCopier<128, stages> groups(l, slots, output, thread);
    GroupRows<T, BITS, tiles> rows(l.zero_point);
    i32 ahead = begin, stage = 0, slot = -1; // ahead: the next step to copy; stage: where it goes
    UnitGroups unit_groups(l, l.first_unit());

    // now is the step to multiply. The first rounds, before there is one, fill the ring.
#pragma unroll 1
    for (i32 now = begin - (stages - 1); now < end; now++) {
      wait_copies<stages - 2>();
      block_barrier();
      // Behind the barrier: all warps are done with the step whose place this takes.
      if (ahead < end) {
        copier.copy(l, ring + stage * stage_bytes, ahead);
        groups.copy(unit_groups.next(l, l.unit_of(minimum(ahead + 1, end - 1))));
        ahead++;
      } else {
        groups.skip();
      }
      commit_copies();
      stage = stage + 1 == stages ? 0 : stage + 1; // that of step now, too
      if (now < begin)
        continue;
      if (groups.starts_group()) {
        slot = slot + 1 == stages ? 0 : slot + 1;
        rows.template read<128>(slots + slot * group_slot_bytes<128>, first_row + g, l.scale_kind, l.zeros != 0);
      }
      u32 x = ring + stage * stage_bytes + 64 * (first_token + g) + 16 * t;
      u32 bricks = ring + stage * stage_bytes + 64 * TOKENS + first_row / 32 * brick_bytes<BITS>;
      tile_step(sums, x, bricks, lane, rows);
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
