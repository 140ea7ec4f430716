package rows

import (
	"slices"
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/quant"
)

// step is how many values fast paths take at a time, and the unit of padding.
const step = 8

// Plan prepares the rows of one layer. It is immutable and may be used by
// several goroutines at once, each with its own Dst and scratch.
type Plan struct {
	form  Form
	group []int32 // of each segment in Act; nil but for Int8Group

	fast    bool // with assembly
	wide    bool // with kernels of 512 bits
	gathers bool // and gathers of as many
	asItIs  bool // without any change of place
	spans   []span
	places  []int32 // of each value of a row, in x; nil: values are put in their places before they are quantized
	runs    []asm.Run
	kron    *kron // fast: the transform; nil: none
}

// New returns the plan of a form, which must not change afterwards, or an
// ErrShape, ErrDType or ErrUnsupported for one that no row can have.
func New(f Form) (*Plan, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	f.Segments = slices.Clone(f.Segments)
	p := &Plan{form: f}
	if f.Recipe.Kind == quant.Int8Group {
		bounds := f.Act.Bounds(nil)
		g := int32(0)
		for _, s := range f.Segments {
			for bounds[g+1] <= s.Lo {
				g++
			}
			p.group = append(p.group, g)
		}
	}
	if p.fast = f.ISA.isFast(); p.fast {
		p.wide = f.ISA == AVX512 && hasAVX512()
		p.gathers = p.wide && f.Gathers
		p.spans = f.spans()
		p.asItIs = f.asItIs(p.spans)
		p.runs = p.cutRuns()
		if p.gathers && f.Order != nil && !f.Values.exact() && p.group == nil && f.Transform == nil {
			p.places = f.places(p.spans)
		}
		if f.Transform != nil {
			p.kron = newKron(f.ISA, f.Transform)
		}
	}
	return p, nil
}

// cutRuns returns the segments in steps; those of an activation group begin
// with the steps of all of it. Rows without groups whose sides nobody wants
// are one run.
func (p *Plan) cutRuns() (runs []asm.Run) {
	f := &p.form
	if p.group == nil && f.Values == Int16 {
		return []asm.Run{{Steps: uint32(f.Width / step)}}
	}
	first := 0
	for i, s := range f.Segments {
		steps := uint32(f.after(i)-int(s.At)) / step
		runs = append(runs, asm.Run{Steps: steps})
		if p.group != nil {
			if p.group[i] != p.group[first] {
				first = i
			}
			runs[first].Group += steps
		}
	}
	return runs
}

// Bytes returns the bytes of memory that the plan holds beyond its form.
func (p *Plan) Bytes() int {
	n := len(p.form.Segments)*12 + len(p.group)*4 + len(p.spans)*12 + len(p.runs)*8 + len(p.places)*4
	if p.kron != nil {
		n += len(p.kron.p2) * 4
	}
	return n
}

// Same reports whether both plans prepare the same rows, bit for bit, so that
// the rows of one can be used for the other.
func (p *Plan) Same(q *Plan) bool {
	f, g := &p.form, &q.form
	return f.Recipe == g.Recipe && f.X == g.X && f.K == g.K && f.Width == g.Width && f.Values == g.Values && f.Swapped == g.Swapped &&
		f.Zeros == g.Zeros && f.Zero == g.Zero && slices.Equal(f.Segments, g.Segments) &&
		slices.Equal(f.Order, g.Order) && f.Transform.Equal(g.Transform) && slices.Equal(p.group, q.group)
}

// Scales returns the length of Dst.Scales.
func (p *Plan) Scales() int {
	switch p.form.Recipe.Kind {
	case quant.Exact:
		return 0
	case quant.Int8Group:
		return len(p.form.Segments)
	}
	return 1
}

// Scratch returns the bytes of scratch that Row needs.
func (p *Plan) Scratch() int {
	f := &p.form
	l, r := 0, 0
	if f.Transform != nil {
		l, r = f.Transform.L, f.Transform.R
	}
	return Scratch(f.K, f.Width, len(f.Segments), f.Act.Count(), l, r)
}

// Row prepares the row x, K values of Form.X without alignment, and returns
// its zero point. All of dst is written. scratch is Scratch bytes, aligned to
// 64. It allocates nothing.
func (p *Plan) Row(dst Dst, x, scratch []byte) (zero int32) {
	if p.fast {
		return p.fastRow(dst, x, scratch)
	}
	return p.plainRow(dst, x, scratch)
}

// CodesScratch returns the bytes of scratch that Codes needs.
func (p *Plan) CodesScratch() int {
	f := &p.form
	return align(f.Width*f.Values.Size()) + 2*align(len(f.Segments)*4) + align(p.Scratch())
}

// Codes prepares a row as Row does and returns it as quant.Recipe.QuantizeRow
// would: codes [K] in the order of x, one scale for each group of Form.Act.
// scratch is CodesScratch bytes, aligned to 64. The recipe is not Exact. It
// allocates nothing.
func (p *Plan) Codes(codes []int8, scales []float32, x, scratch []byte) (zero int32) {
	f := &p.form
	var dst Dst
	dst.Values, scratch = cut(scratch, f.Width*f.Values.Size())
	side, scratch := cut(scratch, len(f.Segments)*4)
	dst.Side = view[int32](side, len(f.Segments))
	found, scratch := cut(scratch, len(f.Segments)*4)
	dst.Scales = view[float32](found, p.Scales())
	zero = p.Row(dst, x, scratch)
	for i, s := range f.Segments {
		n := int(s.Hi - s.Lo)
		for j := range n {
			k := in(f.Order, int(s.Lo)+j)
			if f.Values == Int8 {
				codes[k] = int8(dst.Values[int(s.At)+j])
			} else {
				codes[k] = int8(int32(view[int16](dst.Values[2*int(s.At):], n)[j]) + zero)
			}
		}
		if p.group != nil {
			scales[p.group[i]] = dst.Scales[i]
		}
	}
	if p.group == nil {
		scales[0] = dst.Scales[0]
	}
	return zero
}

// after returns where segment i with its padding ends.
func (f *Form) after(i int) int {
	if i+1 < len(f.Segments) {
		return int(f.Segments[i+1].At)
	}
	return f.Width
}

func align(bytes int) int { return (bytes + 63) &^ 63 }

// cut divides b behind its first n bytes; the rest begins at a multiple of 64.
func cut(b []byte, n int) (first, rest []byte) { return b[:n:n], b[align(n):] }

// view is n values at the start of b, which is aligned for them.
func view[T int8 | uint8 | int16 | uint16 | int32 | float32](b []byte, n int) []T {
	var t T
	b = b[:n*int(unsafe.Sizeof(t))]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}
