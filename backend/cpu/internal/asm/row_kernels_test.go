package asm

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/guardpage"
)

// rowTiers are what the tests of rows run. A file of tests of each tier, named for
// its architecture, appends to them in an init.
var rowTiers []rowTier

// rowTier is the kernels for rows of one instruction set.
type rowTier struct {
	needs                                   []cpuid.FeatureID
	divide, divideRound, asym, groups, flat func(*Row)
	narrow                                  bool // divideRound does float16 and bfloat16 alone
	ordered                                 bool // divide, divideRound and asym know Row.Order
	widen                                   func(dst *float32, x *byte, steps, element uintptr)
	ends                                    func(x *byte, steps, element uintptr, ends *[2]uint32)
	round                                   func(v *float32, steps, element uintptr)
	words                                   func(dst *int16, codes *int8, steps uintptr, zero int64) // nil: package rows does without
	gather16, gather32                      func(dst, x *byte, order *int32, n uintptr)
	product                                 func(*Product)
}

func eachRowTier(t *testing.T, each func(k rowTier)) {
	for _, k := range rowTiers {
		requireFeatures(t, k.needs)
		each(k)
	}
}

var rowEvery = flag.Uint("row.every", 8191, "how many float32 patterns apart the values of the rounding tests are; 1 takes minutes")

// patterns calls f with slices of 4096 values: float32 patterns from 0 up to
// most and the same with a sign, rowEvery apart, and for each of the values
// near the 9 patterns round it.
func patterns(most float32, near []float32, f func([]float32)) {
	all := make([]float32, 0, 4096)
	add := func(b uint32) {
		all = append(all, math.Float32frombits(b), math.Float32frombits(b|1<<31))
		if len(all) == cap(all) {
			f(all)
			all = all[:0]
		}
	}
	for b := uint64(0); b <= uint64(math.Float32bits(most)); b += uint64(*rowEvery) {
		add(uint32(b))
	}
	for _, v := range near {
		for d := range uint32(9) {
			add(math.Float32bits(v) + d - 4)
		}
	}
	for len(all) > 0 {
		add(0)
	}
}

// halves are the ties of rounding to integers up to n, and the integers.
func halves(n int) (v []float32) {
	for i := 1; i <= 2*n; i++ {
		v = append(v, float32(i)/2)
	}
	return v
}

// quantized runs a kernel over float32 values in one run.
func quantized(kernel func(*Row), x []float32, factor float32, zero int32) []int8 {
	codes := make([]int8, len(x))
	side := make([]int32, 1)
	run := Run{Steps: uint32(len(x) / 8)}
	kernel(&Row{X: unsafe.Pointer(&x[0]), Codes: &codes[0], Runs: &run, Count: 1, Side: &side[0], Factor: factor, Zero: zero, Times: 1, Keep: math.MaxUint32})
	sum := int32(0)
	for _, c := range codes {
		sum += int32(c) - zero
	}
	if side[0] != sum {
		panic(fmt.Sprintf("the sum is %d, want %d", side[0], sum))
	}
	return codes
}

func saturate(v float64, low, high float64) int8 { return int8(max(low, min(v, high))) }

// roundsToFloat16 skips the test on the emulator Bochs 2.7, whose VCVTPS2PH
// rounds ties to odd.
func roundsToFloat16(t *testing.T, k rowTier) {
	v := [8]float32{1 + 0x1p-11}
	k.round(&v[0], 1, uintptr(ElementF16))
	if v[0] != 1 {
		t.Skip("the processor lacks a VCVTPS2PH that rounds ties to even")
	}
}

func TestRowRoundsHalfEven(t *testing.T) {
	eachRowTier(t, func(k rowTier) {
		patterns(300, halves(130), func(x []float32) {
			for i, c := range quantized(k.divide, x, 1, 0) {
				if want := saturate(math.RoundToEven(float64(x[i])), -128, 127); c != want {
					t.Fatalf("%v (%#x) becomes %d, want %d", x[i], math.Float32bits(x[i]), c, want)
				}
			}
		})
	})
}

func TestRowRoundsHalfAway(t *testing.T) {
	eachRowTier(t, func(k rowTier) {
		for _, zero := range []int32{-128, -37, 0, 127} {
			patterns(300, halves(260), func(x []float32) {
				for i, c := range quantized(k.asym, x, 1, zero) {
					if want := saturate(math.Round(float64(x[i]))+float64(zero), -128, 127); c != want {
						t.Fatalf("%v (%#x) becomes %d, want %d, zero point %d", x[i], math.Float32bits(x[i]), c, want, zero)
					}
				}
			})
		}
	})
}

func TestRowRoundsTwice(t *testing.T) {
	eachRowTier(t, func(k rowTier) {
		roundsToFloat16(t, k)
		near := halves(9)
		for _, h := range halves(9) { // ties of float16 next to ties of integers
			for i := range uint32(8) {
				near = append(near, math.Float32frombits(math.Float32bits(h)+(i<<12)-1<<14))
			}
		}
		patterns(math.MaxFloat32, near, func(x []float32) {
			for i, c := range quantized(k.flat, x, 1, 0) {
				if want := saturate(math.RoundToEven(float64(dtype.F16.Round(x[i]))), -8, 7); c != want {
					t.Fatalf("%v (%#x) becomes %d, want %d", x[i], math.Float32bits(x[i]), c, want)
				}
			}
		})
	})
}

