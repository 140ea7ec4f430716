package asm

// UnpackedBytes returns the size of an unpacked panel of these blocks of one
// tile. The Unpack kernels write it to dst, aligned to 64 bytes, from the packed
// blocks of a Call (W, Blocks, Count, Form and Zero), and the Gemm kernels read
// it at W, with the same Blocks and Count, whatever the weights were before:
//
//	block = scales   [4][16] float32; missing segments: 0; plain weights: all 1
//	        weights  [segments][features][16] float32: u−z, or the plain weight,
//	                 exactly, padding included
//
// features is Block.Features, a multiple of 8. Kernels of 32 columns read a
// second panel WStep bytes behind the first.
func UnpackedBytes(blocks []Block) int {
	bytes := 0
	for _, b := range blocks {
		bytes += 4*16*4 + int(b.Segments)*int(b.Features)*16*4
	}
	return bytes
}
