// The two 16-bit types that x can have. Each is a struct with the same
// operations, so that kernels are written once: arithmetic on pairs (low half =
// first element), the tensor core's product, and rounding.
//
//   mma: D[16][8] = A[16][16] B[16][8] + C, in a warp. Lane l has g = l/4 and t = l%4;
//     A: a[0] = row g,   columns 2t, 2t+1       a[1] = row g+8, the same
//        a[2] = row g,   columns 2t+8, 2t+9     a[3] = row g+8, the same
//     B: b0 = rows 2t, 2t+1 of column g         b1 = rows 2t+8, 2t+9
//     C, D: d[0], d[1] = row g, columns 2t, 2t+1    d[2], d[3] = row g+8
#pragma once
#include "device.cuh"

struct F16 {
  static constexpr bool bf16 = false;

  // Both rounded to nearest even, lo in the lower half.
  static INLINE u32 pair(float lo, float hi) {
    u32 r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
  }
  static INLINE u32 add(u32 a, u32 b) {
    u32 r;
    asm("add.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    return r;
  }
  static INLINE u32 fma(u32 a, u32 b, u32 c) {
    u32 r;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
  }
  static INLINE void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
};

struct BF16 {
  static constexpr bool bf16 = true;

  static INLINE u32 pair(float lo, float hi) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
  }
  static INLINE u32 fma(u32 a, u32 b, u32 c) {
    u32 r;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
  }
  // sm_80 has no addition of bf16 pairs.
  static INLINE u32 add(u32 a, u32 b) { return fma(a, 0x3f803f80u, b); }
  static INLINE void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
};

// Kinds of number that are known at launch only.
enum Kind : i32 { kind_f16 = 0, kind_bf16 = 1, kind_f32 = 2 };

INLINE float float_of_half(u32 h) {
  float r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"((u16)h));
  return r;
}

INLINE float float_of_bf16(u32 h) { return __builtin_bit_cast(float, h << 16); }

// Element `index` of an array of that kind := v, rounded to nearest even.
INLINE void write_rounded(u64 array, i64 index, i32 kind, float v) {
  if (kind == kind_f32) {
    write_float(array + 4 * index, v);
    return;
  }
  u16 r;
  if (kind == kind_f16) {
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(v));
  } else {
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(v));
  }
  write_half(array + 2 * index, r);
}
