// Packed weights: a brick is 32 outputs (tiles 0 and 1 of 16) by one unit of 32
// features. Here are its bytes, and how the codes u of a brick become the
// fragments of u - z that the tensor core takes, exactly.
//
// A lane holds 16 pairs of codes of a brick, one for each register of each mma:
// pair q = 8 tile + 4 step + j belongs to register j of that tile and step; its
// row is g for even j, g + 8 for odd j. Half of a pair is 16 bits away from the
// other, so that one shift and one mask bring both to the same place in the two
// halves of a register:
//
//   4 bits   word 2 tile + step; pair j at bit 4j
//   2 bits   word tile;          pair 4 step + j at bit 2 (4 step + j)
//   3 bits   three words of five pairs, at bits 0, 3, 6, 9, 12:
//              word 0: q = 0 1 2 3 4   word 1: q = 6 5 8 7 9   word 2: q = 10 11 12 13 15
//            pair 14 is in the bits left, 15 and 31: bit i of its codes in word i
//   8 bits   words 2 step and 2 step + 1 of the tile; bytes: pair 0 low, high, pair 1 low, high; pairs 2, 3
//   16 bits  words 8 tile + 4 step + j: the numbers of a plain weight, which are fragments as they are
//
// Then magic | u << p, with the exponent of 1024 (f16, 10 bits of fraction) or
// 128 (bf16, 7 bits), is the number 1024 + u 2^p, and u - z = (1024 + u 2^p) 2^-p - (1024 2^-p + z)
// is one exact fma. Rows g sit at p = 0, rows g + 8 at the p of the next pair, so
// that each row has one constant. 8-bit codes do not fit into bf16's fraction:
// they go through float32, 128 + u 2^-16, from which an exact subtraction leaves
// a number whose upper half is that of bf16 since |u - z| <= 256.
//
// x in bf16 may be so large that its products with u - z leave float32 although y
// does not. The fragments of codes are (u - z) 2^-16 then, exactly, and the sums of a
// layer times enlarge are what they should be; only x below 2^-110 loses by it.
//
// z is between -255 and 256; for bf16 with fewer than 8 bits at most 128.
#pragma once
#include "number.cuh"

template <int BITS> constexpr int brick_bytes = 128 * BITS;

// What the sums over fragments are to be multiplied with.
template <class T, int BITS> constexpr float enlarge = T::bf16 && BITS < 16 ? 65536.0f : 1.0f;

// The words of a brick that a lane needs, from its copy in shared memory.
template <int BITS> INLINE void read_brick(u32 (&w)[BITS], u32 brick, i32 lane) {
  if constexpr (BITS == 2) {
    shared_words2(brick + 8 * lane, w[0], w[1]);
  } else if constexpr (BITS == 3) {
    UNROLL
    for (int i = 0; i < 3; i++)
      w[i] = shared_word(brick + 128 * i + 4 * lane);
  } else {
    UNROLL
    for (int tile = 0; tile < BITS / 4; tile++) {
      Words4 v = shared_words4(brick + 512 * tile + 16 * lane);
      UNROLL
      for (int i = 0; i < 4; i++)
        w[4 * tile + i] = v.v[i];
    }
  }
}

// The place of the codes of rows g + 8: u 2^shift.
template <int BITS> constexpr int odd_place = BITS == 8 ? 0 : BITS;

// 4 bits do not fit twice into the fraction of bf16.
template <class T, int BITS> constexpr int odd_shift = T::bf16 && BITS == 4 ? 0 : odd_place<BITS>;

// The constant that takes zero point z off a fragment's row: rows g, or g + 8 where odd.
template <class T, int BITS> INLINE u32 zero_constant(i32 z, bool odd) {
  if constexpr (BITS == 16)
    return 0;
  int shift = odd ? odd_shift<T, BITS> : 0;
  if constexpr (!T::bf16) {
    u32 number = (z + 0x6600) & 0xffff; // 1536 + z
    i32 base = 1536 - (1024 >> shift);  // -(1024 >> shift) - z = base - (1536 + z)
    u32 half = 0x6400 + (base - 1024);  // for base >= 1024
    if (base < 1024)
      half = 0x6000 + 2 * (base - 512); // for base >= 512
    return F16::fma(bytes<0x1010>(number, 0), 0xbc00bc00u, half * 0x10001u);
  } else {
    const float magic = 12582912.0f; // 1.5 * 2^23: adding z to its bits adds z
    float number = __builtin_bit_cast(float, (u32)(0x4b400000 + z));
    const float small = 1.0f / enlarge<T, BITS>;
    if constexpr (BITS == 8)
      return __builtin_bit_cast(u32, __builtin_fmaf(magic - number, small, -128.0f));
    u32 c = __builtin_bit_cast(u32, ((magic - (float)(128 >> shift)) - number) * small);
    return bytes<0x3232>(c, 0);
  }
}

