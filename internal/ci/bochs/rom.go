package main

import "encoding/binary"

// romSize is that of the ROM, which ends at 1 MiB.
const romSize = 1 << 16

// rom is the machine's whole firmware: from reset into the kernel, whose image
// the emulator has put into memory. (Linux needs neither a BIOS nor a boot
// loader.)
func rom(m *memoryImage) []byte {
	const (
		base              = 1<<20 - romSize
		code, table, wide = 0x1000, 0x2000, 0x3000 // offsets in the ROM
	)
	le := binary.LittleEndian
	rom := make([]byte, romSize)
	copy(rom[romSize-16:], []byte{0xea, code & 0xff, code >> 8, 0, base >> 12}) // jmp far base:code

	// Segments: 8 code of 32 bits, 16 code of 64 bits, 24 data; then the operand of lgdt.
	for i, s := range []uint64{0, 0x00cf9b000000ffff, 0x00af9b000000ffff, 0x00cf93000000ffff} {
		le.PutUint64(rom[table+8*i:], s)
	}
	le.PutUint16(rom[table+32:], 31)
	le.PutUint32(rom[table+34:], base+table)

	at := code
	put := func(b ...byte) { at += copy(rom[at:], b) }
	put32 := func(v uint32, b ...byte) {
		put(b...)
		put(byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	put(0xfa, 0xfc)                                                               // cli; cld
	put(0x2e, 0x66, 0x0f, 0x01, 0x16, byte((table+32)&0xff), byte((table+32)>>8)) // lgdt cs:[table+32]
	put(0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0)                           // mov eax, cr0; or al, 1; mov cr0, eax
	put32(uint32(base+at+8), 0x66, 0xea)                                          // jmp far 8:next
	put(8, 0)                                                                     //
	put32(24, 0xb8)                                                               // next: mov eax, 24
	put(0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0x8e, 0xe0, 0x8e, 0xe8)               // mov ds, es, ss, fs, gs, eax
	put32(stackTop, 0xbc)                                                         // mov esp, stackTop
	// Bochs reads a file into host memory in one go, but gives guest memory its
	// host memory in the order of first use: so use it in ascending order.
	put32(imageStart, 0xbe)                                               // mov esi, imageStart
	put(0x8a, 0x06)                                                       // touch: mov al, [esi]
	put32(0x1000, 0x81, 0xc6)                                             // add esi, 4096
	put32(uint32(imageStart+len(m.bytes)), 0x81, 0xfe)                    // cmp esi, end
	put(0x72, 0xf0)                                                       // jb touch
	put(0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0)             // mov eax, cr4; or eax, PAE; mov cr4, eax
	put32(pageTables, 0xb8)                                               // mov eax, pageTables
	put(0x0f, 0x22, 0xd8)                                                 // mov cr3, eax
	put32(0xc0000080, 0xb9)                                               // mov ecx, EFER
	put(0x0f, 0x32, 0x0d, 0x00, 0x01, 0x00, 0x00, 0x0f, 0x30)             // rdmsr; or eax, LME; wrmsr
	put(0x0f, 0x20, 0xc0, 0x0d, 0x00, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0) // mov eax, cr0; or eax, PG; mov cr0, eax
	put32(uint32(base+wide), 0xea)                                        // jmp far 16:wide
	put(16, 0)                                                            //
	at = wide
	put32(zeroPage, 0xbe)                   // mov esi, zeroPage
	put32(uint32(m.entry), 0xb8)            // mov eax, entry
	put(0x31, 0xed, 0x31, 0xff, 0x31, 0xdb) // xor ebp, ebp; xor edi, edi; xor ebx, ebx
	put(0xff, 0xe0)                         // jmp rax
	return rom
}
