// Package ptx runs NVIDIA's virtual assembly, PTX, in pure Go: the very text
// that a CUDA driver would translate, with every rule that a GPU leaves
// unchecked turned into an error. It exists to test kernels on machines without
// a GPU. It says nothing about speed, registers or occupancy, and it accepts a
// subset of PTX: what the kernels of this module are made of. Whatever else it
// reads is an error of Parse, with line and text, never ignored.
//
// # Use
//
// Parse makes a Module of entries. A Machine holds device memory; Alloc, Write,
// Read, Fill, Poison and Free work on it. Launch runs one entry over a grid and
// returns when it ended: nil, a *LaunchError for what a driver would refuse, the
// context's error, or a *Fault.
//
// # Execution
//
// A warp executes an instruction for all its active lanes at once; diverging
// lanes meet again at the immediate post-dominator of the branch. The warps of a
// block are interleaved at random, the blocks run in a random order on several
// goroutines; Config.Seed fixes both. An instruction that all 32 lanes must
// execute together (mma, ldmatrix, a full bar.sync, shfl with a mask of lanes
// that are elsewhere) is a Fault on fewer.
//
// # Undefined values
//
// Registers, shared memory, local memory and fresh device memory start
// undefined. Definedness is tracked per bit in registers and per byte in memory.
// Copies (mov, packing, ld, st to shared and local memory, shfl, selp) carry it
// along; and, or, xor, not, lop3, shifts by a defined count, prmt, bfe, bfi and
// integer cvt carry it bit by bit, so that an undefined half that is masked away
// does no harm; every other instruction makes its whole result undefined; mma
// makes undefined just the rows of an undefined A and the columns of an
// undefined B. A Fault is raised where an undefined bit decides something: an
// address, a guard or branch, a mask, an operand of an atomic, or a store to
// global memory.
//
// # cp.async
//
// The bytes at the destination are poisoned when the copy is issued and appear
// only when the same thread's wait_group (or wait_all) covers the copy's group;
// an access by anybody before that is a Fault. They count as written at the wait.
//
// # Races
//
// Two accesses of different threads to one byte, one of them a write, are a
// Fault unless they are ordered by happens-before or are both strong with scopes
// that include each other's thread. Clocks are per thread: lanes of a warp are
// different threads, ordered only by bar.warp.sync, bar.sync or a synchronising
// pattern (Checks.WarpOrdered trusts the order within a warp instead: PTX does
// not promise it). Compilers make no communication between lanes of their own
// accord, so this default raises nothing on code that asks for its barriers.
// Orderings are those of the PTX memory model that hold in every execution:
// barriers, and release patterns (a release, or a fence and then a strong
// write) observed by acquire patterns (an acquire, or a strong read and then a
// fence), through chains of read-modify-writes, with every scope on the way
// wide enough. The order that two fence.sc happen to have at run time is not
// counted: another run has another. Stores of equal values by lanes of one
// instruction are allowed. A ld.global.nc of bytes that the kernel writes is a
// Fault whatever the order.
//
// # Coverage
//
// Opcodes, each with the types and modifiers that sm_80 code is made of:
//
//	integers     add sub mul mul24 mad sad div rem abs neg min max popc clz bfind brev bfe bfi dp4a dp2a
//	floats       add sub mul fma mad div abs neg min max rcp sqrt rsqrt ex2 lg2 copysign testp
//	             (f16, f16x2, bf16, bf16x2, f32, f64)
//	logic        and or xor not cnot lop3 shl shr shf prmt
//	comparisons  setp set selp slct
//	data         mov cvt cvta ld st prefetch prefetchu createpolicy atom red cp
//	matrices     ldmatrix mma (m16n8k8, m16n8k16: f16, bf16 to f32; m16n8k16, m16n8k32, m8n8k16: s8, u8 to s32)
//	warps        shfl vote match redux activemask
//	order        bar barrier membar fence
//	flow         bra brx ret exit trap brkpt
//
// Left out, and so refused: functions and calls, textures, mma of other types,
// wgmma, mbarrier and bulk copies, clusters, clocks, carries, surface and video
// instructions.
//
// # Numbers
//
// Every operation but the .approx ones, division .full and mma of floats has one
// correct result and gives it; those of .approx are given correctly rounded,
// which lies inside the documented error. NaN results are the canonical NaN. See
// MMAModel for the tensor core's sums.
package ptx
