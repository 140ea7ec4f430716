// Package cpu is the backend "cpu": the processor and memory that the program
// runs on, as the device "0".
//
// Its kernels in plain Go run every Spec that a loader can produce:
//
//	cpu_wxg_a16_go  integer codes of 2..8 bits, x as it is
//	cpu_wx_a16_go   plain float32, float16 and bfloat16 weights, x as it is
//	cpu_wxg_a8_go   integer codes, every int8 recipe
//	cpu_wxg_a4_go   integer codes, FlatQuant's transform and int4 rows
//
// Apply runs at once, in two loops over the worker pool of the device. The
// first prepares each row of x once (a front: widen, or transform and
// quantize) into the workspace. The second takes the outputs a tile of rows of
// W at a time, unpacks the tile once and multiplies it with every row of x.
// Which goroutine does what, and how many there are, changes no bit.
//
// # Packed weights
//
// Prepare copies the canonical rows (package quant) into device memory. The
// one change: with act-order the codes of a row are stored in the order of
// Groups.Order, and a front gathers x likewise, so that every kernel sees
// contiguous groups. k below counts in that order.
//
// # Sums
//
// All sums are float32 with every product and sum rounded on its own, and
// depend on the kernel, K and the groups only: a row of y does not depend on
// what else is in the call (batch invariance).
//
//	exact   w = round(s·(u−z)); lane k mod 8 adds round(x·w), k ascending;
//	        y = ((l0+l4)+(l2+l6)) + ((l1+l5)+(l3+l7))
//	token   a = Σ (code−zero)(u−z), exact, for each group; y = (Σ round(a)·s_w)·s_x,
//	        groups ascending
//	group   likewise for each activation group: y = Σ (round(a)·s_w)·s_x
//
// The bias is then added, and the sum rounded to the type of y. Where there
// are more groups than K/8 + 16, the sums over groups use the eight lanes of
// the exact kernel, lane = group mod 8.
//
// The order of "token" is that of PyTorch's _dyn_quant_matmul_4bit in float32,
// so that Int8TokenAsym equals it bit for bit.
//
// # Where the next kernels go
//
// The table in kernels.go lists the kernels best first. A kernel for an
// instruction set is a type of its own beside kernel, in files named after its
// unit, which embeds hostmem.Layer as layer does and brings its own packing,
// workspace and sums; its Supports asks DeviceInfo.Features for what it needs,
// and it stands in the table before the ones in plain Go. Device.Info names
// the best tier. Rows of x are prepared by a front, which such a kernel can
// use as it is.
//
// No file format and no other backend enters this package.
package cpu
