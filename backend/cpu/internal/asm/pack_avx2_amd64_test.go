package asm

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"
)

func init() {
	packers = append(packers, packer{
		needs:  []cpuid.FeatureID{cpuid.AVX2},
		spread: SpreadAVX2, transpose: TransposeAVX2, sums: PackSumsAVX2,
		lines: []packKernel{{bytes: 4, most: 255, run: PackDwordsAVX2}, {bytes: 8, most: 15, run: PackNibblesAVX2}},
		ordered: []packKernel{
			{bytes: 4, most: 255, ordered: PackOrderedDwordsAVX2}, {bytes: 8, most: 15, ordered: PackOrderedNibblesAVX2},
		},
	})
}

// The generator has these offsets as constants (_gen/call.go).
func TestSpreadOffsets(t *testing.T) {
	var s Spread
	require.Equal(t, []uintptr{0, 16, 32}, []uintptr{unsafe.Offsetof(s.pairs), unsafe.Offsetof(s.factors), unsafe.Offsetof(s.bits)})
}

func TestSpread(t *testing.T) {
	packCases(t, func(k packer, p packTest, behind bool) {
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
