package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
)

// fault is a mistake that a kernel can make.
type fault int

const (
	none fault = iota
	saturates
	forgetsCorrection
	forgetsHigh // half of a pair
	endsTooEarly
	roundsTwice
	ignoresScalesOfX
	clearsSums
	takesNextScale
	skipsLastLine
	writesOn
	changesInput
	faults
)

// portable returns a kernel in Go, with a fault, that reads what Call points to.
func (k kernel) portable(f fault) func(*Call) {
	return func(c *Call) {
		for r := range k.rows {
			for column := range k.columns {
				k.portableSum(c, f, r, column)
			}
		}
		switch {
		case f == writesOn && c.YStep > uintptr(4*k.columns):
			*load[float32](unsafe.Pointer(c.Y), 4*k.columns) = 1
		case f == changesInput:
			*load[uint8](c.X, 0) ^= 1
		}
	}
}

// load is what lies offset bytes behind p.
func load[T any](p unsafe.Pointer, offset int) *T { return (*T)(unsafe.Add(p, offset)) }

func (k kernel) portableSum(c *Call, f fault, r, column int) {
	w := unsafe.Add(c.W, column/16*int(c.WStep))
	x := unsafe.Add(c.X, r*int(c.XStep))
	side, sx := unsafe.Add(c.Side, r*int(c.SStep)), unsafe.Add(c.Scales, r*int(c.SStep))
	y := load[float32](unsafe.Pointer(c.Y), r*int(c.YStep)+4*column)
	if f == clearsSums {
		*y = 0
	}
	scaleSize, zeroSize, line := c.Form.ScaleBytes(), c.Form.ZeroBytesOf(), k.lineFeatures()
	a := int32(0)
	for i := range int(c.Count) {
		b := load[Block](unsafe.Pointer(c.Blocks), 8*i)
		lines := int(b.Lines)
		codes := unsafe.Add(w, 64*(scaleSize+zeroSize))
		for s := range int(b.Segments) {
			at := 16*s + column%16
			zeros := unsafe.Add(w, 64*scaleSize+at*zeroSize)
			z := 0
			switch zero := c.Form & zeroMask; {
			case zero == ZeroConstant && k.wide:
				z = int(c.Zero)
			case zero == ZeroBytes && k.wide:
				z = int(*load[uint8](zeros, 0))
			case zero == ZeroConstant && f != forgetsCorrection:
				a += *load[int32](side, 0)
			case zero == ZeroBytes && f != forgetsCorrection:
				a += int32(*load[uint8](zeros, 0)) * int32(*load[int16](side, 0))
			case zero == ZeroPairs && f != forgetsCorrection:
				a += int32(*load[int16](zeros, 0)) * int32(*load[int16](side, 0))
				if f != forgetsHigh {
					a += int32(*load[int16](zeros, 2)) * int32(*load[int16](side, 2))
				}
			}
			for j := range lines {
				for t := range line {
					u := int(*load[uint8](codes, k.lineBytes()*j+column%16*4+t%4))
					if k.apart && k.wide {
						u, z = int(*load[int16](codes, 128*j+column%16*4+t/2*64+t%2*2)), 0
					} else if k.apart {
						u = int(*load[uint8](codes, k.lineBytes()*j+column%16*4+t%4+64*(t/4)))
					} else if k.bits == 4 {
						u = u >> (t / 4 * 4) & 15
					}
					var q int
					if k.wide {
						q = int(*load[int16](x, 2*(j*line+t)))
					} else {
						q = int(*load[int8](x, j*line+t))
					}
					if v := q * (u - z); f == skipsLastLine && j == lines-1 {
						continue
					} else if f == saturates {
						a = int32(max(-1<<15, min(1<<15-1, int(a)+v)))
					} else {
						a += int32(v)
					}
				}
			}
			if b.Ends>>s&1 == 1 || f == endsTooEarly {
				if f == takesNextScale && s < 3 {
					at += 16
				}
				k.portableEnd(c, f, y, float32(a), scaleAt(c.Form, w, at), sx)
				a = 0
			}
			codes, x = unsafe.Add(codes, k.lineBytes()*lines), unsafe.Add(x, lines*line*k.elementBytes())
			side, sx = unsafe.Add(side, 4), unsafe.Add(sx, 4)
		}
		w = codes
	}
}

