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
// AVX-512 quantizes tokens through the order, where Form.Gathers says so, and does not
// put the values of x in their places; with a scale of less than 2⁻¹⁰⁰ or more than
// 2¹⁰⁰ plain Go does all.
//
// A few rows with an order are put in their places at once by a Placer, whose Plan then prepares
// each of them.
//
// Codes, scales and zero points equal those of quant.Recipe.QuantizeRow and
// quant.Transform bit for bit, with every instruction set. What a fast path
// cannot do takes the plain one, which calls them.
package rows
