package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// program is an ELF file of one segment of that kind: bytes "kernel" at 16 MiB, 4 KiB of memory.
func program(kind elf.ProgType) []byte {
	const text = "kernel"
	var b bytes.Buffer
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Entry: 0x1000123, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	_ = binary.Write(&b, binary.LittleEndian, h)
	_ = binary.Write(&b, binary.LittleEndian, elf.Prog64{Type: uint32(kind), Off: 120, Vaddr: 1 << 40, Paddr: 16 << 20, Filesz: uint64(len(text)), Memsz: 4096})
	b.WriteString(text)
	return b.Bytes()
}

// bzImage is one with a setup part of two sectors.
func bzImage(packed []byte) []byte {
	image := make([]byte, 3*512)
	image[0x1f1] = 2
	copy(image[0x202:], "HdrS\x0f\x02")
	image[0x201] = 0x6a
	binary.LittleEndian.PutUint32(image[0x248:], 16)
	binary.LittleEndian.PutUint32(image[0x24c:], uint32(len(packed)))
	return append(append(image, make([]byte, 16)...), packed...)
}

// packed is LZ4 of literals alone, and the size.
func packed(plain []byte) []byte {
	var block []byte
	n := len(plain) - 15
	block = append(block, 0xf0)
	for ; n >= 255; n -= 255 {
		block = append(block, 255)
	}
	block = append(append(block, byte(n)), plain...)
	out := append([]byte{}, lz4Magic...)
	out = append(out, blocks(block)...)
	return binary.LittleEndian.AppendUint32(out, uint32(len(plain)))
}

func TestLoad(t *testing.T) {
	k, err := unpackKernel(bzImage(packed(program(elf.PT_LOAD))))
	require.NoError(t, err)
	m, err := k.load([]byte("disk"), "line", 128<<20)
	require.NoError(t, err)
	require.EqualValues(t, 0x1000123, m.entry)
	require.Equal(t, "kernel", string(m.at(16<<20, 6)))
	require.Equal(t, "line\x00", string(m.at(lineAt, 5)))
	le := binary.LittleEndian
	p := m.at(zeroPage, 4096)
	require.Equal(t, "HdrS", string(p[0x202:0x206]))
	disk := le.Uint32(p[0x218:])
	require.Greater(t, disk, uint32(16<<20+4096-1))
	require.Equal(t, "disk", string(m.at(uint64(disk), uint64(le.Uint32(p[0x21c:])))))
	require.EqualValues(t, lineAt, le.Uint32(p[0x228:]))
	require.EqualValues(t, 2, p[0x1e8])
	require.EqualValues(t, 127<<20, le.Uint64(p[0x2d0+20+8:]), "bytes of the second range")

	// The page tables map 1 GiB to itself.
	entry := func(page, i uint64) uint64 { return le.Uint64(m.at(page+8*i, 8)) }
	second := entry(pageTables, 0) &^ 0xfff
	third := entry(second, 0) &^ 0xfff
	for i := range uint64(512) {
		require.Equal(t, i<<21|0x83, entry(third, i))
	}

	_, err = k.load(make([]byte, 1<<20), "", 64<<20)
	require.ErrorContains(t, err, "too few")
}

func TestUnpackKernel(t *testing.T) {
	good := bzImage(packed(program(elf.PT_LOAD)))
	for name, change := range map[string]func([]byte) []byte{
		"no bzImage":     func(b []byte) []byte { b[0x202] = 'h'; return b },
		"truncated":      func(b []byte) []byte { return b[:len(b)-1] },
		"unknown size":   func(b []byte) []byte { b[0x201] = 0xff; return b },
		"an unknown way": func(b []byte) []byte { b[3*512+16] = 0x1f; return b },
		"damaged":        func(b []byte) []byte { b[3*512+16+4]++; return b },
		"ELF":            func(b []byte) []byte { return bzImage(packed(make([]byte, 400))) },
		"protocol":       func(b []byte) []byte { b[0x206] = 7; return b },
	} {
		_, err := unpackKernel(change(bytes.Clone(good)))
		require.Error(t, err, name)
	}
	_, err := unpackKernel(nil)
	require.Error(t, err)
	_, err = readKernel("no such kernel")
	require.Error(t, err)
}

// The first instruction jumps to the code, whose jumps lead where their
// segment's first instruction is.
func TestROM(t *testing.T) {
	m := &memoryImage{bytes: make([]byte, 123456), entry: 0x1000123}
	r := rom(m)
	require.Len(t, r, romSize)
	jump := r[romSize-16:]
	require.EqualValues(t, 0xea, jump[0])
	require.EqualValues(t, 1<<20-romSize, 16*int(binary.LittleEndian.Uint16(jump[3:])))
	code := r[binary.LittleEndian.Uint16(jump[1:]):]
	require.Equal(t, []byte{0xfa, 0xfc}, code[:2])
	far := bytes.Index(code, []byte{0x66, 0xea})
	to := int(binary.LittleEndian.Uint32(code[far+2:])) - (1<<20 - romSize)
	require.Equal(t, []byte{0xb8, 24, 0, 0, 0, 0x8e}, r[to:to+6])
	wide := bytes.Index(r[to:], []byte{0x0f, 0, 16, 0}) + to - 2
	to = int(binary.LittleEndian.Uint32(r[wide:])) - (1<<20 - romSize)
	require.EqualValues(t, 0xbe, r[to])
	require.EqualValues(t, zeroPage, binary.LittleEndian.Uint32(r[to+1:]))
	require.EqualValues(t, m.entry, binary.LittleEndian.Uint32(r[to+6:]))
}