func (k kernel) portableEnd(c *Call, f fault, y *float32, v, scale float32, sx unsafe.Pointer) {
	switch {
	case c.Scales != nil && f != ignoresScalesOfX:
		if f == roundsTwice {
			*y += float32(float32(v*scale) * *load[float32](sx, 0))
			return
		}
		*y = dtype.FMA(float32(v*scale), *load[float32](sx, 0), *y)
	case f == roundsTwice:
		*y += float32(v * scale)
	default:
		*y = dtype.FMA(v, scale, *y)
	}
}

// scaleAt is the weight scale i of the block at p.
func scaleAt(form Form, p unsafe.Pointer, i int) float32 {
	switch form & scaleMask {
	case ScalesF16:
		return dtype.F16ToF32(*load[uint16](p, 2*i))
	case ScalesBF16:
		return dtype.BF16ToF32(*load[uint16](p, 2*i))
	}
	return math.Float32frombits(*load[uint32](p, 4*i))
}

// harnessKernels are of every kind that the harness makes problems for. A kernel of
// one row that writes on would meet the guard page.
func harnessKernels() []kernel {
	return []kernel{
		{bits: 4, rows: 2, columns: 16}, {bits: 4, rows: 3, columns: 32},
		{bits: 8, rows: 2, columns: 16}, {bits: 4, rows: 2, columns: 32, apart: true},
		{bits: 8, rows: 2, columns: 16, wide: true}, {bits: 8, rows: 2, columns: 16, wide: true, apart: true},
	}
}

// larger is of which k takes a part.
func (k kernel) larger() kernel {
	k.rows, k.columns = k.rows+1, 32
	return k
}

// A kernel that reads the memory as the layout says agrees with the model, which
// knows no layout.
func TestHarness(t *testing.T) {
	rng, m, cases := rand.New(rand.NewPCG(8, 9)), newMemory(t), 200
	if testing.Short() { // it is Go alone
		cases = 50
	}
	for _, k := range harnessKernels() {
		k.run = k.portable(none)
		for range cases {
			p := randomProblem(rng, k.larger())
			m.run(rng, p, p.anyPart(rng, k))
		}
	}
}

// The harness sees every fault in each kind of kernel that can have it.
func TestHarnessSeesFaults(t *testing.T) {
	for f := none + 1; f < faults; f++ {
		for i, k := range harnessKernels() {
			if k.wide && (f == forgetsCorrection || f == forgetsHigh) {
				continue // it has none
			}
			t.Run(fmt.Sprint(f, "/", i), func(t *testing.T) {
				rng, spy := rand.New(rand.NewPCG(8, 9)), &spy{TB: t}
				k.run = k.portable(f)
				m := newMemory(spy)
				for range 100 {
					p := randomProblem(rng, k.larger())
					if spy.sees(func() { m.run(rng, p, p.anyPart(rng, k)) }) {
						return
					}
				}
				t.Errorf("fault %d in kernel %d went unseen", f, i)
			})
		}
	}
}

// spy is a test that may fail.
type spy struct{ testing.TB }

type failed struct{}

func (s *spy) Errorf(string, ...any) {}
func (s *spy) FailNow()              { panic(failed{}) }
func (s *spy) Fatalf(string, ...any) { panic(failed{}) }

// sees says whether f fails the test.
func (s *spy) sees(f func()) (seen bool) {
	defer func() {
		if v := recover(); v != nil {
			require.Equal(s.TB, failed{}, v)
			seen = true
		}
	}()
	f()
	return false
}
