// Package rows prepares rows of x for the kernels of package asm: it widens a
// row, or transforms and quantizes it as a recipe says, and lays it out in the
// order of a panel.
//
// A Plan is made once for each layer and says how. Its Row prepares one row:
//
//	x, K values as the tensor has them
//	  │  transform (FlatQuant)
//	  │  order (act-order), pieces moved apart by their padding
//	  ▼
//	┌ segment 0 ──┬ segment 1 ──┬─ … ┐  Form.Width values: float32, bfloat16, int8 codes
//	└─────────────┴─────────────┴─ … ┘  or int16 codes minus zero point; padding is 0
//	  side 0        side 1         …    int8 rows: a correction for each segment
//	  scale                             of the row, or for Int8Group of each segment
//
// Codes, scales and zero points equal those of quant.Recipe.QuantizeRow and
// quant.Transform bit for bit, with every instruction set. What a fast path
// cannot do takes the plain one, which calls them.
//
// # Sums of the transform
//
// quant.Transform rounds every product and every sum. Where a product of two
// values is exact in float32, as that of two float16 always is, a fused
// multiply-add gives the same bits in half the operations. Of bfloat16 it is
// exact unless it underflows or overflows; ranges of both factors are compared
// first. For float32 products and sums stay apart.
package rows
