package asm

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"
)

// The generator has these offsets as constants (_gen/call.go).
func TestSpreadOffsets(t *testing.T) {
	var s Spread
	require.Equal(t, []uintptr{0, 16, 32}, []uintptr{unsafe.Offsetof(s.pairs), unsafe.Offsetof(s.factors), unsafe.Offsetof(s.bits)})
}

// packTest has memory between guard pages, refilled for each case.
type packTest struct {
	*memory
	*rand.Rand
}

// random is n random bytes, at most most each.
func (p packTest) random(what string, n int, most uint32, behind bool) []byte {
	b := p.take(what, n, behind)
	for i := range b {
		b[i] = byte(p.Uint32N(most + 1))
	}
	return b
}

// packers are what the tests run. A file of tests for each architecture appends to
// it in an init.
var packers []packer

// packer is functions for packing; nil: package cpu does without.
type packer struct {
	needs          []cpuid.FeatureID
	spread         func(dst, src unsafe.Pointer, n uintptr, how *Spread)
	transpose      func(dst, src unsafe.Pointer, stride, n uintptr)
	sums           func(zeros, lines unsafe.Pointer, n, bits uintptr)
	lines, ordered []packKernel
}

// packKernel writes lines, each of so many bytes of a row.
type packKernel struct {
	bytes   int
	most    uint32 // that a byte may be
	run     func(dst unsafe.Pointer, step uintptr, src unsafe.Pointer, stride, n uintptr)
	ordered func(dst unsafe.Pointer, step uintptr, panel unsafe.Pointer, order *int32, n uintptr)
}

func packCases(t *testing.T, each func(k packer, p packTest, behind bool)) {
	for _, k := range packers {
		requireFeatures(t, k.needs)
		p := packTest{newMemory(t), rand.New(rand.NewPCG(21, 22))}
		for i := range 200 {
			each(k, p, i%4 != 0)
		}
	}
}

func TestSpread(t *testing.T) {
	packCases(t, func(k packer, p packTest, behind bool) {
		if k.spread == nil {
			return
		}
		bits, n := 2+p.IntN(6), 1+p.IntN(6)
		src := p.random("src", (4*n-1)*bits+16, 255, behind)
		dst := p.take("dst", 32*n, behind)
		k.spread(pointer(dst), pointer(src), uintptr(n), SpreadOf(bits))
		for i, got := range dst {
			var want byte
			for b := range bits {
				at := i*bits + b
				want |= src[at/8] >> (at % 8) & 1 << b
			}
			require.Equal(t, want, got, "code %d of %d bits", i, bits)
		}
	})
}

func TestTranspose(t *testing.T) {
	packCases(t, func(k packer, p packTest, behind bool) {
		if k.transpose == nil {
			return
		}
		n := 1 + p.IntN(4)
		stride := 32*n + p.IntN(50)
		src := p.random("src", 15*stride+32*n, 255, behind)
		dst := p.take("dst", 32*n*16, behind)
		k.transpose(pointer(dst), pointer(src), uintptr(stride), uintptr(n))
		for i, got := range dst {
			require.Equal(t, src[i%16*stride+i/16], got, "row %d, byte %d", i%16, i/16)
		}
	})
}

// dword is what a line has of the bytes of one column: four, or eight nibbles.
func dword(u []byte) uint32 {
	v := binary.LittleEndian.Uint32(u)
	if len(u) == 8 {
		v |= binary.LittleEndian.Uint32(u[4:]) << 4
	}
	return v
}

// lines runs pack, which writes n lines, and compares them with the bytes of each
// line and column. What is between the lines stays as it is.
func (p packTest) lines(n int, behind bool, pack func(dst []byte, step int), source func(line, column int) []byte) {
	step := 64 * (1 + p.IntN(4))
	dst := p.random("dst", (n-1)*step+64, 255, behind)
	want := bytes.Clone(dst)
	for j := range n {
		for c := range 16 {
			binary.LittleEndian.PutUint32(want[j*step+4*c:], dword(source(j, c)))
		}
	}
	pack(dst, step)
	require.True(p.t, bytes.Equal(want, dst), "%d lines, %d bytes apart", n, step)
}

func TestPackLines(t *testing.T) {
	packCases(t, func(all packer, p packTest, behind bool) {
		n := 1 + p.IntN(4)
		stride := 32*n + p.IntN(50)
		for _, k := range all.lines {
			src := p.random("src", 15*stride+32*n, k.most, behind)
			p.lines(32*n/k.bytes, behind,
				func(dst []byte, step int) {
					k.run(pointer(dst), uintptr(step), pointer(src), uintptr(stride), uintptr(n))
				},
				func(line, column int) []byte { return src[column*stride+line*k.bytes:][:k.bytes] })
		}
	})
}

func TestPackOrdered(t *testing.T) {
	packCases(t, func(all packer, p packTest, behind bool) {
		features, n := 8+p.IntN(100), 1+p.IntN(9)
		for _, k := range all.ordered {
			panel := p.random("src", features*16, k.most, behind)
			order := p.take("order", 4*n*k.bytes, behind)
			for i := range n * k.bytes {
				binary.LittleEndian.PutUint32(order[4*i:], p.Uint32N(uint32(features)))
			}
			p.lines(n, behind,
				func(dst []byte, step int) {
					k.ordered(pointer(dst), uintptr(step), pointer(panel), (*int32)(pointer(order)), uintptr(n))
				},
				func(line, column int) (u []byte) {
					for i := range k.bytes {
						at := binary.LittleEndian.Uint32(order[4*(line*k.bytes+i):])
						u = append(u, panel[at*16+uint32(column)])
					}
					return u
				})
		}
	})
}

func TestPackSums(t *testing.T) {
	packCases(t, func(k packer, p packTest, behind bool) {
		if k.sums == nil {
			return
		}
		for _, bits := range []int{4, 8} {
			n := 1 + p.IntN(16*bits/4) // at most 128 codes
			lines := p.random("src", 64*n, 255, behind)
			if p.IntN(4) == 0 {
				for i := range lines {
					lines[i] = 255
				}
			}
			zeros := p.random("dst", 64, 255, behind)
			want := bytes.Clone(zeros)
			for c := range 16 {
				sum := 0
				for i := range 4 * n {
					u := lines[i/4*64+4*c+i%4]
					if bits == 4 {
						sum += int(u&15) + int(u>>4)
					} else {
						sum += int(u)
					}
				}
				binary.LittleEndian.PutUint16(want[4*c+2:], uint16(sum))
			}
			k.sums(pointer(zeros), pointer(lines), uintptr(n), uintptr(bits))
			require.Equal(t, want, zeros)
		}
	})
}
