// A small 4-bit matrix product, to time the interpreter on what compilers make
// of such kernels: cp.async ring, ldmatrix, lop3, mma, predicated edges.
//   clang-19 -x cuda --cuda-device-only -nocudainc -nocudalib --cuda-gpu-arch=sm_80
//     --cuda-feature=+ptx71 -O3 -std=c++17 -ffp-contract=off -S -o cell.ptx cell.cu
//
// y[m][n] = sum over k of x[m][k] * scale[k/128][n] * (w[n][k] - 8); w holds eight
// codes per word along k; m <= 24, n a multiple of 64, k of 128.
typedef unsigned u32;
typedef unsigned long long u64;
#define D static __attribute__((device, always_inline)) inline
extern __attribute__((shared, aligned(16))) char memory[];

D u32 base() { return (u32)(u64)(__attribute__((address_space(3))) const void *)memory; }
D void copy16(u32 to, u64 from, u32 bytes) { asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory"); }
D void matrix4(u32 *r, u32 at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}
D void mma(float *c, const u32 *a, const u32 *b) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
D u32 pick(u32 v) { u32 r; asm("lop3.b32 %0, %1, 0x000f000f, 0x64006400, 0xea;" : "=r"(r) : "r"(v)); asm("add.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(r), "r"(0xe408e408u)); return r; }

enum { TOKENS = 24, TILE = 128, STRIDE = TILE * 2 + 16 };

extern "C" __attribute__((global)) __attribute__((launch_bounds(128))) void cell(const u32 *__restrict__ w, const _Float16 *__restrict__ x, const float *__restrict__ scale, float *y, int m, int n, int k) {
  int t = __nvvm_read_ptx_sreg_tid_x(), lane = t & 31, warp = t >> 5, g = lane >> 2, q = lane & 3;
  int row = __nvvm_read_ptx_sreg_ctaid_x() * 64 + warp * 16 + g;
  float sum[3][4] = {};
  int tiles = k / TILE;
  auto fetch = [&](int tile) {
    u32 to = base() + (tile & 1) * (TOKENS * STRIDE);
    for (int i = t; i < TOKENS * 16; i += 128) {
      int r = i >> 4, c = i & 15;
      copy16(to + r * STRIDE + c * 16, (u64)(x + (r < m ? r : 0) * k + tile * TILE + c * 8), r < m ? 16 : 0);
    }
  };
  fetch(0);
  asm volatile("cp.async.commit_group;" ::: "memory");
  for (int tile = 0; tile < tiles; tile++) {
    if (tile + 1 < tiles) fetch(tile + 1);
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __nvvm_bar_sync(0);
    float part[3][4] = {};
    u32 from = base() + (tile & 1) * (TOKENS * STRIDE);
#pragma unroll 2
    for (int s = 0; s < TILE / 32; s++) {
      u32 lo = w[row * (k / 8) + (tile * TILE + s * 32) / 8 + q], hi = w[(row + 8) * (k / 8) + (tile * TILE + s * 32) / 8 + q];
      u32 a[2][4] = {{pick(lo), pick(hi), pick(lo >> 4), pick(hi >> 4)}, {pick(lo >> 8), pick(hi >> 8), pick(lo >> 12), pick(hi >> 12)}};
      for (int j = 0; j < 3; j++) {
        u32 b[4];
        matrix4(b, from + (j * 8 + (lane & 7)) * STRIDE + s * 64 + (lane >> 3) * 16);
        mma(part[j], a[0], b);
        mma(part[j], a[1], b + 2);
      }
    }
    float s0 = scale[tile * n + row], s1 = scale[tile * n + row + 8];
    for (int j = 0; j < 3; j++)
      for (int i = 0; i < 4; i++) sum[j][i] = sum[j][i] + part[j][i] * (i < 2 ? s0 : s1);
    __nvvm_bar_sync(0);
  }
  for (int j = 0; j < 3; j++)
    for (int i = 0; i < 4; i++) {
      int token = j * 8 + q * 2 + (i & 1);
      if (token < m) y[token * n + row + (i >> 1) * 8] = sum[j][i];
    }
}
