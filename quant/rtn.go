package quant

import (
	"fmt"

	"github.com/bitlane/bitlane/dtype"
)

// RTN quantizes a float weight, round to nearest, without calibration: on load,
// and for `bitlane quantize`.
//
// Parity mode (Accurate false) computes what others compute, bit for bit: every
// operation is rounded to the type of the weight, with a true division, as on a
// CPU (PyTorch's CUDA kernels multiply by the reciprocal of 2^Bits−1, so that a
// scale may differ there by one ulp). Symmetric it is vLLM's on-the-fly RTN (its
// first version, PR 18768), which has 4 and 8 bits; the other widths follow the
// same formula. For each group of Group consecutive elements of a row
//
//	m     = max|w|
//	scale = (m·2) / (2^Bits − 1)                        two roundings
//	q     = rint(clamp(w/scale, −2^(Bits−1), 2^(Bits−1)−1))   ties to even
//	zero  = 2^(Bits−1), implied
//
// A group of zeros gets scale 0 and q = 0, the code 2^(Bits−1). Where the scale of
// a group that is not zero underflows to 0, its elements go to the ends of the
// range, as upstream.
//
// Asymmetric it is compressed-tensors' (calculate_qparams and quantize):
//
//	lo, hi = min(0, min w), max(0, max w)
//	scale  = (hi − lo) / (2^Bits − 1)                   two roundings
//	zp     = rint(clamp(−2^(Bits−1) − lo/scale, −2^(Bits−1), 2^(Bits−1)−1))
//	q      = rint(clamp(w/scale + zp, −2^(Bits−1), 2^(Bits−1)−1))
//	zero   = zp + 2^(Bits−1), explicit
//
// where a scale of 0 becomes the machine epsilon of the type, after zp is computed;
// zp is 0 in a group of zeros (upstream casts 0/0 to an integer).
//
// Parity mode stores scales in the type of the weight. A scale that is not finite
// is ErrRange: in float16 that happens from m = 32768 (m·2 overflows).
//
// Accurate mode works in float64 on the exact values of the weights and searches
// each group for the scale, and where Asymmetric the zero point, of the least
// squared error: some extremes may be clipped to buy finer steps for the rest. See
// search. The squared error of a group is never above that of parity mode, but for
// the rounding of the scale. It keeps float32 scales unless Scales says otherwise,
// and lets the last group of a row be shorter.
type RTN struct {
	Bits       int         // 2..8
	Group      int         // elements of a row under one scale, or -1 for the whole row
	Accurate   bool        // better scales in float64 instead of upstream's numbers
	Asymmetric bool        // explicit zero points, 0..2^Bits−1
	LeastZero  int         // of Accurate and Asymmetric: zero points are not below it, 0 or 1
	Scales     dtype.DType // of Accurate: the type that scales are stored in; Invalid: float32
}

// Form returns the form of the weight that r makes of the tensor called name, [n, k]
// in t.
//
// Errors: ErrUnsupported for bits, group sizes or types that the mode has not, or a
// k that parity mode cannot cut into whole groups; ErrDType and ErrShape for t, n
// and k that no weight has.
func (r RTN) Form(name string, t dtype.DType, n, k int) (Form, error) {
	if err := r.check(name, k); err != nil {
		return Form{}, err
	}
	if !t.Valid() {
		return Form{}, Errorf(ErrDType, name, "element type", "float32, float16 or bfloat16", "%v", t)
	}
	if n < 1 || n > MaxDim || k < 1 || k > MaxDim {
		return Form{}, Errorf(ErrShape, name, "shape", "1..2^30 each", "[%d, %d]", n, k)
	}
	groups, err := UniformGroups(k, r.Group)
	if err != nil {
		return Form{}, err
	}
	scales := t
	if r.Accurate {
		if scales = r.Scales; scales == dtype.Invalid {
			scales = dtype.F32
		}
	}
	return Form{N: n, K: k, Bits: r.Bits, Scales: scales, Zeros: r.Asymmetric, Groups: groups}, nil
}

// Quantize quantizes the tensor data, [n, k] row-major little-endian in t,
// into dst, whose memory is reused. name is the tensor's, for errors; after an
// error the contents of dst are unspecified. It runs on the calling goroutine
// only; different dst may be filled at the same time.
//
// Errors: those of Form; ErrShape for data of another size; ErrRange, naming row
// and group, for a scale that is not finite, be it from a NaN or an infinity in
// the weight or from overflow.
func (r RTN) Quantize(dst *Weight, name string, t dtype.DType, n, k int, data []byte) error {
	if dst == nil {
		return missing("weight")
	}
	form, err := r.Form(name, t, n, k)
	if err != nil {
		return err
	}
	size := t.Size()
	if want := int64(n) * int64(k); want > int64(len(data))/int64(size) || want*int64(size) != int64(len(data)) {
		return Errorf(ErrShape, name, "data", fmt.Sprintf("[%d, %d] elements of %v", n, k, t), "%d bytes", len(data))
	}
	if err := dst.Reset(form); err != nil {
		return err
	}
	return r.QuantizeRows(dst, name, t, 0, data)
}

