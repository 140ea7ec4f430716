// Scales and zero points on their way through shared memory.
//
// A unit belongs to one group, and neighbours often share it. The copier of
// steps asks for the scales and zeros of OUTPUTS outputs when the group changes,
// together with the step that is the first to need them, and puts them into the
// next of SLOTS slots. It remembers for each step under way whether it was such
// a first one; the reader, SLOTS - 1 steps behind, goes to the next slot then.
// SLOTS slots are enough: no more than SLOTS steps are under way.
//
//   slot   [OUTPUTS] scales, 2 or 4 bytes each | [OUTPUTS] int16 zeros at 4 OUTPUTS
//
// The copies belong to the caller's group of copies, and each thread copies
// other bytes than it reads: a barrier stands between the two.
#pragma once
#include "bricks.cuh"
#include "layer.cuh"

// The groups of units, one after the other, each read a step before it is needed.
struct UnitGroups {
  i32 group;

  INLINE UnitGroups(const Layer &l, i32 unit) { read(l, unit); }

  // The group of the unit last read; the one to read now is `unit`. The same in all lanes.
  INLINE i32 next(const Layer &l, i32 unit) {
    i32 now = uniform(group);
    read(l, unit);
    return now;
  }

  // The address is the same for all lanes, but ptxas cannot see it: it would wait
  // for the number at once, to have it in a uniform register.
  INLINE void read(const Layer &l, i32 unit) { group = read_word(l.unit_group + 4 * (i64)(unit + (thread_x() & l.units >> 31))); }
};

template <int OUTPUTS> constexpr int group_slot_bytes = 6 * OUTPUTS;

template <int OUTPUTS, int SLOTS> struct GroupCopier {
  u32 base;          // of the slots in shared memory
  u64 source;        // this thread's 16 bytes in group 0, or 0: it copies nothing
  i32 source_stride; // bytes from one group to the next
  u32 offset;        // of this thread's bytes in a slot
  i32 slot = 0;
  i32 last = -1;   // the newest step's group
  u32 changes = 0; // bit i: the one asked for i steps ago is the first of its group

  // The outputs are output, output + 1, ... Those from np on do not exist: others
  // stand in for them, in steps of 32, and nobody uses their results. lane counts
  // the threads that share the work; 6 OUTPUTS / 16 of them copy.
  INLINE GroupCopier(const Layer &l, u32 base, i32 output, i32 lane) : base(base) {
    i32 shift = l.scale_kind == kind_f32 ? 2 : 1; // an element's bytes are 1 << shift
    u64 array = l.scales;
    i32 at = 16 * lane; // bytes from the first of the array's outputs
    offset = at;
    if (at >= OUTPUTS << shift) {
      at -= 4 * OUTPUTS;
      shift = 1;
      array = at >= 0 && at < 2 * OUTPUTS ? l.zeros : 0;
    }
    i32 first = output + (at >> shift);
    if (first >= l.np)
      first = output + (at >> shift & 31);
    source_stride = l.np << shift;
    source = array ? array + ((i64)first << shift) : 0;
  }

  INLINE void copy(i32 group) {
    changes <<= 1;
    if (group == last)
      return;
    changes |= 1;
    last = group;
    if (source)
      copy16(base + slot * group_slot_bytes<OUTPUTS> + offset, source + (i64)group * source_stride);
    slot = slot + 1 == SLOTS ? 0 : slot + 1;
  }

  // A step without one to copy: the reader's place in changes moves on.
  INLINE void skip() { changes <<= 1; }

  // Whether the one asked for SLOTS - 1 steps ago is the first of its group.
  INLINE bool starts_group() const { return changes >> (SLOTS - 1) & 1; }
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
