// Scales and zero points on their way through shared memory.
//
// A unit belongs to one group, and neighbours often share it. The copier of units
// asks for the scales and zeros of OUTPUTS outputs when the group changes, together
// with the unit that is the first to need them, and puts them into the next of
// SLOTS slots. It remembers for each unit under way whether it was such a first
// one; the reader goes to the next slot then. As many slots as units under way
// are enough.
//
//   slot   [OUTPUTS] scales, 2 or 4 bytes each | [OUTPUTS] int16 zeros at 4 OUTPUTS
//
// The copies belong to the caller's group of copies, and each thread copies
// other bytes than it reads: a barrier stands between the two.
#pragma once
#include "bricks.cuh"
#include "layer.cuh"

// The groups of units first to last, asked for one after the other. A warp holds
// those of 32 units, one in each lane.
struct UnitGroups {
  i32 first, last;
  i32 held;   // by this lane
  u32 differ; // bit i: the group of the ith of them is not that of the unit before

  INLINE UnitGroups(i32 first, i32 last) : first(first), last(last), held(-1) {}

  // Whether the unit has another group than the one before it. Where it has, group is set.
  INLINE bool changes(const Layer &l, i32 unit, i32 &group) {
    i32 i = (unit - first) & 31;
    if (i == 0) {
      i32 before = of_lane(held, 31);
      held = read_word(l.unit_group + 4 * (i64)minimum(unit + thread_x() % 32, last));
      i32 left = of_lane_before(held);
      differ = ballot(held != (thread_x() % 32 == 0 ? before : left));
    }
    bool yes = differ >> i & 1;
    if (yes)
      group = of_lane(held, i);
    return yes;
  }
};

template <int OUTPUTS> constexpr int group_slot_bytes = 6 * OUTPUTS;

template <int OUTPUTS, int SLOTS> struct GroupCopier {
  UnitGroups groups;
  u32 base; // of the slots in shared memory
  i32 output;
  i32 slot = 0;
  u32 firsts = 0; // bit i: the unit of i calls ago is the first of its group

  // Units first to last; outputs output, output + 1, ...
  INLINE GroupCopier(i32 first, i32 last, u32 base, i32 output) : groups(first, last), base(base), output(output) {}

  // For the unit after that of the last call. thread counts the threads that share the work.
  INLINE void copy(const Layer &l, i32 unit, i32 thread) {
    firsts <<= 1;
    i32 group;
    if (!groups.changes(l, unit, group))
      return;
    firsts |= 1;
    copy_group(l, group, thread);
    slot = slot + 1 == SLOTS ? 0 : slot + 1;
  }

  // 6 OUTPUTS / 16 threads copy 16 bytes each. Nothing of it is kept from one
  // group to the next: registers are scarcer than these few instructions.
  INLINE void copy_group(const Layer &l, i32 group, i32 thread) {
    i32 shift = l.scale_kind == kind_f32 ? 2 : 1; // an element's bytes are 1 << shift
    u64 array = l.scales;
    i32 offset = 16 * opaque(thread), at = offset; // in the slot; in the array's part of it
    if (at >= OUTPUTS << shift) {
      at -= 4 * OUTPUTS;
      shift = 1;
      array = at >= 0 && at < 2 * OUTPUTS ? l.zeros : 0;
    }
    // Outputs from np on do not exist: others stand in for them, in steps of 32,
    // and nobody uses their results.
    i32 from = output + (at >> shift);
    if (from >= l.np)
      from = output + (at >> shift & 31);
    if (array)
      copy16(base + slot * group_slot_bytes<OUTPUTS> + offset, array + ((group * (i64)l.np + from) << shift));
  }

  // In place of copy, where units have come to an end.
  INLINE void skip() { firsts <<= 1; }
};

// What a lane needs of a group: for each of its TILES tiles the scales and zero
// constants of rows g and g + 8.
template <class T, int BITS, int TILES> struct GroupRows {
  float scale[TILES][2];
  u32 zero[TILES][2];

  INLINE GroupRows(i32 zero_point) {
    UNROLL
    for (int tile = 0; tile < TILES; tile++)
      UNROLL
      for (int half = 0; half < 2; half++) {
        scale[tile][half] = 0;
        zero[tile][half] = zero_constant<T, BITS>(zero_point, half);
      }
  }

  // slot is in shared memory and holds OUTPUTS outputs; row is that of tile 0 and g.
  template <int OUTPUTS> INLINE void read(u32 slot, i32 row, i32 scale_kind, bool zeros) {
    if (scale_kind == kind_f32) {
      u32 from = slot + 4 * row;
      UNROLL
      for (int i = 0; i < 2 * TILES; i++)
        scale[i / 2][i % 2] = shared_float(from + 32 * i);
    } else {
      u32 from = slot + 2 * row;
      UNROLL
      for (int i = 0; i < 2 * TILES; i++) {
        u32 h = shared_half(from + 16 * i);
        scale[i / 2][i % 2] = scale_kind == kind_f16 ? float_of_half(h) : float_of_bf16(h);
      }
    }
    if (zeros) {
      u32 from = slot + 4 * OUTPUTS + 2 * row;
      UNROLL
      for (int i = 0; i < 2 * TILES; i++)
        zero[i / 2][i % 2] = zero_constant<T, BITS>((i32)(i16)shared_half(from + 16 * i), i % 2);
    }
  }
};
