// Few tokens: the weights stream past once and everything else waits for them.
//
//   y[token][output] = round(sum over slices of acc + bias)
//   acc = 0; for each unit of the slice: acc = fma(t, scale, acc), t = A1 B1 + (A0 B0 + 0) by two mma
//            fine: acc = fma(A0 B0 + 0, scale, acc), then acc = fma(A1 B1 + 0, scale, acc)
//
//                   outputs, 64 for each warp of a row of threads
//               +--- warp 0 ----+--- warp 1 ----+-- ...
//   units   run 0 | 4 tiles x 32 k |               |       A warp walks down its run, unit by unit. Runs are slices of
//   of a          | 4 tiles x 32 k |               |       the arithmetic: the block adds them in order, through shared
//   slice         +--- warp w ----+--- warp w+1 --+-- ... memory.
//   (block-  run 1 |               |               |
//    Idx.y)       +---------------+---------------+-- ...
//
//   threadIdx.x/32   the warp's 64 outputs        threadIdx.y  run
//   blockIdx.x       outputs [2 blockDim.x x, ...)   blockIdx.y  slice     blockIdx.z  tokens [TOKENS z, ...)
//
// Each warp has a ring of STAGES units of its own in shared memory and fills it by
// asynchronous copies, STAGES - 1 units ahead; no two warps meet before the end.
// x comes from L1: the warps that lie side by side read the same of it, one unit
// ahead, into registers.
//
// Dynamic shared memory: stream_shared bytes for each warp.
#pragma once
#include "groups.cuh"
#include "sums.cuh"

// Units in a warp's ring: 2 to 4 KB of weights are on their way.
template <int BITS> constexpr int stream_stages = BITS == 8 ? 2 : BITS == 4 ? 4 : BITS == 3 ? 5 : 6;

template <int BITS> constexpr int stream_shared = stream_stages<BITS> *(2 * brick_bytes<BITS> + group_slot_bytes<64>);

// x of one lane: 8 features of a unit, 8t to 8t + 7, of tokens g, g + 8, ...
template <int TOKENS, bool GATHER> struct StreamInput {
  static constexpr int tiles = TOKENS / 8;
  u64 row;        // of token g, feature 0
  i64 tile_bytes; // from a token to the one 8 further
  i32 tokens;     // how many there are from token g on
  i32 wide; // features that 16-byte reads may take: k rounded down to 8, or 0 where rows are not aligned
  Words4 features[GATHER ? 2 : 0];
  Words4 x[tiles];

  INLINE StreamInput(const Layer &l, i32 token) {
    UNROLL
    for (int tile = 0; tile < tiles; tile++)
      x[tile] = Words4{{0, 0, 0, 0}};
    row = l.x + 2 * (i64)token * l.x_stride;
    tile_bytes = 16 * (i64)l.x_stride;
    tokens = l.m - token;
    wide = ((l.x | 2 * (u64)l.x_stride) & 15) == 0 ? l.k & ~7 : 0;
  }

  // For the next call of read, which is for the same step.
  INLINE void read_map(const Layer &l, i32 step, i32 t) {
    if constexpr (GATHER) {
      u64 from = l.map + 4 * (i64)(32 * l.unit_of(step) + 8 * t);
      features[0] = read_words4(from);
      features[1] = read_words4(from + 16);
    }
  }

  // The features of a step: those of its unit, or half of them.
  INLINE void read(const Layer &l, i32 step, i32 t) {
    i32 feature = 32 * l.unit_of(step) + 8 * t;
    u64 from = row + (GATHER ? 0 : 2 * (i64)feature);
    i32 left = l.k - feature;
    UNROLL
    for (int tile = 0; tile < tiles; tile++, from += tile_bytes) {
      bool exists = 8 * tile < tokens;
      if (!GATHER && feature + 8 <= wide) {
        x[tile] = read_words4_if(from, exists);
        continue;
      }
      UNROLL
      for (int i = 0; i < 4; i++)
        if constexpr (GATHER) {
          i32 lo = features[i / 2].v[2 * i % 4], hi = features[i / 2].v[2 * i % 4 + 1];
          x[tile].v[i] = read_half_if(from + 2 * (i64)lo, exists && lo >= 0) | read_half_if(from + 2 * (i64)hi, exists && hi >= 0) << 16;
        } else {
          x[tile].v[i] = read_half_if(from + 4 * i, exists && 2 * i < left) | read_half_if(from + 4 * i + 2, exists && 2 * i + 1 < left) << 16;
        }
    }
    if (l.fine) {
      UNROLL
      for (int tile = 0; tile < tiles; tile++)
        x[tile] = only_step(x[tile], step);
    }
  }
};

