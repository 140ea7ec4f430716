// Package bf16emu lets a test binary run VDPBF16PS on a processor, or an
// emulator, that has AVX-512 but not this instruction. Only tests import it.
//
// Install looks for the instruction in functions of tier DPBF16 of the running
// program and replaces each by a call of code of its own, made for the
// registers and the address that the bytes say. It does what Intel's manual
// says of the instruction, with others: for each lane
//
//	sum = fma(x[1], w[1], sum)
//	sum = fma(x[0], w[0], sum)
//
// x[1] and w[1] are the upper halves of the dwords. Each step rounds to nearest
// even, reads subnormal numbers as 0 and gives 0 for a subnormal result,
// whatever MXCSR says. No register and no flag but the sum changes; 264 bytes
// below the stack pointer do.
//
// Step is the same in Go, for models of kernels.
//
// All else in the kernels runs as it is: their loads, tables, loops and
// addresses, and the bytes of the instruction itself are decoded, not assumed.
package bf16emu
