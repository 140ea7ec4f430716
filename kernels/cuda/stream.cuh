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
// Each warp has a ring of STAGES steps of its own in shared memory, a step being
// STEP units, and fills it by asynchronous copies, STAGES - 1 steps ahead; no two
// warps meet before the end. x comes from L1: the warps that lie side by side read
// the same of it.
//
//   stage   STEP bricks of outputs 0..31 | STEP bricks of outputs 32..63     behind the stages: slots of groups.cuh
//
// Dynamic shared memory: stream_shared bytes for each warp.
#pragma once
#include "groups.cuh"
#include "sums.cuh"

// Units of a step, so that it has 2 KB of weights, more or less, and steps of the
// ring: 2 to 3 KB are on their way while a step is multiplied.
template <int BITS> constexpr int stream_step = BITS == 2 ? 4 : BITS >= 8 ? 1 : 2;
template <int BITS> constexpr int stream_stages = BITS == 3 ? 3 : 2;

template <int BITS> constexpr int stream_slots = stream_step<BITS> *stream_stages<BITS>;
template <int BITS> constexpr int stream_stage_bytes = stream_step<BITS> * 2 * brick_bytes<BITS>;
template <int BITS>
constexpr int stream_shared = stream_stages<BITS> *stream_stage_bytes<BITS> + stream_slots<BITS> *group_slot_bytes<64>;

// x of one lane: 8 features of a unit, 8t to 8t + 7, of tokens g, g + 8, ...
template <int TOKENS, bool GATHER> struct StreamInput {
  static constexpr int tiles = TOKENS / 8;
  u64 row;        // of token g, feature 8t; feature 0 where x is gathered
  i64 tile_bytes; // from a token to the one 8 further
  i32 tokens;     // how many there are from token g on
  i32 whole;      // units that 16-byte reads may take
  Words4 features[GATHER ? 2 : 0];
  Words4 x[tiles];

  INLINE StreamInput(const Layer &l, i32 token, i32 t) {
    UNROLL
    for (int tile = 0; tile < tiles; tile++)
      x[tile] = Words4{{0, 0, 0, 0}};
    row = l.x + 2 * ((i64)token * l.x_stride + (GATHER ? 0 : 8 * t));
    tile_bytes = 16 * (i64)l.x_stride;
    tokens = l.m - token;
    bool aligned = ((l.x | 2 * (u64)l.x_stride) & 15) == 0;
    whole = aligned && !l.fine ? l.whole_units() : 0;
  }

  // For the next call of read, which is for the same unit.
  INLINE void read_map(const Layer &l, i32 unit, i32 t) {
    if constexpr (GATHER) {
      u64 from = l.map + 4 * (i64)(32 * unit + 8 * t);
      features[0] = read_words4(from);
      features[1] = read_words4(from + 16);
    }
  }

  // Of what does not exist there is nothing but the zeros from the beginning.
  INLINE void read(const Layer &l, i32 unit, i32 t, i32 half) {
    if constexpr (GATHER) {
      read_gathered();
    } else if (unit < whole) {
      u64 from = row + 64 * (i64)unit;
      UNROLL
      for (int tile = 0; tile < tiles; tile++)
        read_words4_if(x[tile], from + tile * tile_bytes, 8 * tile < tokens);
      return;
    } else {
      read_elements(row + 64 * (i64)unit, l.k - 32 * unit - 8 * t);
    }
    if (l.fine) {
      UNROLL
      for (int tile = 0; tile < tiles; tile++)
        x[tile] = only_step(x[tile], half);
    }
  }

  INLINE void read_gathered() {
    if constexpr (GATHER) {
      UNROLL
      for (int tile = 0; tile < tiles; tile++)
        UNROLL
        for (int i = 0; i < 4; i++) {
          i32 lo = features[i / 2].v[2 * i % 4], hi = features[i / 2].v[2 * i % 4 + 1];
          x[tile].v[i] = read_pair(row + tile * tile_bytes, lo, lo >= 0 && 8 * tile < tokens, hi, hi >= 0 && 8 * tile < tokens);
        }
    }
  }

  // One by one, any alignment, `left` features at most. A loop that shifts pairs
  // through x, since loads side by side would take the registers of the sums.
  INLINE void read_elements(u64 from, i32 left) {
#pragma unroll 1
    for (i32 i = 0; i < 8; i += 2) {
      UNROLL
      for (int tile = 0; tile < tiles; tile++) {
        UNROLL
        for (int j = 0; j < 3; j++)
          x[tile].v[j] = x[tile].v[j + 1];
        x[tile].v[3] = read_pair(from + tile * tile_bytes, i, i < left && 8 * tile < tokens, i + 1, i + 1 < left && 8 * tile < tokens);
      }
    }
  }

  static INLINE u32 read_pair(u64 from, i32 lo, bool has_lo, i32 hi, bool has_hi) {
    return read_half_if(from + 2 * (i64)lo, has_lo) | read_half_if(from + 2 * (i64)hi, has_hi) << 16;
  }
};

