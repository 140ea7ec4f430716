// Package cuda is the device code of the backend "cuda": the sources (*.cu, *.cuh),
// the PTX that clang makes of them, which is embedded, and what a host must know
// to launch it. Nothing here packs, plans or launches.
//
// # What is computed
//
// y[token][output] = round(Σ_k x[token][k] · scale · (u − zero) + bias), by the tensor
// cores: the 16 rows of operand A are outputs, the 8 columns of B are tokens, from
// one token on. K is a sequence of units of 32 features, each in one group:
//
//	for each output, token and slice of K:
//	    acc = 0
//	    for each unit:  t = mma(A1, B1, mma(A0, B0, 0));  acc = fma(t, scale, acc)
//	y = round(((acc of slice 0 + acc of slice 1) + ...) · enlarge + bias)
//
// u − zero is exact in x's 16 bits, products are exact, all sums are float32.
// Fine adds the two halves of a unit one by one. Where x is bfloat16, codes are
// taken 2^-16 times as large and enlarge makes up for it (bricks.cuh says why). Which
// slices and runs there are follows from the launch alone, and a block never
// waits for another: y has the same bits on every run, and a row of y the same
// whatever else is in the call, for one choice of slices and runs.
//
// # Layout
//
// Lane l of a warp has g = l/4 and t = l%4. Of a unit it takes features 8t to 8t+7,
// which are 16 bytes of a row of x: the first four for step 0, the others for step
// 1 of the mma. Features within a step are thus in another order than in x; codes
// are packed to match: in step s, register j of A and half h hold
//
//	output 16·tile + g + 8·(j%2)    feature 8t + 4s + 2·(j/2) + h
//
// A brick is 32 outputs (tiles 0 and 1) of one unit, 128 bytes for each bit; bricks
// are stored [Np/32][units], Np being N rounded up to 32. bricks.cuh draws where
// each code is in its brick. Outputs from N on have scale 0; features that pad
// a unit meet x = 0 and may have any code.
//
//	scales   [groups][Np] of float16, bfloat16 or float32
//	zeros    int16 [groups][Np], or none and one constant
//	group    int32 [units]: the row of scales and zeros
//	map      int32 [32·units]: the feature of x, −1 for padding; for Mapped kernels and gather
//
// Zero points are −255 to 256, for bfloat16 and fewer than 8 bits at most 128, and
// |u − zero| is at most 256 for bfloat16. Plain weights (16 bits) have none.
//
// # Kernels
//
//	name                       family   block             grid                               for
//	w4_f16_n8, _n16, _n32      Stream   (32·side, runs)   (Np / (64·side), slices, M / tokens)  few tokens
//	w4_f16_n8_gather, _n16_…   Stream   the same          the same                           few tokens, x through the map
//	w4_f16_t64, _t128          Tile     128               (Np / 128, slices, M / tokens)     many tokens
//	finish                     Finish   128               (N / 128, min(M, 65535))           after a grid with slices > 1
//	gather                     Gather   128               (M, 32·units / 1024)               before Tile, where x needs it
//	expand                     Expand   128               (rows of bricks, units / 32)       before Tile of plain weights
//
// all divisions rounded up; the same for w2, w3, w8, w16 (plain weights) and for
// bf16, one module each, with a finish, a gather and, but for w16, an expand of its own. Stream reads x of
// any alignment, and fast where rows are 16-byte aligned; side·runs·32 is at most
// Kernel.Threads, and shared memory is SharedPerWarp for each warp. Warps side by
// side read the same x, from L1; a warp of run r takes units [r·RunUnits,
// (r+1)·RunUnits) of its block's slice. Tile wants rows of x that are 16-byte aligned;
// gather makes such rows, without a map too. Both leave alone what is beyond K in
// a row of x, beyond M and beyond N. Above 48 KB, shared memory must be asked for.
//
// expand writes round((u − zero) · scale · 2^-e) as numbers of x's type, bricks of 16
// bits or rows: a product of those is one of rounded weights, to be scaled by 2^e.
//
// Arguments are 8-byte slots in the order that LayerArgs, FinishArgs, GatherArgs and
// ExpandArgs give them; layer.cuh and expand.cuh say what each is.
//
// # Building
//
// make kernels compiles the sources with clang-19, without a CUDA toolkit, for sm_80
// and PTX ISA 7.1, which every later architecture runs, and writes RESOURCES.md: the
// registers that ptxas gives each kernel on six architectures. make kernels-check,
// a part of the gate, sees that both are up to date, that nothing spills and that
// no kernel has more registers than Kernel.Registers. Tests run the embedded PTX on
// internal/gpuvm/ptx, against sums in float64, and delete its barriers one by one.
package cuda
