package cuda

import "encoding/binary"

// pack lays out codes as the kernels read them, written from the package's text
// alone, and plain weights by their bits. u[output][packed feature]; outputs are a multiple of 32, features of 32.
func pack(bits int, u [][]int) []byte {
	units, brick := len(u[0])/Unit, BrickBytes(bits)
	packed := make([]byte, len(u)/BrickOutputs*units*brick)
	for n := range u {
		for k, code := range u[n] {
			b := packed[(n/BrickOutputs*units+k/Unit)*brick:][:brick]
			put(b, bits, n%BrickOutputs, k%Unit, code)
		}
	}
	return packed
}

// put sets the code of one output and feature of a brick.
func put(brick []byte, bits, n, k, code int) {
	tile, row := n/16, n%16
	g, lower := row%8, row/8 // rows g+8 belong to odd registers
	t, step := k/8, k%8/4
	second, half := k%4/2, k%2 // which pair of the step's two, which code of the pair
	j := 2*second + lower
	lane := 4*g + t
	or := func(at, shift, v int) {
		w := binary.LittleEndian.Uint32(brick[at:])
		binary.LittleEndian.PutUint32(brick[at:], w|uint32(v)<<shift)
	}
	switch bits {
	case 2:
		or(8*lane+4*tile, 2*(4*step+j)+16*half, code)
	case 3:
		q := 8*tile + 4*step + j
		if q == 14 {
			for i := range 3 {
				or(128*i+4*lane, 15+16*half, code>>i&1)
			}
			return
		}
		for word, order := range [3][5]int{{0, 1, 2, 3, 4}, {6, 5, 8, 7, 9}, {10, 11, 12, 13, 15}} {
			for i, have := range order {
				if have == q {
					or(128*word+4*lane, 3*i+16*half, code)
				}
			}
		}
	case 4:
		or(16*lane+4*(2*tile+step), 4*j+16*half, code)
	case 8:
		or(512*tile+16*lane+4*(2*step+j/2), 16*(j%2)+8*half, code)
	case 16:
		or(1024*tile+512*step+16*lane+4*j, 16*half, code)
	}
}
