package dtype

import (
	"flag"
	"fmt"
	"math"
	"math/big"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var all = flag.Bool("dtype.all", false, "compare all 2^32 float32 values with the oracle (about a minute per core)")

// format describes a 16-bit type as the standard does, for oracles that share
// no arithmetic with the package.
type format struct {
	d        DType
	mantissa uint
	minExp   int    // exponent of the smallest normal
	inf      uint16 // pattern of +Inf
	fromF32  func(float32) uint16
	fromF64  func(float64) uint16
	toF32    func(uint16) float32
}

var formats = []format{
	{F16, 10, -14, 0x7c00, F16FromF32, F16FromF64, F16ToF32},
	{BF16, 7, -126, 0x7f80, BF16FromF32, BF16FromF64, BF16ToF32},
}

// value returns the magnitude of pattern h, without sign. The pattern of
// infinity has the value that the next larger exponent would give it: half
// of the way there from the largest finite number is where rounding overflows.
func (f format) value(h uint16) float64 {
	exp, man := int(h>>f.mantissa), int(h)&(1<<f.mantissa-1)
	if exp == 0 {
		return math.Ldexp(float64(man), f.minExp-int(f.mantissa))
	}
	return math.Ldexp(float64(man+1<<f.mantissa), f.minExp+exp-1-int(f.mantissa))
}

// middle returns the number half way between h and the next pattern; exact.
func (f format) middle(h uint16) float64 { return (f.value(h) + f.value(h+1)) / 2 }

func (f format) isNaN(h uint16) bool { return h&0x7fff > f.inf }

func TestWideningIsExactAndNarrowsBack(t *testing.T) {
	for _, f := range formats {
		for i := range 1 << 16 {
			h := uint16(i)
			v := f.toF32(h)
			msg := func() string { return fmt.Sprintf("%v %04x", f.d, h) }
			bits := func(want, got uint16) {
				if want != got { // a message for each takes most of the time
					require.Failf(t, "wrong pattern", "%s: %04x, want %04x", msg(), got, want)
				}
			}
			switch {
			case f.isNaN(h):
				if !math.IsNaN(float64(v)) || math.Signbit(float64(v)) != (h>>15 == 1) {
					require.Failf(t, "not a NaN of the same sign", "%s: %v", msg(), v)
				}
				quiet := h | 1<<(f.mantissa-1)
				bits(quiet, f.fromF32(v))
				bits(quiet, f.fromF64(float64(v)))
				continue
			case h&0x7fff == f.inf:
				require.True(t, math.IsInf(float64(v), 1-2*int(h>>15)), msg())
			default:
				if want := math.Copysign(f.value(h&0x7fff), float64(1-2*int(h>>15))); float64(v) != want || math.Signbit(float64(v)) != math.Signbit(want) {
					require.Failf(t, "wrong value", "%s: %v, want %v", msg(), v, want)
				}
			}
			bits(h, f.fromF32(v))
			bits(h, f.fromF64(float64(v)))
			if round := f.d.Round(v); math.Float32bits(round) != math.Float32bits(v) {
				require.Failf(t, "wrong rounding", "%s: %v, want %v", msg(), round, v)
			}
			if round := f.d.RoundF64(float64(v)); round != float64(v) {
				require.Failf(t, "wrong rounding of a float64", "%s: %v, want %v", msg(), round, v)
			}
		}
	}
}

func requireBits(t *testing.T, want, got uint16, msg string) {
	t.Helper()
	if want != got {
		require.Failf(t, "wrong pattern", "%s: %04x, want %04x", msg, got, want)
	}
}

// Widening a signalling binary16 makes it quiet, as the F16C instructions do.
func TestWideningMakesNaNQuiet(t *testing.T) {
	for h := uint16(0x7c01); h < 0x7e00; h++ {
		require.NotZero(t, math.Float32bits(F16ToF32(h))&0x00400000)
	}
}

// Every midpoint between neighbours goes to the even one; a value one ulp to
// either side goes to the nearer one. The last midpoint is the threshold of
// overflow, the first one that of underflow.
func TestNarrowingAtEveryMidpoint(t *testing.T) {
	for _, f := range formats {
		for h := uint16(0); h < f.inf; h++ {
			mid := f.middle(h)
			even := h + h&1
			for _, sign := range []float64{1, -1} {
				s := uint16(0)
				if sign < 0 {
					s = 0x8000
				}
				bits := func(want, got uint16, what string) {
					if want != got { // a message for each takes most of the time
						require.Failf(t, "wrong pattern", "%v between %04x and %04x, sign %v, %s: %04x, want %04x", f.d, h, h+1, sign, what, got, want)
					}
				}
				bits(s|even, f.fromF64(sign*mid), "float64")
				bits(s|h, f.fromF64(sign*math.Nextafter(mid, 0)), "one float64 ulp below")
				bits(s|h+1, f.fromF64(sign*math.Nextafter(mid, math.Inf(1))), "one float64 ulp above")

				mid32 := float32(mid)
				if float64(mid32) != mid {
					require.Failf(t, "a midpoint is no float32", "%v between %04x and %04x: %v", f.d, h, h+1, mid)
				}
				bits(s|even, f.fromF32(float32(sign)*mid32), "float32")
				bits(s|h, f.fromF32(float32(sign)*math.Nextafter32(mid32, 0)), "one float32 ulp below")
				bits(s|h+1, f.fromF32(float32(sign)*math.Nextafter32(mid32, float32(math.Inf(1)))), "one float32 ulp above")
			}
		}
	}
}

func TestNarrowingEdges(t *testing.T) {
	inf, negZero := math.Inf(1), math.Copysign(0, -1)
	for _, c := range []struct {
		in        float64
		f16, bf16 uint16
	}{
		{0, 0, 0}, {negZero, 0x8000, 0x8000},
		{inf, 0x7c00, 0x7f80}, {-inf, 0xfc00, 0xff80},
		{math.MaxFloat64, 0x7c00, 0x7f80}, {-math.MaxFloat64, 0xfc00, 0xff80},
		{math.MaxFloat32, 0x7c00, 0x7f80},
		{math.SmallestNonzeroFloat64, 0, 0}, {-math.SmallestNonzeroFloat64, 0x8000, 0x8000},
		{math.SmallestNonzeroFloat32, 0, 0}, {0x1p-1022, 0, 0},
		{65504, 0x7bff, 0x4780}, {65519.99, 0x7bff, 0x4780}, {65520, 0x7c00, 0x4780},
		{0x1p-14, 0x0400, 0x3880}, {0x1p-24, 0x0001, 0x3380}, {0x1p-25, 0, 0x3300}, {0x1.8p-25, 1, 0x3340},
		{1, 0x3c00, 0x3f80}, {-2, 0xc000, 0xc000},
		{1 + 0x1p-11, 0x3c00, 0x3f80}, {1 + 0x1p-11 + 0x1p-52, 0x3c01, 0x3f80},
	} {
		requireBits(t, c.f16, F16FromF64(c.in), fmt.Sprint("float16 ", c.in))
		requireBits(t, c.bf16, BF16FromF64(c.in), fmt.Sprint("bfloat16 ", c.in))
	}
}

func TestNarrowingKeepsThePayloadOfNaN(t *testing.T) {
	for _, c := range []struct {
		in        uint32
		f16, bf16 uint16
	}{
		{0x7fc00000, 0x7e00, 0x7fc0},
		{0xffc00000, 0xfe00, 0xffc0},
		{0x7f800001, 0x7e00, 0x7fc0}, // no payload bit fits: quiet all the same, not infinite
		{0x7faa0000, 0x7f50, 0x7fea},
		{0xff802000, 0xfe01, 0xffc0},
		{0x7fffffff, 0x7fff, 0x7fff},
	} {
		v := math.Float32frombits(c.in)
		msg := fmt.Sprintf("%08x", c.in)
		requireBits(t, c.f16, F16FromF32(v), msg)
		requireBits(t, c.bf16, BF16FromF32(v), msg)
		requireBits(t, c.f16, F16FromF64(float64(v)), msg)
		requireBits(t, c.bf16, BF16FromF64(float64(v)), msg)
	}
}

// A float64 is rounded once. Going through float32 would round these twice,
// to the wrong side.
func TestNarrowingFloat64RoundsOnce(t *testing.T) {
	for _, f := range formats {
		for h := uint16(1); h < f.inf; h += 97 {
			v := math.Nextafter(f.middle(h), math.Inf(1))
			if h&1 == 0 {
				require.NotEqual(t, h+1, f.fromF32(float32(v)), "the example does not tell the two apart")
			}
			requireBits(t, h+1, f.fromF64(v), fmt.Sprintf("%v %v", f.d, v))
		}
	}
	require.Equal(t, float64(float32(0.1)), F32.RoundF64(0.1))
	require.Equal(t, float32(0.1), F32.Round(0.1))
}

// A second oracle, arbitrary precision: math/big rounds to nearest even.
func TestNarrowingAgreesWithBigFloat(t *testing.T) {
	for _, f := range formats {
		for _, v := range sample(20000) {
			x := math.Abs(float64(v))
			if math.IsNaN(x) || math.IsInf(x, 0) || x < math.Ldexp(1, f.minExp) {
				continue
			}
			b := new(big.Float).SetMode(big.ToNearestEven).SetPrec(f.mantissa + 1).SetFloat64(x)
			want, _ := b.Float64()
			got := f.fromF32(float32(x))
			if want > f.d.MaxFinite() {
				requireBits(t, f.inf, got, fmt.Sprint(f.d, x))
			} else if f.value(got) != want {
				require.Failf(t, "differs from math/big", "%v of %v: %v, want %v", f.d, x, f.value(got), want)
			}
		}
	}
}

// narrower walks the float32 in ascending order beside the 16-bit values: the
// nearest one of each follows from comparing with the midpoint above.
func (f format) narrower(from, to uint32, check func(u uint32, want uint16)) {
	start := math.Float32frombits(from)
	h := uint16(0)
	for h < f.inf && f.middle(h) < float64(start) {
		h++
	}
	mid := math.Inf(1)
	if h < f.inf {
		mid = f.middle(h)
	}
	for u := uint64(from); u < uint64(to); u++ {
		v := float64(math.Float32frombits(uint32(u)))
		for v > mid {
			if h++; h < f.inf {
				mid = f.middle(h)
			} else {
				mid = math.Inf(1)
			}
		}
		want := h
		if v == mid && h < f.inf {
			want += h & 1
		}
		check(uint32(u), want)
	}
}

// All positive float32 in runs of neighbours; negative ones must differ in
// the sign bit only. With -dtype.all every pattern there is, NaN too.
func TestNarrowingAgreesWithTheWalk(t *testing.T) {
	const firstNaN, parts = 0x7f800001, 512
	for _, f := range formats {
		var wg sync.WaitGroup
		limit := make(chan struct{}, 4)
		for p := range uint32(parts) {
			from, to := p*(firstNaN/parts), (p+1)*(firstNaN/parts)
			if p == parts-1 {
				to = firstNaN
			} else if !*all {
				to = from + 1024
			}
			if p == parts-1 && !*all {
				from = to - 1024
			}
			wg.Add(1)
			limit <- struct{}{}
			go func() {
				defer func() { <-limit; wg.Done() }()
				bad := 0
				f.narrower(from, to, func(u uint32, want uint16) {
					plus, minus := f.fromF32(math.Float32frombits(u)), f.fromF32(math.Float32frombits(u|1<<31))
					if (plus != want || minus != want|0x8000) && bad < 3 {
						bad++
						t.Errorf("%v of %08x: %04x and %04x, want %04x", f.d, u, plus, minus, want)
					}
				})
			}()
		}
		wg.Wait()
		for u := uint32(firstNaN); *all && u < 1<<31; u++ {
			want := f.inf | 1<<(f.mantissa-1) | uint16(u&0x7fffff>>(23-f.mantissa))
			if got := f.fromF32(math.Float32frombits(u)); got != want {
				require.Failf(t, "wrong NaN", "%v of %08x: %04x, want %04x", f.d, u, got, want)
			}
			if got := f.fromF32(math.Float32frombits(u | 1<<31)); got != want|0x8000 {
				require.Failf(t, "wrong NaN", "%v of %08x: %04x, want %04x", f.d, u|1<<31, got, want|0x8000)
			}
		}
	}
}
