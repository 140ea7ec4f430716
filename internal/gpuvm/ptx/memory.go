package ptx

import (
	"fmt"
	"sort"
	"strconv"
)

// Alloc gives a new region of device memory, aligned to 256 bytes and to no
// more, with a gap of at least 64 KiB on both sides. Its bytes are undefined and
// hold garbage. Addresses are never used again.
func (m *Machine) Alloc(bytes int) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bytes <= 0 {
		return 0, fmt.Errorf("ptx: cannot allocate %d bytes", bytes)
	}
	if lim := m.cfg.MemoryLimit; lim > 0 && m.used+int64(bytes) > lim {
		return 0, fmt.Errorf("ptx: %w: %d bytes wanted, %d of %d in use", ErrOutOfMemory, bytes, m.used, lim)
	}
	r := m.newRegion(bytes)
	return r.base, nil
}

// newRegion places a region behind the last one.
func (m *Machine) newRegion(bytes int) *region {
	gap := 64<<10 + m.rng.next()%1024*256
	base := (m.top + gap + 255) &^ 255
	if base&511 == 0 {
		base += 256
	}
	m.top = base + uint64(bytes)
	m.used += int64(bytes)
	r := &region{space: global, base: base, data: make([]byte, bytes), state: make([]byte, bytes), tracked: !m.cfg.Checks.NoRaces}
	garbage(r.data, m.rng.next())
	m.regions = append(m.regions, r)
	return r
}

// garbage fills memory with bytes that make odd numbers of any type.
func garbage(b []byte, seed uint64) {
	g := rng(seed)
	for i := range b {
		if i&7 == 0 {
			seed = g.next() | 0x7c007c0000000000
		}
		b[i] = byte(seed >> (8 * (i & 7)))
	}
}

// Free ends the life of a region that Alloc gave.
func (m *Machine) Free(addr uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := sort.Search(len(m.regions), func(i int) bool { return m.regions[i].base >= addr })
	if i == len(m.regions) || m.regions[i].base != addr || m.regions[i].readOnly {
		return fmt.Errorf("ptx: free of 0x%x: %w", addr, ErrAddress)
	}
	n := len(m.regions[i].data)
	m.used -= int64(n)
	m.regions = append(m.regions[:i], m.regions[i+1:]...)
	m.freed = append(m.freed, span{addr, uint64(n)})
	return nil
}

type span struct{ base, size uint64 }

// Used gives the bytes that are allocated.
func (m *Machine) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// hostSpan finds n bytes for the host.
func (m *Machine) hostSpan(what string, addr uint64, n int) (*region, int, error) {
	r := m.find(addr)
	if n == 0 && r == nil {
		return &region{}, 0, nil
	}
	if r == nil || n < 0 || uint64(len(r.data))-(addr-r.base) < uint64(n) {
		return nil, 0, fmt.Errorf("ptx: %s of %d bytes at 0x%x: %w", what, n, addr, ErrAddress)
	}
	return r, int(addr - r.base), nil
}

// Write copies from the host; the bytes are defined afterwards.
func (m *Machine) Write(addr uint64, src []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, off, err := m.hostSpan("write", addr, len(src))
	if err != nil {
		return err
	}
	copy(r.data[off:], src)
	fill(r.state[off:off+len(src)], byteDefined)
	return nil
}

// Read copies to the host, undefined bytes too: see Undefined.
func (m *Machine) Read(dst []byte, addr uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, off, err := m.hostSpan("read", addr, len(dst))
	if err != nil {
		return err
	}
	copy(dst, r.data[off:])
	return nil
}

// Undefined gives the offset of the first of n bytes that nobody has written, or
// -1 if all are defined.
func (m *Machine) Undefined(addr uint64, n int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, off, err := m.hostSpan("look", addr, n)
	if err != nil {
		return 0, err
	}
	for i, s := range r.state[off : off+n] {
		if s != byteDefined {
			return i, nil
		}
	}
	return -1, nil
}

// Fill sets n bytes to a value; they are defined afterwards.
func (m *Machine) Fill(addr uint64, n int, value byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, off, err := m.hostSpan("fill", addr, n)
	if err != nil {
		return err
	}
	fill(r.data[off:off+n], value)
	fill(r.state[off:off+n], byteDefined)
	return nil
}

// Copy moves n bytes within device memory, undefined ones as undefined.
func (m *Machine) Copy(dst, src uint64, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, so, err := m.hostSpan("copy", src, n)
	if err != nil {
		return err
	}
	d, do, err := m.hostSpan("copy", dst, n)
	if err != nil {
		return err
	}
	copy(d.data[do:do+n], s.data[so:so+n])
	copy(d.state[do:do+n], s.state[so:so+n])
	return nil
}

// Poison makes n bytes undefined again and fills them with garbage: scratch that
// a kernel must not take over from the launch before.
func (m *Machine) Poison(addr uint64, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, off, err := m.hostSpan("poison", addr, n)
	if err != nil {
		return err
	}
	garbage(r.data[off:off+n], m.rng.next())
	fill(r.state[off:off+n], byteUndef)
	return nil
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// find gives the region that holds the address, or nil.
func (m *Machine) find(addr uint64) *region {
	i := sort.Search(len(m.regions), func(i int) bool { return m.regions[i].base > addr }) - 1
	if i < 0 || addr-m.regions[i].base >= uint64(len(m.regions[i].data)) {
		return nil
	}
	return m.regions[i]
}

// explain says what is known of an address that is in no region.
func (m *Machine) explain(addr uint64) (Kind, string) {
	for _, s := range m.freed {
		if addr-s.base < s.size {
			return UseAfterFree, "inside " + sizeText(int(s.size)) + " that were freed"
		}
	}
	i := sort.Search(len(m.regions), func(i int) bool { return m.regions[i].base > addr })
	if i > 0 {
		r := m.regions[i-1]
		if over := addr - r.base - uint64(len(r.data)); over < 64<<10 {
			return Bounds, fmt.Sprintf("%d bytes behind the end of %s that start at 0x%x", over, sizeText(len(r.data)), r.base)
		}
	}
	if i < len(m.regions) {
		if before := m.regions[i].base - addr; before < 64<<10 {
			return Bounds, fmt.Sprintf("%d bytes before 0x%x", before, m.regions[i].base)
		}
	}
	return Bounds, "not an address of device memory"
}

func sizeText(n int) string { return strconv.Itoa(n) + " bytes" }
func hex(v uint64) string   { return strconv.FormatUint(v, 16) }