// The pair at bits PLACE of w, less z: its codes have BITS bits.
template <class T, int BITS, int PLACE> INLINE u32 pair_less_zero(u32 w, u32 zero) {
  constexpr u32 mask = ((1u << BITS) - 1) << PLACE;
  constexpr u32 magic = T::bf16 ? 0x43004300u : 0x64006400u;
  u32 v = take<mask * 0x10001u, magic>(w);
  constexpr int down = PLACE + (T::bf16 ? 16 : 0);
  if constexpr (down == 0)
    return T::add(v, zero);
  // 2^-down: an exponent less by so much than that of 1.
  constexpr u32 one = T::bf16 ? 0x3f80u : 0x3c00u, step = T::bf16 ? 0x80u : 0x400u;
  return T::fma(v, (one - down * step) * 0x10001u, zero);
}

// Two 8-bit codes as bf16, by float32: SELECT takes byte 0 or 2 of w.
template <u32 FIRST> INLINE u32 bytes_less_zero(u32 w, float zero) {
  float lo = __builtin_bit_cast(float, bytes<0x7440 + FIRST>(w, 0x43000000u)) + zero;
  float hi = __builtin_bit_cast(float, bytes<0x7441 + FIRST>(w, 0x43000000u)) + zero;
  return bytes<0x7632>(__builtin_bit_cast(u32, lo), __builtin_bit_cast(u32, hi));
}

// Where 3-bit pair q is: word and bit.
struct Place {
  int word, bit;
};
constexpr Place place3(int q) {
  constexpr int order[3][5] = {{0, 1, 2, 3, 4}, {6, 5, 8, 7, 9}, {10, 11, 12, 13, 15}};
  for (int word = 0; word < 3; word++)
    for (int i = 0; i < 5; i++)
      if (order[word][i] == q)
        return {word, 3 * i};
  return {-1, 0};
}

// Pair Q of a brick, less the zero point of its row.
template <class T, int BITS, int Q> INLINE u32 fragment_pair(const u32 (&w)[BITS], u32 zero) {
  constexpr int tile = Q / 8, step = Q / 4 % 2, j = Q % 4, odd = j % 2;
  if constexpr (BITS == 16) {
    return w[Q];
  } else if constexpr (BITS == 8) {
    u32 word = w[4 * tile + 2 * step + j / 2];
    if constexpr (T::bf16)
      return bytes_less_zero<odd ? 0x2u : 0x0u>(word, __builtin_bit_cast(float, zero));
    return T::add(bytes<odd ? 0x4342 : 0x4140>(word, 0x64646464u), zero);
  } else if constexpr (BITS == 3 && Q == 14) {
    u32 v = take<0x00010001u, T::bf16 ? 0x43004300u : 0x64006400u>(w[0] >> 15);
    v |= ((w[1] >> 14) & 0x00020002u) | ((w[2] >> 13) & 0x00040004u);
    if constexpr (T::bf16)
      return T::fma(v, (0x3f80u - 16 * 0x80u) * 0x10001u, zero);
    return T::add(v, zero);
  } else {
    constexpr Place p = BITS == 3 ? place3(Q) : BITS == 2 ? Place{tile, 2 * (4 * step + j)} : Place{2 * tile + step, 4 * j};
    constexpr int at = odd ? odd_shift<T, BITS> : 0;
    return pair_less_zero<T, BITS, at>(w[p.word] >> (p.bit - at), zero);
  }
}

// The fragments A of a tile of a brick, one for each step. zero has the constants of rows g and g + 8.
template <class T, int BITS, int TILE> INLINE void fragments(u32 (&a0)[4], u32 (&a1)[4], const u32 (&w)[BITS], const u32 (&zero)[2]) {
  a0[0] = fragment_pair<T, BITS, 8 * TILE + 0>(w, zero[0]);
  a0[1] = fragment_pair<T, BITS, 8 * TILE + 1>(w, zero[1]);
  a0[2] = fragment_pair<T, BITS, 8 * TILE + 2>(w, zero[0]);
  a0[3] = fragment_pair<T, BITS, 8 * TILE + 3>(w, zero[1]);
  a1[0] = fragment_pair<T, BITS, 8 * TILE + 4>(w, zero[0]);
  a1[1] = fragment_pair<T, BITS, 8 * TILE + 5>(w, zero[1]);
  a1[2] = fragment_pair<T, BITS, 8 * TILE + 6>(w, zero[0]);
  a1[3] = fragment_pair<T, BITS, 8 * TILE + 7>(w, zero[1]);
}
