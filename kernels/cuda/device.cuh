// What a kernel needs of the language and of the machine, and nothing of
// quantized layers: the words of CUDA, which clang knows as attributes, and one
// function for each instruction that C++ has no expression for. PTX ISA 7.1 and
// sm_80 are all that may be used.
//
// Global memory is addressed by 64-bit integers and shared memory by 32-bit
// ones: every access then names its space, and PTX has no generic address.
#pragma once

#define KERNEL extern "C" __attribute__((global)) void
#define INLINE __attribute__((device, always_inline)) inline
#define UNROLL _Pragma("unroll")
#define THREADS(...) __attribute__((launch_bounds(__VA_ARGS__)))

typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;

// Dynamic shared memory: everything that a kernel shares is laid out in it.
extern __attribute__((shared, aligned(16))) char shared_memory[];

INLINE u32 shared_base() {
  return (u32)(u64)(__attribute__((address_space(3))) const void *)shared_memory;
}

INLINE i32 thread_x() { return __nvvm_read_ptx_sreg_tid_x(); }
INLINE i32 thread_y() { return __nvvm_read_ptx_sreg_tid_y(); }
INLINE i32 threads_x() { return __nvvm_read_ptx_sreg_ntid_x(); }
INLINE i32 threads_y() { return __nvvm_read_ptx_sreg_ntid_y(); }
INLINE i32 block_x() { return __nvvm_read_ptx_sreg_ctaid_x(); }
INLINE i32 block_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
INLINE i32 block_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
INLINE i32 grid_x() { return __nvvm_read_ptx_sreg_nctaid_x(); }
INLINE i32 grid_y() { return __nvvm_read_ptx_sreg_nctaid_y(); }
INLINE i32 grid_z() { return __nvvm_read_ptx_sreg_nctaid_z(); }

// A number that is the same in all lanes of a warp, in a way that ptxas sees: it
// then lives in a uniform register, and branches on it do not diverge.
INLINE i32 uniform(i32 v) { return __nvvm_shfl_sync_idx_i32(0xffffffffu, v, 0, 0x1f); }

// v, in a way that clang cannot see: it then keeps nothing that follows from v.
INLINE i32 opaque(i32 v) {
  asm volatile("mov.b32 %0, %0;" : "+r"(v));
  return v;
}

// Lane i's v, in all lanes.
INLINE i32 of_lane(i32 v, i32 i) { return __nvvm_shfl_sync_idx_i32(0xffffffffu, v, i, 0x1f); }

// The v of the lane before this one; lane 0 keeps its own.
INLINE i32 of_lane_before(i32 v) { return __nvvm_shfl_sync_up_i32(0xffffffffu, v, 1, 0); }

// Bit i is set where lane i says so.
INLINE u32 ballot(bool yes) { return __nvvm_vote_ballot_sync(0xffffffffu, yes); }

INLINE i32 minimum(i32 a, i32 b) { return a < b ? a : b; }
INLINE i32 maximum(i32 a, i32 b) { return a > b ? a : b; }

// All threads of the block, or of the warp, arrive; what they wrote is seen.
INLINE void block_barrier() { __nvvm_bar_sync(0); }
INLINE void warp_barrier() { __nvvm_bar_warp_sync(0xffffffffu); }

struct Words4 {
  u32 v[4];
};

// Reads of memory that no kernel of the launch writes.
INLINE Words4 read_words4(u64 address) {
  Words4 r;
  asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(r.v[0]), "=r"(r.v[1]), "=r"(r.v[2]), "=r"(r.v[3]) : "l"(address));
  return r;
}

INLINE void read_words2(u64 address, u32 &a, u32 &b) { asm("ld.global.nc.v2.u32 {%0, %1}, [%2];" : "=r"(a), "=r"(b) : "l"(address)); }

INLINE u32 read_word(u64 address) {
  u32 r;
  asm("ld.global.nc.u32 %0, [%1];" : "=r"(r) : "l"(address));
  return r;
}

// Leaves w as it is where nothing exists to read; no branch.
INLINE void read_words4_if(Words4 &w, u64 address, bool exists) {
  asm("{ .reg .pred p; setp.ne.u32 p, %5, 0; @p ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4]; }"
      : "+r"(w.v[0]), "+r"(w.v[1]), "+r"(w.v[2]), "+r"(w.v[3])
      : "l"(address), "r"((u32)exists));
}

// 0 where nothing exists to read.
INLINE u32 read_half_if(u64 address, bool exists) {
  u16 r;
  asm("{ .reg .pred p; setp.ne.u32 p, %2, 0; mov.u16 %0, 0; @p ld.global.nc.u16 %0, [%1]; }" : "=&h"(r) : "l"(address), "r"((u32)exists));
  return r;
}

INLINE float read_float(u64 address) {
  float r;
  asm("ld.global.nc.f32 %0, [%1];" : "=f"(r) : "l"(address));
  return r;
}

INLINE void write_words4(u64 address, Words4 w) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(address), "r"(w.v[0]), "r"(w.v[1]), "r"(w.v[2]), "r"(w.v[3]) : "memory");
}

INLINE void write_half(u64 address, u16 v) { asm volatile("st.global.u16 [%0], %1;" ::"l"(address), "h"(v) : "memory"); }
INLINE void write_float(u64 address, float v) { asm volatile("st.global.f32 [%0], %1;" ::"l"(address), "f"(v) : "memory"); }

// Shared memory. They are volatile so that clang keeps their order with copies
// and barriers; ptxas is free to schedule them.
INLINE Words4 shared_words4(u32 address) {
  Words4 r;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(r.v[0]), "=r"(r.v[1]), "=r"(r.v[2]), "=r"(r.v[3])
               : "r"(address)
               : "memory");
  return r;
}

INLINE void shared_words2(u32 address, u32 &a, u32 &b) {
  asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(a), "=r"(b) : "r"(address) : "memory");
}

INLINE u32 shared_word(u32 address) {
  u32 r;
  asm volatile("ld.shared.u32 %0, [%1];" : "=r"(r) : "r"(address) : "memory");
  return r;
}

INLINE u32 shared_half(u32 address) {
  u16 r;
  asm volatile("ld.shared.u16 %0, [%1];" : "=h"(r) : "r"(address) : "memory");
  return r;
}

INLINE float shared_float(u32 address) { return __builtin_bit_cast(float, shared_word(address)); }

INLINE void set_shared_float(u32 address, float v) { asm volatile("st.shared.f32 [%0], %1;" ::"r"(address), "f"(v) : "memory"); }

// Copies of 16 aligned bytes from global to shared memory, past the registers
// and past L1. They arrive when wait_copies says so. The second form reads the
// first `bytes` bytes only, which may be none, and sets the rest to zero.
INLINE void copy16(u32 to, u64 from) { asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory"); }

INLINE void copy16_part(u32 to, u64 from, i32 bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

// 8 bytes, by way of L1.
INLINE void copy8_part(u32 to, u64 from, i32 bytes) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

// Ends a group of this thread's copies; wait_copies returns when all groups but
// the last PENDING have arrived.
INLINE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int PENDING> INLINE void wait_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory"); }

// (a & AND) | OR, one instruction.
template <u32 AND, u32 OR> INLINE u32 take(u32 a) {
  u32 r;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(r) : "r"(a), "n"(AND), "n"(OR));
  return r;
}

// The four bytes of the result, from the low one up, are chosen by the nibbles
// of SELECT out of the bytes of a (0 to 3) and b (4 to 7).
template <u32 SELECT> INLINE u32 bytes(u32 a, u32 b) { return __nvvm_prmt(a, b, SELECT); }