// One unit: a brick of outputs 0..31, and behind it the one of outputs 32..63, into the sums of 4 tiles.
template <class T, int BITS, int TILES>
INLINE void stream_unit(Sums<T, 4, TILES> &sums, u32 brick, i32 lane, const Words4 (&x)[TILES], const GroupRows<T, BITS, 4> &rows) {
  u32 w[BITS], a0[4], a1[4];
  UNROLL
  for (int i = 0; i < 4; i++) {
    if (i % 2 == 0) {
      read_brick<BITS>(w, brick + i / 2 * stream_step<BITS> * brick_bytes<BITS>, lane);
      fragments<T, BITS, 0>(a0, a1, w, rows.zero[i]);
    } else {
      fragments<T, BITS, 1>(a0, a1, w, rows.zero[i]);
    }
    UNROLL
    for (int j = 0; j < TILES; j++)
      sums.add(i, j, a0, a1, x[j], rows.scale[i]);
  }
}

// Copies a step's bricks, or the `units` of them that there are: from is this
// lane's 16 bytes of the first, those of the other outputs are `second` bytes further.
template <int BITS> INLINE void copy_step(u32 stage, u64 from, i64 second, i32 units, i32 lane) {
  constexpr int bytes = stream_step<BITS> * brick_bytes<BITS>;
  u32 to = stage + 16 * lane;
  i32 left = minimum(units, stream_step<BITS>) * brick_bytes<BITS> - 16 * lane;
  UNROLL
  for (int at = 0; at < bytes; at += 512)
    if (at < left) {
      copy16(to + at, from + at);
      copy16(to + bytes + at, from + second + at);
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
  constexpr int stages = stream_stages<BITS>, step = stream_step<BITS>, tiles = TOKENS / 8;
  i32 lane = thread_x() % 32, side = uniform(thread_x() / 32), g = lane / 4, t = lane % 4;
  i32 across = threads_x() / 32, runs = threads_y(), run = uniform(thread_y());
  i32 output = (block_x() * across + side) * 64, token = block_z() * TOKENS;
  i32 first = minimum(l.first_unit() + run * l.run_units, l.last_unit());
  i32 units = output < l.np ? minimum(l.run_units, l.last_unit() - first) : 0;

  u32 ring = shared_base() + (run * across + side) * stream_shared<BITS>, slots = ring + stages * stream_stage_bytes<BITS>;
  Sums<T, 4, tiles> sums;
  sums.clear();
  if (units > 0) {
    u64 from = l.weights + ((i64)(output / 32) * l.units + first) * brick_bytes<BITS> + 16 * lane; // of the next step to copy
    // The last brick may be missing: the first stands in, nobody uses its results.
    i64 second = output + 32 < l.np ? (i64)l.units * brick_bytes<BITS> : 0;
    i32 unit = first, end = first + units;   // unit: the next to multiply
    i32 ahead = first, stage = 0, slot = -1; // ahead: the next to copy; stage: where it goes
    GroupCopier<64, step * stages> groups(first, end - 1, slots, output);
    auto copy = [&] {
      copy_step<BITS>(ring + stage * stream_stage_bytes<BITS>, from, second, end - ahead, lane);
      UNROLL
      for (int i = 0; i < step; i++)
        if (ahead + i < end)
          groups.copy(l, ahead + i, lane);
        else
          groups.skip();
      commit_copies();
      from += step * brick_bytes<BITS>;
      ahead += step;
      stage = stage + 1 == stages ? 0 : stage + 1;
    };
#pragma unroll 1
    for (i32 i = 1; i < stages; i++)
      copy();

    GroupRows<T, BITS, 4> rows(l.zero_point);
    StreamInput<TOKENS, GATHER> input(l, token + g, t);
    input.read_map(l, unit, t);
    // The brick of unit, and in bit 31 whether it is the first of its group.
    i32 half = 0;
    u32 brick = 0, firsts = 0;
#pragma unroll 1
    while (unit < end) {
      if (half == 0 && (unit - first & step - 1) == 0) {
        wait_copies<stages - 2>();
        warp_barrier();
        copy(); // behind the barrier: all lanes are done with the step whose place this takes
        brick = ring + stage * stream_stage_bytes<BITS>;
        firsts = groups.firsts << (32 - step * stages);
      }
      input.read(l, unit, t, half);
      if ((i32)firsts < 0) {
        firsts &= 0x7fffffff;
        slot = slot + 1 == step * stages ? 0 : slot + 1;
        rows.template read<64>(slots + slot * group_slot_bytes<64>, g, l.scale_kind, l.zeros != 0);
      }
      u32 now = brick;
      if (l.fine && half == 0) {
        half = 1;
      } else {
        half = 0;
        unit++;
        brick += brick_bytes<BITS>;
        firsts <<= 1;
        input.read_map(l, minimum(unit, end - 1), t);
      }
      stream_unit(sums, now, lane, input.x, rows);
    }
    warp_barrier(); // no lane reads the ring any more, and no copy is under way
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
      l.write(token + to, out, ordered_sum(from, across * stream_shared<BITS>, runs), enlarge<T, BITS>);
    }
  }
}