// QuantizeRows quantizes data, whole rows in t, into the rows of dst from first on.
// dst has the form that Form returns. Rows that do not overlap may be quantized at
// the same time; every row is the same however they are cut. The errors are
// Quantize's.
func (r RTN) QuantizeRows(dst *Weight, name string, t dtype.DType, first int, data []byte) error {
	k, pitch := dst.K(), dst.K()*t.Size()
	if pitch == 0 || dst.Bits() != r.Bits || dst.Symmetric() == r.Asymmetric {
		return Errorf(ErrShape, name, "form", "that of RTN.Form", "another")
	}
	rows := len(data) / pitch
	if len(data)%pitch != 0 || first < 0 || rows > dst.N()-first {
		return Errorf(ErrShape, name, "rows", fmt.Sprintf("whole rows of %d bytes among %d", pitch, dst.N()), "%d bytes from row %d", len(data), first)
	}
	group := dst.Groups().Size()
	row := make([]float32, k)
	codes := make([]uint8, k)
	for i := first; i < first+rows; i++ {
		dtype.Decode(t, row, data[(i-first)*pitch:])
		zeros := dst.ZeroRow(i)
		for g, at := 0, 0; at < k; g, at = g+1, at+group {
			end := min(at+group, k)
			w, c := row[at:end], codes[at:end]
			scale, zero := r.quantizeGroup(t, dst.ScaleType(), c, w)
			if scale-scale != 0 {
				return r.notFinite(name, t, dst.ScaleType(), i, g, maxAbs(w), scale)
			}
			dst.SetScale(i, g, scale)
			if zeros != nil {
				zeros[g] = int16(zero)
			}
		}
		dst.PackRow(i, codes)
	}
	return nil
}

// quantizeGroup writes the codes of w and returns the scale and zero point that go
// with them.
func (r RTN) quantizeGroup(t, stored dtype.DType, codes []uint8, w []float32) (scale float32, zero int) {
	zero = 1 << r.Bits >> 1
	if r.Asymmetric {
		scale, zero = asymmetricScale(t, w, r.Bits)
	} else {
		scale = rtnScale(t, maxAbs(w), r.Bits)
	}
	switch {
	case r.Accurate:
		s := search{bits: r.Bits, asymmetric: r.Asymmetric, leastZero: r.LeastZero, stored: stored}
		return s.group(codes, w, scale, zero)
	case r.Asymmetric:
		asymmetricGroup(t, codes, w, scale, zero, r.Bits)
	default:
		parityGroup(t, codes, w, scale, r.Bits)
	}
	return scale, zero
}

func (r RTN) check(name string, k int) error {
	switch {
	case r.Bits < 2 || r.Bits > 8:
		return Errorf(ErrUnsupported, name, "RTN bits", "2..8", "%d", r.Bits)
	case r.Group != -1 && r.Group < 1:
		return Errorf(ErrUnsupported, name, "RTN group size", "-1 or at least 1", "%d", r.Group)
	case !r.Accurate && r.Group != -1 && k%r.Group != 0:
		return Errorf(ErrUnsupported, name, "RTN group size",
			fmt.Sprintf("a divisor of K=%d: groups do not cross rows (accurate RTN lets the last one be shorter)", k), "%d", r.Group)
	case r.LeastZero != 0 && (r.LeastZero != 1 || !r.Accurate || !r.Asymmetric):
		return Errorf(ErrUnsupported, name, "RTN least zero point", "0, or 1 in accurate asymmetric RTN", "%d", r.LeastZero)
	case r.Scales != dtype.Invalid && (!r.Scales.Valid() || !r.Accurate):
		return Errorf(ErrUnsupported, name, "RTN scale type", "float32, float16 or bfloat16 in accurate RTN, none in parity mode", "%v", r.Scales)
	}
	return nil
}

func (r RTN) notFinite(name string, t, stored dtype.DType, row, g int, m, scale float32) error {
	field := fmt.Sprintf("RTN scale of row %d, group %d", row, g)
	if m-m != 0 {
		return Errorf(ErrRange, name, field, "finite weights", "%v", scale)
	}
	if r.Accurate {
		return Errorf(ErrRange, name, field, fmt.Sprintf("a finite number: the scale of weights up to %v overflows %v", m, stored), "%v", scale)
	}
	return Errorf(ErrRange, name, field,
		fmt.Sprintf("a finite number: twice the largest magnitude %v overflows %v (accurate RTN computes in float32 and above)", m, t), "%v", scale)
}
