// Command gen writes the bundled checkpoints of testdata and what a reader
// must make of them.
//
//	go run ./testdata/gen          writes into testdata
//	go run ./testdata/gen -out DIR
//
// It starts from codes, zero points and scales that it draws itself, packs
// them with its own code, writes safetensors with its own code, and computes
// activation codes, row scales and outputs with its own loops. It imports
// nothing of the library, so that no mistake can be made on both sides. Its
// output is the same bytes on every machine: the random numbers are written
// out here and are exact sums of dyadic fractions, and every rounded product
// is a conversion, so that no compiler may fuse it.
//
// Each checkpoint is a directory as model hubs have them, with one file more,
// expected.safetensors. For each layer that holds
//
//	<layer>.codes          U8  [N, K]  unsigned codes (small layers)
//	<layer>.codes.sha256   U8  [32]    of the same bytes (every layer)
//	<layer>.groups         I32 [K]     group of each feature
//	<layer>.zeros          I32 [N, G]  or [1, 1] where all are the same
//	<layer>.scales         F32 [N, G]
//	<layer>.bias           F32 [N]     where there is one
//	<layer>.x              [M, K] in the model's type
//	<layer>.y.RECIPE       F64 [M, N]  in float64, bias added
//	<layer>.x.codes.RECIPE I8  [M, K]
//	<layer>.x.scales.RECIPE F32 [M, A] A activation groups
//	<layer>.x.zeros.RECIPE I32 [M]
//
// and for a plain layer only x and y.exact. Layers quantized on load repeat
// codes, groups, zeros and scales for each setting under <layer>.SETTING.
//
// damaged/CASE holds one damaged checkpoint per rule that a reader enforces;
// each line of its want.txt must occur in the error.
package main