// One unit: the bricks at stage and behind it, into the sums of 4 tiles of outputs.
template <class T, int BITS, int TILES>
INLINE void stream_unit(Sums<T, 4, TILES> &sums, u32 stage, i32 lane, const Words4 (&x)[TILES], const GroupRows<T, BITS, 4> &rows) {
  u32 w[BITS], a0[4], a1[4];
  UNROLL
  for (int i = 0; i < 4; i++) {
    if (i % 2 == 0) {
      read_brick<BITS>(w, stage + i / 2 * brick_bytes<BITS>, lane);
      fragments<T, BITS, 0>(a0, a1, w, rows.zero[i]);
    } else {
      fragments<T, BITS, 1>(a0, a1, w, rows.zero[i]);
    }
    UNROLL
    for (int j = 0; j < TILES; j++)
      sums.add(i, j, a0, a1, x[j], rows.scale[i]);
  }
}

// Copies the two bricks of a unit side by side; from and to are the first one's,
// the second's source is `second` bytes further. Lane l copies chunks l, l + 32,
// ... of 16 bytes of both, or chunk l of both together if there are 32.
template <int BITS> INLINE void copy_bricks(u32 to, u64 from, i64 second, i32 lane) {
  constexpr int chunks = brick_bytes<BITS> / 16; // 16, 24, 32, 64
  if constexpr (chunks <= 16) {
    copy16(to + 16 * lane, from + 16 * (lane % 16) + (lane < 16 ? 0 : second));
  } else {
    UNROLL
    for (int i = 0; i < chunks; i += 32)
      if (i + lane < chunks) {
        copy16(to + 16 * (i + lane), from + 16 * (i + lane));
        copy16(to + brick_bytes<BITS> + 16 * (i + lane), from + second + 16 * (i + lane));
      }
  }
}

// The sum of count floats in shared memory, from the first on; four reads at a time.
INLINE float ordered_sum(u32 from, u32 step, i32 count) {
  float sum = shared_float(from);
  i32 i = 1;
  for (; i + 4 <= count; i += 4) {
    float part[4];
    UNROLL
    for (int j = 0; j < 4; j++)
      part[j] = shared_float(from + (i + j) * step);
    UNROLL
    for (int j = 0; j < 4; j++)
      sum += part[j];
  }
  for (; i < count; i++)
    sum += shared_float(from + i * step);
  return sum;
}

