package ptx

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
)

// Loops of their own for what kernels execute most: on a whole warp with all
// operands defined they save a call per lane. Anything else takes the general
// way, which they must equal.

func execAdd32(w *warp, in *inst) {
	if w.active != full || w.undef[in.a]|w.undef[in.b] != 0 {
		exec2(w, in)
		return
	}
	d, a, b := &w.regs[in.d], &w.regs[in.a], &w.regs[in.b]
	for i := range d {
		d[i] = uint64(uint32(a[i] + b[i]))
	}
	w.undef[in.d] = 0
}

func execAdd64(w *warp, in *inst) {
	if w.active != full || w.undef[in.a]|w.undef[in.b] != 0 {
		exec2(w, in)
		return
	}
	d, a, b := &w.regs[in.d], &w.regs[in.a], &w.regs[in.b]
	for i := range d {
		d[i] = a[i] + b[i]
	}
	w.undef[in.d] = 0
}

func execLop3(w *warp, in *inst) {
	if w.active != full || w.undef[in.a]|w.undef[in.b]|w.undef[in.c] != 0 {
		exec3(w, in)
		return
	}
	d, a, b, c := &w.regs[in.d], &w.regs[in.a], &w.regs[in.b], &w.regs[in.c]
	if in.imm == 0xea { // (a & b) | c, the dequantizer's
		for i := range d {
			d[i] = a[i]&b[i] | c[i]
		}
	} else {
		// Three selections along the table: m[k] is entry k as a mask.
		var m [8]uint64
		for k := range m {
			m[k] = -(uint64(in.imm) >> k & 1)
		}
		for i := range d {
			x, y, z := a[i], b[i], c[i]
			lo := y&(z&m[3]|^z&m[2]) | ^y&(z&m[1]|^z&m[0])
			hi := y&(z&m[7]|^z&m[6]) | ^y&(z&m[5]|^z&m[4])
			d[i] = uint64(uint32(x&hi | ^x&lo))
		}
	}
	w.undef[in.d] = 0
}

// fma32 rounds a·b+c once, and makes NaN canonical.
func fma32(a, b, c uint64) uint64 {
	f := dtype.FMA(f32(a), f32(b), f32(c))
	if f != f {
		return nan32
	}
	return uint64(math.Float32bits(f))
}

func execFma32(w *warp, in *inst) {
	if w.active != full || w.undef[in.a]|w.undef[in.b]|w.undef[in.c] != 0 {
		exec3(w, in)
		return
	}
	d, a, b, c := &w.regs[in.d], &w.regs[in.a], &w.regs[in.b], &w.regs[in.c]
	for i := range d {
		d[i] = fma32(a[i], b[i], c[i])
	}
	w.undef[in.d] = 0
}
