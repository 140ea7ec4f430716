package quant

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/bitlane/bitlane/dtype"
)

// Form is everything about a Weight but its numbers.
type Form struct {
	N, K   int         // output and input features
	Plain  dtype.DType // the element type of a plain weight; Invalid for integer codes
	Bits   int         // 2..8, bits of a code; 0 for a plain weight
	Scales dtype.DType // type of the scales; Invalid for a plain weight
	Zeros  bool        // explicit zero points; otherwise they are 2^(Bits−1)
	Groups Groups      // which scale each feature uses; empty for a plain weight
}

// MaxDim bounds N and K, so that sizes in bits fit an int64 and group indices
// an int32.
const MaxDim = 1 << 30

// Check reports a form that no weight can have.
func (f *Form) Check() error {
	switch {
	case f.N < 1 || f.N > MaxDim:
		return Errorf(ErrShape, "weight", "N", "1..2^30", "%d", f.N)
	case f.K < 1 || f.K > MaxDim:
		return Errorf(ErrShape, "weight", "K", "1..2^30", "%d", f.K)
	case f.Plain != dtype.Invalid && !f.Plain.Valid():
		return Errorf(ErrDType, "weight", "element type", "float32, float16 or bfloat16", "%v", f.Plain)
	case f.Plain.Valid():
		if f.Bits != 0 || f.Scales != dtype.Invalid || f.Zeros || f.Groups.Count() != 0 {
			return Errorf(ErrShape, "weight", "form", "no bits, scales, zeros or groups", "plain %v with some", f.Plain)
		}
	case f.Bits < 2 || f.Bits > 8:
		return Errorf(ErrUnsupported, "weight", "bits", "2..8", "%d", f.Bits)
	case !f.Scales.Valid():
		return Errorf(ErrDType, "weight", "scale type", "float32, float16 or bfloat16", "%v", f.Scales)
	case f.Groups.K() != f.K || f.Groups.Count() < 1:
		return Errorf(ErrShape, "weight", "group map", fmt.Sprintf("%d features", f.K), "%d features in %d groups", f.Groups.K(), f.Groups.Count())
	}
	return nil
}

// Weight is the matrix W[N,K] in canonical form; see the package comment for
// its layout. Its zero value is empty; Reset gives it a form and reuses its
// memory, so that one Weight can hold one layer after another.
//
// A Weight may be read by several goroutines at once; Reset and the setters
// need it alone. Slices that its methods return alias its memory and are valid
// until the next Reset.
type Weight struct {
	form   Form
	stride int // bytes of a row of codes or plain elements
	data   []byte
	scales []byte
	zeros  []int16
}

// maxBytes bounds a weight, far above any layer: absurd sizes are an error
// before they are a panic of the allocator.
const maxBytes = min(1<<40, math.MaxInt)

// Reset gives w the form f, with all codes, elements, scales and zeros zero.
// After an error w is as it was.
func (w *Weight) Reset(f Form) error {
	if err := f.Check(); err != nil {
		return err
	}
	stride := f.K * f.Plain.Size()
	if !f.Plain.Valid() {
		stride = (f.K*f.Bits + 63) / 64 * 8
	}
	perRow := int64(stride) + int64(f.Groups.Count())*8
	if perRow > maxBytes/int64(f.N) {
		return Errorf(ErrShape, "weight", "size", fmt.Sprintf("at most %d bytes", int64(maxBytes)), "%d rows of %d bytes", f.N, perRow)
	}
	w.form, w.stride = f, stride
	groups := f.N * f.Groups.Count()
	w.data = resize(w.data, f.N*stride)
	w.scales = resize(w.scales, groups*f.Scales.Size())
	w.zeros = resize(w.zeros, 0)
	if f.Zeros {
		w.zeros = resize(w.zeros, groups)
	}
	return nil
}

func resize[T byte | int16](b []T, n int) []T {
	if cap(b) < n {
		return make([]T, n)
	}
	b = b[:n]
	clear(b)
	return b
}

// Form returns everything but the numbers.
func (w *Weight) Form() Form { return w.form }

// N returns the output features.
func (w *Weight) N() int { return w.form.N }

// K returns the input features.
func (w *Weight) K() int { return w.form.K }

// Plain returns the element type of a plain weight and true, or false for
// integer codes.
func (w *Weight) Plain() (dtype.DType, bool) { return w.form.Plain, w.form.Plain.Valid() }

// Bits returns the bits of a code, 0 for a plain weight.
func (w *Weight) Bits() int { return w.form.Bits }

// Symmetric reports whether the zero points are implied: 2^(Bits−1) everywhere.
func (w *Weight) Symmetric() bool { return !w.form.Zeros }

// ScaleType returns the type that the scales are stored in.
func (w *Weight) ScaleType() dtype.DType { return w.form.Scales }

// Groups returns the group map.
func (w *Weight) Groups() *Groups { return &w.form.Groups }

// RowStride returns the bytes from one row of codes or elements to the next.
func (w *Weight) RowStride() int { return w.stride }

// Row returns row n as bytes: the dense bit string of codes, or the plain
// elements. Bits beyond K must stay zero.
func (w *Weight) Row(n int) []byte { return w.data[n*w.stride : (n+1)*w.stride : (n+1)*w.stride] }

// Rows returns n rows from first on as Row has them, RowStride bytes each.
func (w *Weight) Rows(first, n int) []byte {
	return w.data[first*w.stride : (first+n)*w.stride : (first+n)*w.stride]
}

