package quant

import (
	"fmt"

	"github.com/bitlane/bitlane/dtype"
)

// PackRTN returns the codes of w as the first version of vLLM's RTN stores
// them, signed and row-major. With 8 bits that is int8 [N, K]. With 4 bits
// byte j of a row holds the codes of features 2j, low nibble, and 2j+1, high
// nibble, in two's complement: N rows of K/2 bytes, which upstream shapes as
// int8 [N/2, K] without moving a byte. (Upstream's second version stores codes
// unsigned: those are the rows of w as they are.) The scales are stored
// [N, groups] as in w.
//
// ErrUnsupported for a weight that is not symmetric with 4 or 8 bits; ErrShape
// for 4 bits where N or K is odd, which the form cannot express.
func PackRTN(w *Weight) ([]byte, error) {
	if w == nil {
		return nil, missing("weight")
	}
	if err := checkRTNForm(w.Bits(), w.N(), w.K()); err != nil {
		return nil, err
	}
	if !w.Symmetric() {
		return nil, Errorf(ErrUnsupported, "RTN weight", "zero points", "implied (symmetric)", "explicit")
	}
	perRow := w.K() * w.Bits() / 8
	out := make([]byte, 0, w.N()*perRow)
	for n := range w.N() {
		out = append(out, w.Row(n)[:perRow]...)
	}
	flipSigns(out, w.Bits())
	return out, nil
}

// UnpackRTN reads what PackRTN writes into dst, whose memory is reused: packed
// [n, k] codes of bits bits, and scales [n, groups] little-endian in t with
// groups = k/group, or 1 for a group of −1.
func UnpackRTN(dst *Weight, t dtype.DType, bits, group, n, k int, packed, scales []byte) error {
	if err := checkRTNForm(bits, n, k); err != nil {
		return err
	}
	if err := (RTN{Bits: bits, Group: group}).check("RTN weight", k); err != nil {
		return err
	}
	groups, err := UniformGroups(k, group)
	if err != nil {
		return err
	}
	form := Form{N: n, K: k, Bits: bits, Scales: t, Groups: groups}
	if err := form.Check(); err != nil {
		return err
	}
	perRow, perScales := k*bits/8, groups.Count()*t.Size()
	if len(packed)%perRow != 0 || len(packed)/perRow != n {
		return Errorf(ErrShape, "RTN weight", "packed codes", fmt.Sprintf("[%d, %d] codes of %d bits", n, k, bits), "%d bytes", len(packed))
	}
	if len(scales)%perScales != 0 || len(scales)/perScales != n {
		return Errorf(ErrShape, "RTN weight", "scales", fmt.Sprintf("[%d, %d] of %v", n, groups.Count(), t), "%d bytes", len(scales))
	}
	if err := dst.Reset(form); err != nil {
		return err
	}
	for i := range n {
		row := dst.Row(i)
		copy(row, packed[i*perRow:(i+1)*perRow])
		flipSigns(row[:perRow], bits)
		copy(dst.ScaleRow(i), scales[i*perScales:])
	}
	return nil
}

func checkRTNForm(bits, n, k int) error {
	switch {
	case bits != 4 && bits != 8:
		return Errorf(ErrUnsupported, "RTN weight", "bits", "4 or 8", "%d", bits)
	case n < 1 || n > MaxDim || k < 1 || k > MaxDim:
		return Errorf(ErrShape, "RTN weight", "shape", "1..2^30 each", "[%d, %d]", n, k)
	case bits == 4 && (n%2 != 0 || k%2 != 0):
		return Errorf(ErrShape, "RTN weight", "shape", "even sizes with 4 bits", "[%d, %d]", n, k)
	}
	return nil
}

// flipSigns turns codes q + 2^(bits−1) into q in two's complement and back:
// both differ in the top bit only.
func flipSigns(b []byte, bits int) {
	top := byte(0x80)
	if bits == 4 {
		top = 0x88
	}
	for i := range b {
		b[i] ^= top
	}
}