template <class T, int BITS, int TOKENS, bool GATHER> INLINE void stream(Layer l) {
  constexpr int stages = stream_stages<BITS>, tiles = TOKENS / 8, ahead_x = TOKENS < 32;
  i32 lane = thread_x() % 32, side = uniform(thread_x() / 32), g = lane / 4, t = lane % 4;
  i32 across = threads_x() / 32, runs = threads_y(), run = uniform(thread_y());
  i32 output = (block_x() * across + side) * 64, token = block_z() * TOKENS;
  i32 first_unit = minimum(l.first_unit() + run * l.run_units, l.last_unit());
  i32 units = output < l.np ? minimum(l.run_units, l.last_unit() - first_unit) : 0;

  u32 ring = shared_base() + (run * across + side) * stream_shared<BITS>, slots = ring + stages * 2 * brick_bytes<BITS>;
  Sums<T, 4, tiles> sums;
  sums.clear();
  if (units > 0) {
    u64 from = l.weights + ((i64)(output / 32) * l.units + first_unit) * brick_bytes<BITS>; // of the next step to copy
    // The last brick may be missing: the first stands in, nobody uses its results.
    i64 second = output + 32 < l.np ? (i64)l.units * brick_bytes<BITS> : 0;
    i32 begin = l.steps(first_unit), end = l.steps(first_unit + units);
    i32 ahead = begin, stage = 0, slot = -1; // ahead: the next step to copy; stage: where it goes
    UnitGroups unit_groups(l, first_unit);
    GroupCopier<64, stages> groups(l, slots, output, lane);
    StreamInput<TOKENS, GATHER> input(l, token + g);
    input.read_map(l, begin, t);
    GroupRows<T, BITS, 4> rows(l.zero_point);

    // now is the step to multiply. The first rounds, before there is one, fill the ring.
#pragma unroll 1
    for (i32 now = begin - (stages - 1); now < end; now++) {
      wait_copies<stages - 2>();
      warp_barrier();
      // Behind the barrier: all lanes are done with the step whose place this takes.
      if (ahead < end) {
        copy_bricks<BITS>(ring + stage * 2 * brick_bytes<BITS>, from, second, lane);
        groups.copy(unit_groups.next(l, l.unit_of(minimum(ahead + 1, end - 1))));
        from += l.ends_unit(ahead) ? brick_bytes<BITS> : 0;
        ahead++;
      } else {
        groups.skip();
      }
      commit_copies();
      stage = stage + 1 == stages ? 0 : stage + 1; // that of step now, too

      // x of the next step if there are registers for it, else of this one.
      Words4 x[tiles];
      UNROLL
      for (int j = 0; j < tiles; j++)
        x[j] = input.x[j];
      if (now + ahead_x >= begin && now + ahead_x < end) {
        input.read(l, now + ahead_x, t);
        input.read_map(l, minimum(now + ahead_x + 1, end - 1), t);
      }
      if (now < begin)
        continue;
      if (groups.starts_group()) {
        slot = slot + 1 == stages ? 0 : slot + 1;
        rows.template read<64>(slots + slot * group_slot_bytes<64>, g, l.scale_kind, l.zeros != 0);
      }
      stream_unit(sums, ring + stage * 2 * brick_bytes<BITS>, lane, ahead_x ? x : input.x, rows);
    }
    wait_copies<0>();
    warp_barrier();
  }

  // Runs are added in order. A warp's sums take the place of its own ring, as
  // [token][output] with 4 floats between rows, so that lanes hit distinct banks.
  constexpr int round_tiles = TOKENS <= 16 ? 4 : 2, width = 16 * round_tiles, row = width + 4;
  static_assert(4 * TOKENS * row <= stream_shared<BITS>, "sums fit into the ring");
  UNROLL
  for (int first = 0; first < 4; first += round_tiles) {
    if (first > 0)
      block_barrier();
    UNROLL
    for (int i = 0; i < round_tiles; i++)
      UNROLL
      for (int j = 0; j < tiles; j++)
        UNROLL
        for (int c = 0; c < 4; c++)
          set_shared_float(ring + 4 * ((8 * j + 2 * t + c % 2) * row + 16 * i + 8 * (c / 2) + g), sums.acc[first + i][j][c]);
    block_barrier();
    for (i32 e = thread_y() * threads_x() + thread_x(); e < across * TOKENS * width; e += threads_x() * runs) {
      i32 o = e % width, to = e / width % TOKENS, side = e / (width * TOKENS);
      i32 out = (block_x() * across + side) * 64 + 16 * first + o;
      if (token + to >= l.m || out >= l.np)
        continue;
      u32 from = shared_base() + side * stream_shared<BITS> + 4 * (to * row + o);
      l.write(token + to, out, ordered_sum(from, across * stream_shared<BITS>, runs));
    }
  }
}