// Quotients of one value by many: a tie of the quotient, or of its rounding to
// 16 bits, needs both.
func TestRowDividesTruly(t *testing.T) {
	eachRowTier(t, func(k rowTier) {
		roundsToFloat16(t, k)
		rng := rand.New(rand.NewPCG(1, 2))
		for _, e := range []struct {
			Element
			dtype.DType
		}{{ElementF32, dtype.F32}, {ElementF16, dtype.F16}, {ElementBF16, dtype.BF16}} {
			const n = 4096
			x, raw := make([]float32, n), make([]byte, 4*n)
			codes, side, run := make([]int8, n), make([]int32, 1), Run{Steps: n / 8}
			tries := 300
			if testing.Short() {
				tries = 30
			}
			for range tries {
				scale := e.Round(float32(math.Exp(5*rng.Float64())) - .9)
				for i := range x { // next to a half times the scale
					x[i] = e.Round(scale * (float32(rng.IntN(400)-200) + .5))
				}
				dtype.Encode(e.DType, raw, x)
				for round, kernel := range map[bool]func(*Row){false: k.divide, true: k.divideRound} {
					if round && k.narrow && e.Element == ElementF32 {
						continue
					}
					kernel(&Row{X: unsafe.Pointer(&raw[0]), Codes: &codes[0], Runs: &run, Count: 1, Side: &side[0], Type: e.Element, Factor: scale})
					for i, v := range x {
						q := v / scale
						if round {
							q = e.Round(q)
						}
						if want := saturate(math.RoundToEven(float64(q)), -128, 127); codes[i] != want {
							t.Fatalf("%v: %v/%v becomes %d, want %d", e.DType, v, scale, codes[i], want)
						}
					}
				}
			}
		}
	})
}

func TestRowRound(t *testing.T) {
	eachRowTier(t, func(k rowTier) {
		roundsToFloat16(t, k)
		for element, to := range map[Element]dtype.DType{ElementF16: dtype.F16, ElementBF16: dtype.BF16} {
			var near []float32
			for b := uint32(1); b < 1<<15; b++ { // the values of the type and the ties between them
				if v := map[dtype.DType]float32{dtype.F16: dtype.F16ToF32(uint16(b)), dtype.BF16: dtype.BF16ToF32(uint16(b))}[to]; v == v {
					near = append(near, v, (v+math.Float32frombits(math.Float32bits(v)-1<<12))/2, math.Float32frombits(math.Float32bits(v)+1<<15))
				}
			}
			got := make([]float32, 4096)
			patterns(math.Float32frombits(0x7fffffff), near, func(x []float32) {
				copy(got, x)
				k.round(&got[0], uintptr(len(got)/8), uintptr(element))
				for i, v := range x {
					want := to.Round(v)
					if math.Float32bits(got[i]) != math.Float32bits(want) && !(math.IsNaN(float64(v)) && math.IsNaN(float64(got[i]))) {
						t.Fatalf("%v (%#x) becomes %v in %v, want %v", v, math.Float32bits(v), got[i], to, want)
					}
				}
			})
		}
	})
}

// Every pattern of 16 bits.
func TestRowWiden(t *testing.T) {
	eachRowTier(t, func(k rowTier) {
		for element, of := range map[Element]dtype.DType{ElementF32: dtype.F32, ElementF16: dtype.F16, ElementBF16: dtype.BF16} {
			for _, n := range []int{8, 24, 32, 40, 1 << 16} {
				raw := guardpage.End(t, n*of.Size())
				for i := range n {
					raw[i*of.Size()], raw[i*of.Size()+1] = byte(i), byte(i>>8)
				}
				want := make([]float32, n)
				dtype.Decode(of, want, raw)
				for _, page := range []func(testing.TB, int) []byte{guardpage.End, guardpage.Begin} {
					got := unsafe.Slice((*float32)(unsafe.Pointer(&page(t, 4*n)[0])), n)
					k.widen(&got[0], &raw[0], uintptr(n/8), uintptr(element))
					for i, w := range want {
						if math.Float32bits(w) != math.Float32bits(got[i]) {
							t.Fatalf("%v %#x becomes %#x, want %#x", of, i, math.Float32bits(got[i]), math.Float32bits(w))
						}
					}
				}
			}
		}
	})
}

func TestRowEnds(t *testing.T) {
	eachRowTier(t, func(k rowTier) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, size := range []int{2, 4} {
			for n := 8; n <= 80; n += 8 {
				raw := guardpage.End(t, n*size)
				for range 200 {
					var up int32
					var down uint32
					for i := range n {
						v := rng.Uint32() >> (rng.IntN(2) * 8) // positive alone at times
						if size == 2 {
							v >>= 16
							*load[uint16](unsafe.Pointer(&raw[0]), 2*i) = uint16(v)
							up, down = max(up, int32(int16(v))), max(down, v)
							continue
						}
						*load[uint32](unsafe.Pointer(&raw[0]), 4*i) = v
						up, down = max(up, int32(v)), max(down, v)
					}
					var ends [2]uint32
					k.ends(&raw[0], uintptr(n/8), map[int]uintptr{2: uintptr(ElementBF16), 4: uintptr(ElementF32)}[size], &ends)
					require.Equal(t, [2]uint32{uint32(up), down}, ends)
				}
			}
		}
	})
}

func TestRowWords(t *testing.T) {
	eachRowTier(t, func(k rowTier) {
		if k.words == nil {
			return
		}
		for n := 8; n <= 256; n += 8 {
			codes := guardpage.End(t, n)
			words := unsafe.Slice((*int16)(unsafe.Pointer(&guardpage.End(t, 2*n)[0])), n)
			for zero := int64(-128); zero <= 127; zero += 15 {
				for i := range codes {
					codes[i] = byte(i * 7)
				}
				k.words(&words[0], (*int8)(unsafe.Pointer(&codes[0])), uintptr(n/8), zero)
				for i, c := range codes {
					require.Equal(t, int16(int8(c))-int16(zero), words[i])
				}
			}
		}
	})
}
