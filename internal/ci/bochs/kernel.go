package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// kernel is an unpacked Linux kernel. Unpacking it here spares the emulated
// CPU most of its boot.
type kernel struct {
	setup []byte // the setup header, from offset 0x1f1 of the bzImage
	elf   *elf.File
}

// readKernel reads a bzImage; path "" stands for the newest cloud kernel.
func readKernel(path string) (*kernel, error) {
	if path == "" {
		found, _ := filepath.Glob("/boot/vmlinuz-*-cloud-amd64")
		if len(found) == 0 {
			return nil, errors.New("no /boot/vmlinuz-*-cloud-amd64: install the package linux-image-cloud-amd64")
		}
		path = found[len(found)-1]
	}
	image, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	k, err := unpackKernel(image)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// unpackKernel takes a bzImage apart. Fields are those of the kernel's boot
// protocol, version 2.08 and later.
func unpackKernel(image []byte) (*kernel, error) {
	const magic, version, payload = 0x202, 0x206, 0x248
	if len(image) < 0x300 || string(image[magic:magic+4]) != "HdrS" || binary.LittleEndian.Uint16(image[version:]) < 0x208 {
		return nil, errors.New("no bzImage")
	}
	end := magic + int(image[magic-1])
	if end > 0x300 {
		return nil, errors.New("a setup header of unknown size")
	}
	body := image[min((int(image[0x1f1])+1)*512, len(image)):]
	off, n := binary.LittleEndian.Uint32(image[payload:]), binary.LittleEndian.Uint32(image[payload+4:])
	if uint64(off)+uint64(n) > uint64(len(body)) || n < 8 {
		return nil, errors.New("truncated")
	}
	packed := body[off : off+n]
	if !bytes.HasPrefix(packed, lz4Magic) {
		return nil, fmt.Errorf("packed in an unknown way (%x), not with LZ4", packed[:4])
	}
	last := len(packed) - 4 // holds the unpacked size
	plain, err := unpackLZ4(packed[4:last], int(binary.LittleEndian.Uint32(packed[last:])))
	if err != nil {
		return nil, err
	}
	file, err := elf.NewFile(bytes.NewReader(plain))
	if err != nil {
		return nil, err
	}
	return &kernel{setup: image[0x1f1:end], elf: file}, nil
}

// Where things are in the machine's memory. Below 1 MiB only the ROM is used.
const (
	imageStart = 0x100000 // start of the memory image
	zeroPage   = 0x100000 // boot parameters
	lineAt     = 0x101000 // command line
	pageTables = 0x102000 // three pages: 1 GiB, mapped to itself
	stackTop   = 0x106000
)

// load lays out the memory of a machine that is about to enter the kernel in
// 64-bit mode.
func (k *kernel) load(disk []byte, line string, memory int) (*memoryImage, error) {
	const mega = 1 << 20
	low, end := uint64(memory), uint64(0)
	for _, p := range k.elf.Progs {
		if p.Type == elf.PT_LOAD {
			low, end = min(low, p.Paddr), max(end, p.Paddr+p.Memsz)
		}
	}
	at := (end + 2*mega) &^ (mega - 1)
	size := at + uint64(len(disk))
	if low < stackTop || size+64*mega > uint64(memory) {
		return nil, fmt.Errorf("%d MiB of memory are too few for kernel and RAM disk, which end at %d MiB", memory/mega, size/mega)
	}
	m := &memoryImage{bytes: make([]byte, size-imageStart), entry: k.elf.Entry}
	for _, p := range k.elf.Progs {
		if p.Type == elf.PT_LOAD {
			if _, err := p.ReadAt(m.at(p.Paddr, p.Filesz), 0); err != nil {
				return nil, fmt.Errorf("unpacked kernel: %w", err)
			}
		}
	}
	copy(m.at(at, uint64(len(disk))), disk)
	if len(line) >= pageTables-lineAt {
		return nil, errors.New("command line too long")
	}
	copy(m.at(lineAt, uint64(len(line))), line)
	k.parameters(m.at(zeroPage, 0x1000), uint32(at), uint32(len(disk)), uint64(memory))
	mapMemory(m.at(pageTables, 0x3000))
	return m, nil
}

// parameters fills the "zero page" of the boot protocol.
func (k *kernel) parameters(p []byte, disk, diskSize uint32, memory uint64) {
	le := binary.LittleEndian
	copy(p[0x1f1:], k.setup)
	p[0x210] = 0xff // type_of_loader: none that is registered
	p[0x211] |= 1   // loadflags: loaded high
	le.PutUint32(p[0x218:], disk)
	le.PutUint32(p[0x21c:], diskSize)
	le.PutUint32(p[0x228:], lineAt)
	ranges := [][2]uint64{{0, 0x9f000}, {0x100000, memory}}
	p[0x1e8] = byte(len(ranges))
	for i, r := range ranges {
		e := p[0x2d0+20*i:]
		le.PutUint64(e, r[0])
		le.PutUint64(e[8:], r[1]-r[0])
		le.PutUint32(e[16:], 1) // usable
	}
}

// mapMemory fills three pages with the page tables of the first GiB.
func mapMemory(p []byte) {
	const present, large = 3, 0x80
	le := binary.LittleEndian
	le.PutUint64(p, pageTables+0x1000|present)
	le.PutUint64(p[0x1000:], pageTables+0x2000|present)
	for i := range uint64(512) {
		le.PutUint64(p[0x2000+8*i:], i<<21|large|present)
	}
}

// memoryImage is the content of memory from imageStart on.
type memoryImage struct {
	bytes []byte
	entry uint64
}

func (m *memoryImage) at(address, n uint64) []byte {
	return slices.Clip(m.bytes[address-imageStart:][:n])
}
