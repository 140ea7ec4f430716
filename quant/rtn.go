package quant

import (
	"fmt"

	"github.com/bitlane/bitlane/dtype"
)

// RTN quantizes a float weight on load, round to nearest, symmetric, without
// calibration. The zero points are implied: 2^(Bits−1).
//
// Parity mode (Accurate false) computes what vLLM's on-the-fly RTN computes
// (its first version, PR 18768), bit for bit: every operation is rounded to
// the type of the weight. For each group of Group consecutive elements of a row
//
//	m     = max|w|
//	scale = (m·2) / (2^Bits − 1)                        two roundings
//	q     = rint(clamp(w/scale, −2^(Bits−1), 2^(Bits−1)−1))   ties to even
//
// with a true division, as on a CPU (PyTorch's CUDA kernels multiply by the
// reciprocal of 2^Bits−1, so that a scale may differ there by one ulp). The
// scales are stored in the type of the weight. A group of zeros gets scale 0
// and q = 0, the code 2^(Bits−1). Where the scale of a group that is not zero
// underflows to 0, its elements go to the ends of the range, as upstream. A
// scale that is not finite is ErrRange: in float16 that happens from m = 32768
// (m·2 overflows).
//
// Accurate mode works in float64 on the exact values of the weights, keeps
// float32 scales, takes 2 to 8 bits and lets the last group of a row be
// shorter. See accurateGroup for its choice of scale; the squared error of each
// group is never above that of parity mode.
type RTN struct {
	Bits     int  // 4 or 8; with Accurate 2..8
	Group    int  // elements of a row under one scale, or -1 for the whole row
	Accurate bool // better scales in float32 instead of upstream's numbers
}

// Quantize quantizes the tensor data, [n, k] row-major little-endian in t,
// into dst, whose memory is reused. name is the tensor's, for errors; after an
// error the contents of dst are unspecified. It runs on the calling goroutine
// only; different dst may be filled at the same time.
//
// Errors: ErrUnsupported for bits or group sizes that the mode has not, or a k
// that parity mode cannot cut into whole groups; ErrShape for data of another
// size; ErrRange, naming row and group, for a scale that is not finite, be it
// from a NaN or an infinity in the weight or from overflow.
func (r RTN) Quantize(dst *Weight, name string, t dtype.DType, n, k int, data []byte) error {
	if err := r.check(name, k); err != nil {
		return err
	}
	if !t.Valid() {
		return Errorf(ErrDType, name, "element type", "float32, float16 or bfloat16", "%v", t)
	}
	if n < 1 || n > MaxDim || k < 1 || k > MaxDim {
		return Errorf(ErrShape, name, "shape", "1..2^30 each", "[%d, %d]", n, k)
	}
	size := t.Size()
	if want := int64(n) * int64(k); want > int64(len(data))/int64(size) || want*int64(size) != int64(len(data)) {
		return Errorf(ErrShape, name, "data", fmt.Sprintf("[%d, %d] elements of %v", n, k, t), "%d bytes", len(data))
	}
	groups, err := UniformGroups(k, r.Group)
	if err != nil {
		return err
	}
	form := Form{N: n, K: k, Bits: r.Bits, Scales: t, Groups: groups}
	if r.Accurate {
		form.Scales = dtype.F32
	}
	if err := dst.Reset(form); err != nil {
		return err
	}
	group := groups.Size()
	row := make([]float32, k)
	codes := make([]uint8, k)
	for i := range n {
		dtype.Decode(t, row, data[i*k*size:])
		for g, at := 0, 0; at < k; g, at = g+1, at+group {
			end := min(at+group, k)
			w, c := row[at:end], codes[at:end]
			m := maxAbs(w)
			scale := rtnScale(t, m, r.Bits)
			if r.Accurate {
				scale = accurateGroup(c, w, m, scale, r.Bits)
			} else {
				parityGroup(t, c, w, scale, r.Bits)
			}
			if scale-scale != 0 {
				return r.notFinite(name, t, i, g, m, scale)
			}
			dst.SetScale(i, g, scale)
		}
		dst.PackRow(i, codes)
	}
	return nil
}

func (r RTN) check(name string, k int) error {
	switch {
	case r.Accurate && (r.Bits < 2 || r.Bits > 8):
		return Errorf(ErrUnsupported, name, "RTN bits", "2..8", "%d", r.Bits)
	case !r.Accurate && r.Bits != 4 && r.Bits != 8:
		return Errorf(ErrUnsupported, name, "RTN bits", "4 or 8 (accurate RTN has 2..8)", "%d", r.Bits)
	case r.Group != -1 && r.Group < 1:
		return Errorf(ErrUnsupported, name, "RTN group size", "-1 or at least 1", "%d", r.Group)
	case !r.Accurate && r.Group != -1 && k%r.Group != 0:
		return Errorf(ErrUnsupported, name, "RTN group size",
			fmt.Sprintf("a divisor of K=%d: groups do not cross rows (accurate RTN lets the last one be shorter)", k), "%d", r.Group)
	}
	return nil
}

func (r RTN) notFinite(name string, t dtype.DType, row, g int, m, scale float32) error {
	field := fmt.Sprintf("RTN scale of row %d, group %d", row, g)
	if m-m != 0 {
		return Errorf(ErrRange, name, field, "finite weights", "%v", scale)
	}
	return Errorf(ErrRange, name, field,
		fmt.Sprintf("a finite number: twice the largest magnitude %v overflows %v (accurate RTN computes in float32 and above)", m, t), "%v", scale)
}

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