// ScaleRow returns the scales of row n, Groups().Count() elements of ScaleType.
func (w *Weight) ScaleRow(n int) []byte {
	b := w.form.Groups.Count() * w.form.Scales.Size()
	return w.scales[n*b : (n+1)*b : (n+1)*b]
}

// ZeroRow returns the explicit zero points of row n, nil when they are implied.
func (w *Weight) ZeroRow(n int) []int16 {
	if !w.form.Zeros {
		return nil
	}
	g := w.form.Groups.Count()
	return w.zeros[n*g : (n+1)*g : (n+1)*g]
}

// Code returns u[n][k].
func (w *Weight) Code(n, k int) int {
	row := w.Row(n)
	bit := k * w.form.Bits
	v := uint(row[bit/8])
	if i := bit/8 + 1; i < len(row) {
		v |= uint(row[i]) << 8
	}
	return int(v >> (bit % 8) & (1<<w.form.Bits - 1))
}

// Zero returns z[n][g], explicit or implied; 0 for a plain weight.
func (w *Weight) Zero(n, g int) int {
	if !w.form.Zeros {
		return 1 << w.form.Bits >> 1
	}
	return int(w.zeros[n*w.form.Groups.Count()+g])
}

// Scale returns s[n][g], widened exactly. A plain weight has no scales.
func (w *Weight) Scale(n, g int) float32 {
	return w.form.Scales.At(w.scales, n*w.form.Groups.Count()+g)
}

// Value returns W[n][k] as the formula has it, rounded to float32 once.
func (w *Weight) Value(n, k int) float32 {
	if t, ok := w.Plain(); ok {
		return t.At(w.Row(n), k)
	}
	g := w.form.Groups.Of(k)
	return w.Scale(n, g) * float32(w.Code(n, k)-w.Zero(n, g))
}

// SetScale stores s[n][g], rounded to ScaleType.
func (w *Weight) SetScale(n, g int, s float32) {
	w.form.Scales.Put(w.scales, n*w.form.Groups.Count()+g, s)
}

// UnpackRow writes the codes of row n into dst, one byte each; len(dst) = K.
func (w *Weight) UnpackRow(dst []uint8, n int) { Unpack(dst, w.Row(n), w.form.Bits) }

// PackRow stores the codes of row n; len(codes) = K, each below 2^Bits.
func (w *Weight) PackRow(n int, codes []uint8) { Pack(w.Row(n), codes, w.form.Bits) }

// ZeroRange returns the smallest and largest zero point, 0 and 0 for a plain
// weight.
func (w *Weight) ZeroRange() (lo, hi int) {
	if !w.form.Zeros {
		z := w.Zero(0, 0)
		return z, z
	}
	return int(slices.Min(w.zeros)), int(slices.Max(w.zeros))
}

// NonFiniteScale returns the first scale that is NaN or infinite as its row
// and group, or false where all are finite.
func (w *Weight) NonFiniteScale() (n, g int, found bool) {
	size := w.form.Scales.Size()
	groups := w.form.Groups.Count()
	exponent, sign := uint64(0x7f8000007f800000), uint64(0x8000000080000000)
	switch w.form.Scales {
	case dtype.F16:
		exponent, sign = 0x7c007c007c007c00, 0x8000800080008000
	case dtype.BF16:
		exponent, sign = 0x7f807f807f807f80, 0x8000800080008000
	}
	// The exponent of such a scale is all ones: adding one to it carries into the sign.
	carries := func(v uint64) uint64 { return (v&exponent + (sign - exponent)) & sign }
	at := 0
	for ; at+8 <= len(w.scales) && carries(binary.LittleEndian.Uint64(w.scales[at:])) == 0; at += 8 {
	}
	for ; at < len(w.scales); at += size {
		var one [8]byte
		copy(one[:], w.scales[at:at+size])
		if carries(binary.LittleEndian.Uint64(one[:])) != 0 {
			return at / size / groups, at / size % groups, true
		}
	}
	return 0, 0, false
}

// ScaleRange returns the smallest magnitude of a scale that is not 0, and the
// largest, 0 and 0 where there is none; false where a scale is NaN or infinite. A
// plain weight has no scales.
func (w *Weight) ScaleRange() (least, most float32, finite bool) {
	// The bits of a magnitude, as an integer, are in the order of magnitudes.
	lo, hi := uint32(math.MaxUint32), uint32(0)
	one := func(magnitude uint32) {
		lo, hi = min(lo, magnitude-1), max(hi, magnitude) // 0 - 1 is the largest
	}
	shift, infinity := 16, uint32(0x7f80)
	switch w.form.Scales {
	case dtype.F32:
		shift, infinity = 0, 0x7f800000
		for at := 0; at < len(w.scales); at += 4 {
			one(binary.LittleEndian.Uint32(w.scales[at:]) & 0x7fffffff)
		}
	case dtype.BF16, dtype.F16:
		for at := 0; at < len(w.scales); at += 2 {
			one(uint32(binary.LittleEndian.Uint16(w.scales[at:]) & 0x7fff))
		}
	}
	half := w.form.Scales == dtype.F16
	if half {
		infinity = 0x7c00
	}
	if hi == 0 || hi >= infinity {
		return 0, 0, hi == 0
	}
	if half {
		return dtype.F16ToF32(uint16(lo + 1)), dtype.F16ToF32(uint16(hi)), true
	}
	return math.Float32frombits((lo + 1) << shift), math.Float32frombits(hi << shift), true
}

// Bytes returns the memory that codes or elements, scales and zeros take.
func (w *Weight) Bytes() int64 {
	return int64(len(w.data)) + int64(len(w.scales)) + 2*int64(len(w.zeros))
}
