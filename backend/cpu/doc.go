// Package cpu is the backend "cpu": the processor and memory that the program
// runs on, as the device "0".
//
// # Kernels
//
// Each unit, an instruction set for which there is assembly, has up to seven
// kernels, with the name of the unit at the end (cpu_w4g_a8_avx2); which units
// there are is in the table units. A processor gets the first one whose
// features it has and BITLANE_CPU leaves (see MaskVariable), but for bf16 and avx512,
// of which the one comes first that does more on it (see tunings).
//
//	cpu_w4g_a8, cpu_w8g_a8    codes of 2..4, of 5..8 bits; x by an int8 recipe
//	cpu_w4g_a4, cpu_w8g_a4    the same for FlatQuant's transform and int4 rows
//	cpu_w4g_a16, cpu_w8g_a16  codes, x as it is
//	cpu_wx_a16                plain float32, float16 and bfloat16 weights
//
// Behind them, kernels in plain Go run every Spec that a loader can produce:
//
//	cpu_wxg_a8_go, cpu_wxg_a4_go, cpu_wxg_a16_go, cpu_wx_a16_go
//
// What a unit refuses and plain Go takes: zero points outside 0..255, groups of
// fewer than about eight features, K above 2^24. Of exact activations the units amx and bf16 take plain
// weights of bfloat16 and no others, and codes of up to 4 bits with one zero
// point or with any of 0..16; bf16 takes x of bfloat16 alone, amx other x where MaxRows is more than 1, and only groups that
// fill tiles of 32 features but for an eighth; the unit avx512 takes the rest.
//
// # Apply
//
// Apply runs at once, in two loops over the worker pool of the device. The
// first prepares each row of x once (a front, package rows: widen, or
// transform and quantize) into the workspace. The second divides the outputs
// into portions of tiles and rows (a matrix) and multiplies. What takes less time
// than to hand it to other threads the caller does alone. Which goroutine
// does what, and how many there are, changes no bit.
//
//	layer ── fronts ─ rows.Plan ────────────▶ prepared rows, or tiles of them, in the workspace
//	   └──── parts ── matrix ── product ─▶ asm    panels of 16 outputs
//	                       └─── weights           canonical rows, plain Go
//
// # Panels
//
// For a unit Prepare packs the weights into panels, which package asm draws.
// K is cut into pieces, each of one weight group and one activation group; with
// act-order the features first get the order of their groups, and rows of x
// are gathered likewise. Up to so many rows a kernel reads the panel itself;
// for more, a run of blocks is unpacked once and multiplied with all rows, tile
// after tile, so that what it needs of x stays in the second cache.
//
// # Sums
//
// All sums depend on the kernel, K and the groups only: a row of y does not
// depend on what else is in the call (batch invariance). Those of panels are
// defined by package asm and are the same for every unit but bf16 and amx, whose exact
// sums are of pairs and of tiles, without subnormal numbers; those of float16 and float32 on tiles are
// y0 + y1 and y0 + (y1 + y2), of parts of x that are bfloat16. Those in plain Go round every
// product and every sum on its own:
//
//	exact   w = round(s·(u−z)); lane k mod 8 adds round(x·w), k ascending;
//	        y = ((l0+l4)+(l2+l6)) + ((l1+l5)+(l3+l7))
//	token   a = Σ (code−zero)(u−z), exact, for each group; y = (Σ round(a)·s_w)·s_x,
//	        groups ascending
//	group   likewise for each activation group: y = Σ (round(a)·s_w)·s_x
//
// The bias is then added, and the sum rounded to the type of y. In plain Go,
// where there are more groups than K/8 + 16, the sums over groups use the eight
// lanes of the exact kernel, lane = group mod 8.
//
// The order of "token" in plain Go is that of PyTorch's _dyn_quant_matmul_4bit
// in float32, so that Int8TokenAsym equals it bit for bit.
//
// No file format and no other backend enters this package.
package cpu
