package ptx

import (
	"encoding/binary"
	"sync"
)

// Where the state spaces lie. Offsets never start at zero, so that a forgotten
// base is out of bounds, and generic addresses of shared and local memory lie in
// windows where no device memory is.
const (
	paramBase    = 0x160
	sharedBase   = 0x400
	localBase    = 0x400
	globalBase   = 0x20_0000_0000
	localWindow  = 0x7d00_0000_0000
	sharedWindow = 0x7e00_0000_0000
	windowSize   = 1 << 32
)

// The state of a byte of memory.
const (
	byteUndef   = 0
	byteDefined = 1
	bytePending = 2 // the destination of a cp.async that nobody has waited for

	defined4 = 0x01010101
	defined8 = 0x0101010101010101
)

// A region is one allocation, one block's shared memory or one warp's local
// memory. mu guards everything of a region that several blocks can reach.
type region struct {
	space    space
	base     uint64
	data     []byte
	state    []byte // one of the byte states per byte
	readOnly bool
	tracked  bool // accesses are checked for races

	mu    sync.Mutex
	pages []*shadowPage
	lists [][]access // of cells with several accesses
	syncs map[int]*syncVar
	gen   uint64 // launch that pages and syncs belong to
}

// begin forgets accesses of earlier launches: launches are ordered.
func (r *region) begin(gen uint64) {
	if r.gen == gen {
		return
	}
	r.gen = gen
	r.syncs = nil
	if r.pages == nil {
		r.pages = make([]*shadowPage, (len(r.data)+pageBytes-1)/pageBytes)
		return
	}
	for _, p := range r.pages {
		if p != nil {
			p.clean = false
		}
	}
}

// value reads size bytes and gives the bits that are undefined; pending is set
// if any byte waits for a cp.async.
func (r *region) value(off, size int) (v, undef uint64, pending bool) {
	switch size {
	case 4:
		v = uint64(binary.LittleEndian.Uint32(r.data[off:]))
		if binary.LittleEndian.Uint32(r.state[off:]) == defined4 {
			return v, 0, false
		}
	case 8:
		v = binary.LittleEndian.Uint64(r.data[off:])
		if binary.LittleEndian.Uint64(r.state[off:]) == defined8 {
			return v, 0, false
		}
	default:
		v = getLE(r.data[off : off+size])
	}
	for i, s := range r.state[off : off+size] {
		switch s {
		case byteUndef:
			undef |= 0xff << (8 * i)
		case bytePending:
			pending = true
		}
	}
	return v, undef, pending
}

// set writes size bytes; a byte with an undefined bit is undefined.
func (r *region) set(off, size int, v, undef uint64) {
	switch {
	case size == 4 && undef == 0:
		binary.LittleEndian.PutUint32(r.data[off:], uint32(v))
		binary.LittleEndian.PutUint32(r.state[off:], defined4)
		return
	case size == 8 && undef == 0:
		binary.LittleEndian.PutUint64(r.data[off:], v)
		binary.LittleEndian.PutUint64(r.state[off:], defined8)
		return
	}
	putLE(r.data[off:off+size], v)
	for i := range size {
		s := byte(byteDefined)
		if undef>>(8*i)&0xff != 0 {
			s = byteUndef
		}
		r.state[off+i] = s
	}
}

// pendingIn says whether a byte waits for a cp.async.
func (r *region) pendingIn(off, size int) bool {
	for _, s := range r.state[off : off+size] {
		if s == bytePending {
			return true
		}
	}
	return false
}

// lock takes the region for the rest of the instruction, if others share it.
func (w *warp) lock(r *region) {
	if r == w.locked || r.space != global {
		return
	}
	w.unlock()
	r.mu.Lock()
	w.locked = r
}

func (w *warp) unlock() {
	if w.locked != nil {
		w.locked.mu.Unlock()
		w.locked = nil
	}
}

// locate finds the bytes of an access, checks bounds, alignment and lifetime,
// and locks their region.
func (w *warp) locate(in *inst, sp space, addr uint64, size, lane int) (*region, int) {
	if sp == generic {
		switch {
		case addr-sharedWindow < windowSize:
			sp, addr = shared, addr-sharedWindow
		case addr-localWindow < windowSize:
			sp, addr = local, addr-localWindow
		default:
			sp = global
		}
	}
	var r *region
	switch sp {
	case shared:
		r = &w.blk.shared
	case local:
		r = &w.local[lane]
	default:
		r = w.last
		if r == nil || addr-r.base >= uint64(len(r.data)) {
			r = w.blk.run.m.find(addr)
		}
		if r == nil {
			f := w.faultAt(Bounds, in, lane, sp, addr, size)
			f.Kind, f.Detail = w.blk.run.m.explain(addr)
			panic(f)
		}
		w.last = r
	}
	off := addr - r.base
	if off >= uint64(len(r.data)) || uint64(len(r.data))-off < uint64(size) {
		f := w.faultAt(Bounds, in, lane, sp, addr, size)
		f.Detail = "outside " + sizeText(len(r.data)) + " that start at 0x" + hex(r.base)
		panic(f)
	}
	if addr&uint64(size-1) != 0 {
		panic(w.faultAt(Misaligned, in, lane, sp, addr, size))
	}
	w.lock(r)
	return r, int(off)
}
