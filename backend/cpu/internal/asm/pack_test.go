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
