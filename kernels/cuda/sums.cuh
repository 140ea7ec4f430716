// The arithmetic of every kernel: what one unit of 32 features adds to the sums
// of a tile of 16 outputs by 8 tokens.
//
//   t = A1 B1 + (A0 B0 + 0)          two mma: u - z and x are exact, products too, sums are float32
//   acc = fma(t, scale, acc)         one rounding for each unit
//
// fine, for layers with few features, whose bound has no room for the sums of 32:
// each unit is added twice, first with 0 for the x of B1, then of B0. Both t are
// then sums of 16 products.
//
// B is 8 tokens by the 8 features 8t to 8t+7 of lane l, t = l%4: words 0 and 1 are
// its pairs of step 0, words 2 and 3 those of step 1. The order of features in a
// step is thus not that of x, and weights are packed to match.
#pragma once
#include "number.cuh"

// x of one half of a unit, 0 for the other: that of the odd step where step is odd.
INLINE Words4 only_step(const Words4 &x, i32 step) {
  Words4 r = x;
  if (step % 2 == 0)
    r.v[2] = r.v[3] = 0;
  else
    r.v[0] = r.v[1] = 0;
  return r;
}

template <class T, int OUTPUT_TILES, int TOKEN_TILES> struct Sums {
  float acc[OUTPUT_TILES][TOKEN_TILES][4];

  INLINE void clear() {
    UNROLL
    for (int i = 0; i < OUTPUT_TILES; i++)
      UNROLL
      for (int j = 0; j < TOKEN_TILES; j++)
        UNROLL
        for (int c = 0; c < 4; c++)
          acc[i][j][c] = 0;
  }

  // scale has those of rows g and g + 8.
  INLINE void add(int i, int j, const u32 (&a0)[4], const u32 (&a1)[4], const Words4 &x, const float (&scale)[2]) {
    float t[4] = {0, 0, 0, 0};
    T::mma(t, a0, x.v[0], x.v[1]);
    T::mma(t, a1, x.v[2], x.v[3]);
    UNROLL
    for (int c = 0; c < 4; c++)
      acc[i][j][c] = __builtin_fmaf(t[c], scale[c / 2], acc[i][j][c]);
  }
};
