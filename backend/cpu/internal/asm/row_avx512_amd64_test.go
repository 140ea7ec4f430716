package asm

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
)

// The tier AVX512 has these kernels of its own.
func init() {
	rowTiers = append(rowTiers, rowTier{
		needs:  needsAVX512,
		divide: RowDivideAVX512, divideRound: RowDivideRoundAVX512, asym: RowAsymAVX512, narrow: true, ordered: true, groups: RowGroupsAVX512, flat: RowFlatAVX2,
		widen: RowWidenAVX2, ends: RowEndsAVX2, round: RowRoundAVX2, words: RowWordsAVX2,
		gather16: RowGather16AVX2, gather32: RowGather32AVX512, product: RowProductAVX2,
	})
}

func TestRowGather16Of512Bits(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		t.Skip("the processor lacks AVX-512")
	}
	testGather(t, 2, 2, RowGather16AVX512)
}

// divided compares the codes of x by factor with those of true division.
func divided(t *testing.T, of dtype.DType, x []float32, factor float32, round bool, kernel func(*Row)) {
	t.Helper()
	raw, codes := make([]byte, of.Size()*len(x)), make([]int8, len(x))
	dtype.Encode(of, raw, x)
	side, run := make([]int32, 1), Run{Steps: uint32(len(x) / rowStepValues)}
	element := map[dtype.DType]Element{dtype.F32: ElementF32, dtype.F16: ElementF16, dtype.BF16: ElementBF16}[of]
	kernel(&Row{X: unsafe.Pointer(&raw[0]), Codes: &codes[0], Runs: &run, Count: 1, Side: &side[0], Type: element, Factor: factor})
	for i, v := range x {
		q := v / factor
		if round {
			q = of.Round(q)
		}
		if want := saturate(math.RoundToEven(float64(q)), -128, 127); codes[i] != want {
			t.Fatalf("%v: %v/%v (%#x/%#x) becomes %d, want %d", of, v, factor, math.Float32bits(v), math.Float32bits(factor), codes[i], want)
		}
	}
}

// Next to every tie, x a few patterns around it, by factors of every exponent and any
// significand, the first and last ones among them.
func TestRowDivideNextToTies(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		t.Skip("the processor lacks AVX-512")
	}
	rng := rand.New(rand.NewPCG(41, 42))
	times := 200
	if testing.Short() {
		times = 4
	}
	const around = 8
	x := make([]float32, 0, 257*2*around)
	for exponent := -100; exponent <= 100; exponent++ {
		for i := range times {
			significand := rng.Uint32N(1 << 23)
			switch i % 4 {
			case 0:
				significand >>= rng.IntN(24)
			case 1:
				significand = ^(significand >> rng.IntN(24)) & (1<<23 - 1)
			}
			if exponent == 100 {
				significand = 0
			}
			factor := math.Float32frombits(uint32(exponent+127)<<23 | significand)
			require.True(t, DivideLeast <= factor && factor <= DivideMost)
			x = x[:0]
			for n := -129; n < 128; n++ {
				near := math.Float32bits(float32((float64(n) + .5) * float64(factor)))
				for d := range uint32(2 * around) {
					x = append(x, math.Float32frombits(near+d-around))
				}
			}
			divided(t, dtype.F32, x, factor, false, RowDivideAVX512)
		}
	}
}

