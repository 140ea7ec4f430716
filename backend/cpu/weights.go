package cpu

import (
	"encoding/binary"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// weights is a layer's packed weights; its slices are parts of one buffer.
type weights struct {
	n, k   int
	plain  dtype.DType // element type of plain weights; Invalid for codes
	bits   int
	stride int // bytes of a row
	rows   []byte

	groups    int
	scaleType dtype.DType
	scales    []byte
	zeros     []int16 // nil: implied
	implied   int32

	bias     []float32 // nil: none
	segments []goSegment
	block    int  // products that an int32 holds
	perGroup bool // each segment has an activation scale of its own
	lanes    bool // sums over segments use lanes
}

// goSegment is a segment and where its activations stand in a prepared row.
type goSegment struct {
	segment
	at int32
}

// view is n values of type T at the start of b, which is aligned for T.
func view[T int8 | int16 | int32 | float32 | goSegment](b []byte, n int) []T {
	var t T
	b = b[:n*int(unsafe.Sizeof(t))]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// newWeights finds the parts in mem, which holds at.total bytes, and writes the
// segments, which follow from the Spec.
func newWeights(mem []byte, at *layout, s *backend.Spec) *weights {
	w := &weights{n: s.N, k: s.K, plain: s.Plain, bits: s.Bits, stride: rowBytes(s)}
	if !s.Plain.Valid() {
		w.groups, w.scaleType = s.Groups.Count, s.Scales
		w.scales = mem[at.scales:][:s.N*w.groups*s.Scales.Size()]
		w.implied = int32(1) << (s.Bits - 1)
		if !s.Symmetric {
			w.zeros = view[int16](mem[at.zeros:], s.N*w.groups)
		}
		w.block = products(max(1<<s.Bits-1-s.ZeroMin, s.ZeroMax))
		w.perGroup = s.Recipe.Kind == quant.Int8Group
		w.segments = view[goSegment](mem[at.segments:], sizesOf(s).segments)
		w.lanes = inLanes(s, len(w.segments))
		i, place := 0, int32(0)
		for e := range segments(s) {
			w.segments[i] = goSegment{e, e.lo}
			if w.perGroup {
				w.segments[i].at = place
				place += int32(padded(int(e.hi - e.lo)))
			}
			i++
		}
	}
	w.rows = mem[at.rows:][:s.N*w.stride]
	if s.Bias {
		w.bias = view[float32](mem[at.bias:], s.N)
	}
	return w
}

// packRows is the rows of a chunk of packing, after which the context is asked.
const packRows = 64

var _ packable = (*weights)(nil)

func (w *weights) packChunks() int { return up(w.n, packRows) }

func (w *weights) packSpare(order bool) int {
	if !order {
		return 0
	}
	return 2 * w.k
}

func (w *weights) packChunk(chunk int, src *quant.Weight, order []int32, spare []uint8) {
	for n := chunk * packRows; n < min(w.n, (chunk+1)*packRows); n++ {
		w.packRow(n, src, order, spare)
	}
}

// packRow stores row n of src, its codes in the order given. spare is two rows
// of codes; it is used with an order only.
func (w *weights) packRow(n int, src *quant.Weight, order []int32, spare []uint8) {
	dst := w.rows[n*w.stride:][:w.stride]
	if order == nil {
		copy(dst, src.Row(n)[:w.stride])
		return
	}
	codes, sorted := spare[:w.k], spare[w.k:2*w.k]
	unpack(codes, src.Row(n), w.bits)
	for i, k := range order {
		sorted[i] = codes[k]
	}
	quant.Pack(dst, sorted, w.bits)
}

// unpack writes len(dst) codes of a row, eight at a time: halving steps spread
// the codes in a word to its bytes. A row is padded to a multiple of 8 bytes.
func unpack(dst []uint8, row []byte, bits int) {
	if bits == 8 {
		copy(dst, row)
		return
	}
	b := uint(bits)
	ones := uint64(1)<<b - 1
	eight := uint64(1)<<(8*b) - 1
	four := uint64(1)<<(4*b) - 1
	two := (uint64(1)<<(2*b) - 1) * 0x0000000100000001
	one := ones * 0x0001000100010001
	i, at := 0, 0
	for ; i+8 <= len(dst) && at+8 <= len(row); i, at = i+8, at+bits {
		v := binary.LittleEndian.Uint64(row[at:]) & eight
		v = v&four | v>>((4*b)&63)<<32
		v = v&two | v<<((16-2*b)&63)&(two<<16)
		v = v&one | v<<((8-b)&63)&(one<<8)
		binary.LittleEndian.PutUint64(dst[i:], v)
	}
	quant.Unpack(dst[i:], row[at:], bits)
}

func (w *weights) zero(n, group int) int32 {
	if w.zeros == nil {
		return w.implied
	}
	return int32(w.zeros[n*w.groups+group])
}

// tableBits is the largest code for which a table of a segment's weights pays,
// and tableRun the shortest segment.
const (
	tableBits = 4
	tableRun  = 32
)

// floats writes row n as float32 weights into dst [padded(K)], with zeros
// beyond K. codes is scratch of K bytes.
func (w *weights) floats(dst []float32, codes []uint8, n int) {
	clear(dst[w.k:])
	dst = dst[:w.k]
	row := w.rows[n*w.stride:][:w.stride]
	if w.plain.Valid() {
		dtype.Decode(w.plain, dst, row)
		return
	}
	codes = codes[:w.k]
	unpack(codes, row, w.bits)
	scales := w.scales[n*w.groups*w.scaleType.Size():]
	var table [256]float32
	for _, g := range w.segments {
		s := w.scaleType.At(scales, int(g.group))
		zero := w.zero(n, int(g.group))
		to := dst[g.lo:g.hi]
		from := codes[g.lo:g.hi][:len(to)]
		if w.bits <= tableBits && len(to) >= tableRun {
			for u := range 1 << w.bits {
				table[u] = float32(s * float32(int32(u)-zero))
			}
			look(to, from, &table)
			continue
		}
		for i := range to {
			to[i] = float32(s * float32(int32(from[i])-zero))
		}
	}
}

// integers writes row n as codes minus zero points into dst [K] and its scales
// into scales [groups]. codes is scratch of K bytes.
func (w *weights) integers(dst []int32, scales []float32, codes []uint8, n int) {
	codes = codes[:w.k]
	unpack(codes, w.rows[n*w.stride:][:w.stride], w.bits)
	dtype.Decode(w.scaleType, scales, w.scales[n*w.groups*w.scaleType.Size():])
	for _, g := range w.segments {
		zero := w.zero(n, int(g.group))
		to := dst[g.lo:g.hi]
		from := codes[g.lo:g.hi][:len(to)]
		subtract(to, from, zero)
	}
}

// look sets to[i] = table[from[i]]; the lengths are equal.
func look(to []float32, from []uint8, table *[256]float32) {
	i := 0
	for ; i+8 <= len(to) && i+8 <= len(from); i += 8 {
		d, u := (*[8]float32)(to[i:]), (*[8]uint8)(from[i:])
		d[0], d[1], d[2], d[3] = table[u[0]], table[u[1]], table[u[2]], table[u[3]]
		d[4], d[5], d[6], d[7] = table[u[4]], table[u[5]], table[u[6]], table[u[7]]
	}
	for ; i < len(to); i++ {
		to[i] = table[from[i]]
	}
}

// subtract sets to[i] = from[i] − zero; the lengths are equal.
func subtract(to []int32, from []uint8, zero int32) {
	i := 0
	for ; i+8 <= len(to) && i+8 <= len(from); i += 8 {
		d, u := (*[8]int32)(to[i:]), (*[8]uint8)(from[i:])
		d[0], d[1], d[2], d[3] = int32(u[0])-zero, int32(u[1])-zero, int32(u[2])-zero, int32(u[3])-zero
		d[4], d[5], d[6], d[7] = int32(u[4])-zero, int32(u[5])-zero, int32(u[6])-zero, int32(u[7])-zero
	}
	for ; i < len(to); i++ {
		to[i] = int32(from[i]) - zero
	}
}

// combine returns one output before its bias: q is a row's codes minus zero
// point, act its scales, u a row of weights as integers and s its scales. The
// weight's scale comes first: a sum of codes times the scale of a huge x would
// overflow where the product of all three does not.
func (w *weights) combine(q []int16, act []float32, u []int32, s []float32) float32 {
	var y float32
	var in lanes
	for i, g := range w.segments {
		a := float32(float32(dotCodes(q[g.at:][:g.hi-g.lo], u[g.lo:g.hi], w.block)) * s[g.group])
		if w.perGroup {
			a = float32(a * act[i])
		}
		if w.lanes {
			in[i&7] += a
		} else {
			y += a
		}
	}
	if w.lanes {
		y = in.sum()
	}
	if !w.perGroup {
		y = float32(y * act[0])
	}
	return y
}
