package asm

// MostPairsZero4 is the largest zero point of ZeroBytes that kernels of pairs
// take with codes of 4 bits: they look u−z up among -16 to 15.
const MostPairsZero4 = 16

// PairsOfLine returns where kernels of pairs have the features of a line: dword
// i of x, and of an unpacked panel, holds feature order[2i] in its lower and
// order[2i+1] in its upper half. bits is that of the codes, 0 for plain
// weights. The caller must not change it.
func PairsOfLine(bits int) (order []int) {
	switch bits {
	case 4:
		return pairsOf4
	case 8:
		return pairsOf4Features
	}
	return pairsOf2Features
}

var (
	pairsOf4         = []int{0, 2, 1, 3, 4, 6, 5, 7} // words of a dword, shifted by 0, 8, 4 and 12
	pairsOf4Features = []int{0, 1, 2, 3}
	pairsOf2Features = []int{0, 1}
)

// UnpackedPairsBytes is UnpackedBytes for kernels of pairs:
//
//	block = scales   [4][16] float32; missing segments: 0; plain weights: all 1
//	        weights  [segments][features/2][16] pairs of bfloat16: u−z, or the
//	                 plain weight, exactly, padding included
func UnpackedPairsBytes(blocks []Block) int {
	bytes := 0
	for _, b := range blocks {
		bytes += 4*16*4 + int(b.Segments)*int(b.Features)*16*2
	}
	return bytes
}