// Next to every tie, in groups whose scales have any exponent and significand.
func TestRowGroupsNextToTies(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		t.Skip("the processor lacks AVX-512")
	}
	rng := rand.New(rand.NewPCG(47, 48))
	const around = 4
	times := 50
	if testing.Short() {
		times = 2
	}
	for exponent := -148; exponent < 128; exponent++ {
		for range times {
			top := float32(math.Ldexp(1+rng.Float64(), exponent))
			if top > math.MaxFloat32 {
				top = math.MaxFloat32
			}
			c := quantizeCase{of: dtype.F32, values: []float32{top}}
			scale := top / 127
			for n := -127; n < 127; n++ {
				near := math.Float32bits(float32((float64(n) + .5) * float64(scale)))
				for d := range uint32(2 * around) {
					v := math.Float32frombits(near + d - around)
					c.values = append(c.values, max(-top, min(v, top)))
				}
			}
			for i, v := range c.values { // near 0 a pattern less is NaN
				if v != v {
					c.values[i] = 0
				}
			}
			c.values = append(c.values, make([]float32, 7)...)[:(len(c.values)+7)/8*8]
			wantScale, want := c.ofGroup(0, len(c.values))
			codes, side, got := make([]int8, len(c.values)), make([]int32, 1), make([]float32, 1)
			run := Run{Steps: uint32(len(codes) / rowStepValues), Group: uint32(len(codes) / rowStepValues)}
			RowGroupsAVX512(&Row{X: unsafe.Pointer(&c.values[0]), Codes: &codes[0], Runs: &run, Count: 1, Side: &side[0], Scales: &got[0]})
			require.Equal(t, wantScale, got[0])
			for i, w := range want {
				if codes[i] != saturate(w, -128, 127) {
					t.Fatalf("%v by %v becomes %d, want %v", c.values[i], wantScale, codes[i], w)
				}
			}
		}
	}
}

// Values of every size, by factors at both ends and some between: rests of a division
// that are subnormal, and values that are.
func TestRowDivideOfEverySize(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		t.Skip("the processor lacks AVX-512")
	}
	for _, factor := range []float32{DivideLeast, DivideLeast * 1.9999999, 0x1.3579bep-60, 1 / 127.5, 1, 3, 0x1.fffffep99, DivideMost} {
		most := float32(min(factor*0x1p30, math.MaxFloat32))
		patterns(most, nil, func(x []float32) { divided(t, dtype.F32, x, factor, false, RowDivideAVX512) })
	}
}

// Every value of 16 bits by every significand of a factor of its type.
func TestRowDivideRoundEvery(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		t.Skip("the processor lacks AVX-512")
	}
	rng := rand.New(rand.NewPCG(43, 44))
	for _, e := range []struct {
		dtype.DType
		bits      int // of the significand
		exponents [2]int
	}{{dtype.F16, 10, [2]int{-24, 15}}, {dtype.BF16, 7, [2]int{-100, 99}}} {
		for significand := range 1 << e.bits {
			if testing.Short() && significand%127 > 0 {
				continue
			}
			at := e.exponents[0] + rng.IntN(e.exponents[1]-e.exponents[0]+1)
			factor := e.Round(float32(math.Ldexp(1+math.Ldexp(float64(significand), -e.bits), at)))
			var x []float32
			for b := range uint32(1 << 16) {
				v := map[dtype.DType]func(uint16) float32{dtype.F16: dtype.F16ToF32, dtype.BF16: dtype.BF16ToF32}[e.DType](uint16(b))
				if math.Abs(float64(v)) < 0x1p15*float64(factor) {
					x = append(x, v)
				}
			}
			x = x[:len(x)/rowStepValues*rowStepValues]
			divided(t, e.DType, x, factor, true, RowDivideRoundAVX512)
		}
	}
}

func TestRowTop(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		t.Skip("the processor lacks AVX-512")
	}
	rng, m := rand.New(rand.NewPCG(45, 46)), newMemory(t)
	for _, size := range []int{2, 4} {
		for n := 8; n <= 200; n += 8 {
			for range 100 {
				behind := rng.IntN(2) == 0
				off := 0
				if !behind {
					off = rng.IntN(16)
				}
				x := m.take("x", off+n*size, behind)[off:]
				want := uint32(0)
				for i := range n {
					v := rng.Uint32() >> rng.IntN(4)
					if size == 2 {
						*load[uint16](pointer(x), 2*i) = uint16(v)
						want = max(want, v&0x7fff)
						continue
					}
					*load[uint32](pointer(x), 4*i) = v
					want = max(want, v&0x7fffffff)
				}
				given, top := bytes.Clone(x), uint32(0)
				RowTopAVX512(&x[0], uintptr(n/8), map[int]uintptr{2: uintptr(ElementBF16), 4: uintptr(ElementF32)}[size], &top)
				require.Equal(t, want, top)
				require.Equal(t, given, x)
			}
		}
	}
}
