//go:build amd64 || arm64

package rows

import (
	"math"
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// The fast functions are the same on both architectures, over the kernels that
// kernels_*.go name. What they need is of amd64: every arm64 has NEON.

// fastValues makes rows of float32 and of codes.
//
//asmcheck:needs AVX2,FMA3,F16C
func (p *Plan) fastValues(dst Dst, x, scratch []byte) int32 {
	if p.form.Values == Float32 {
		p.fastWiden(dst, x, scratch)
		return 0
	}
	return p.fastQuantize(dst, x, scratch)
}

func elementOf(t dtype.DType) asm.Element {
	switch t {
	case dtype.F16:
		return asm.ElementF16
	case dtype.BF16:
		return asm.ElementBF16
	}
	return asm.ElementF32
}

// fastPlaced returns x with its values, of size bytes, where a row has them, and
// what is left of scratch.
//
//asmcheck:needs AVX2,FMA3,F16C
func (p *Plan) fastPlaced(x, scratch []byte, size int) (row, rest []byte) {
	f := &p.form
	x = x[:f.K*size]
	if p.asItIs {
		return x, scratch
	}
	row, rest = cut(scratch, f.Width*size)
	p.fastPlace(row, x, size)
	return row, rest
}

// fastPlace puts the values of x where a row has them.
//
//asmcheck:needs AVX2,FMA3,F16C
func (p *Plan) fastPlace(row, x []byte, size int) {
	if p.asItIs {
		copy(row, x)
		return
	}
	f := &p.form
	clearPadding(row, p.spans, size)
	for _, s := range p.spans {
		to := row[int(s.to)*size:][:int(s.n)*size]
		switch {
		case f.Order == nil:
			copy(to, x[int(s.from)*size:])
		case size == 2:
			rowGather16(&to[0], &x[0], &f.Order[s.from], uintptr(s.n), uintptr(f.K), p.gathers)
		default:
			rowGather32(&to[0], &x[0], &f.Order[s.from], uintptr(s.n), p.gathers)
		}
	}
}

//asmcheck:needs AVX2,FMA3,F16C
func (p *Plan) fastWiden(dst Dst, x, scratch []byte) {
	f := &p.form
	if f.X == dtype.F32 {
		p.fastPlace(dst.Values[:f.Width*4], x[:f.K*4], 4)
		return
	}
	row, _ := p.fastPlaced(x, scratch, 2)
	to := view[float32](dst.Values, f.Width)
	rowWiden(&to[0], &row[0], uintptr(f.Width/step), uintptr(elementOf(f.X)))
}

// fastEnds finds the ends of a row, or, where the recipe needs no more, top alone.
//
//asmcheck:needs AVX2,FMA3,F16C
func (p *Plan) fastEnds(row []byte, t asm.Element) (e ends) {
	steps := uintptr(p.form.Width / step)
	if p.form.Recipe.Kind != quant.Int8TokenAsym {
		if top, found := rowTop(&row[0], steps, uintptr(t), p.wide); found {
			e.top = widened(t, top)
			return e
		}
	}
	var found [2]uint32
	rowEnds(&row[0], steps, uintptr(t), &found)
	e.high, e.low = widened(t, found[0]), widened(t, found[1])
	const sign = 1 << 31
	top := max(math.Float32bits(e.high), math.Float32bits(e.low)&^sign)
	if math.Float32bits(e.low) <= sign { // no value is below 0
		e.low = 0
	}
	e.top = math.Float32frombits(top)
	return e
}

// widened is the value with a pattern of a type.
func widened(t asm.Element, pattern uint32) float32 {
	switch t {
	case asm.ElementF16:
		return dtype.F16ToF32(uint16(pattern))
	case asm.ElementBF16:
		return dtype.BF16ToF32(uint16(pattern))
	}
	return math.Float32frombits(pattern)
}

// byProducts says that kernels of AVX-512 can divide by factor.
func byProducts(factor float32) bool { return asm.DivideLeast <= factor && factor <= asm.DivideMost }

//asmcheck:needs AVX2,FMA3,F16C
func (p *Plan) fastQuantize(dst Dst, x, scratch []byte) (zero int32) {
	f := &p.form
	c := asm.Row{Runs: &p.runs[0], Count: uintptr(len(p.runs)), Type: elementOf(f.X)}
	size := f.X.Size()
	given, whole := x, scratch
	if f.Transform != nil {
		var b []byte
		b, scratch = p.kron.fastApply(f.X, x, scratch)
		x, c.Type, size = b, asm.ElementF32, 4
	}
	var row []byte
	if p.places != nil {
		row, scratch = cut(scratch, f.Width*size)
		clear(row[copy(row, x[:f.K*size]):]) // there is a value K where there is padding
		c.Order = &p.places[0]
	} else {
		row, scratch = p.fastPlaced(x, scratch, size)
	}
	codes, side := dst.Values, dst.Side
	if f.Values == Int16 {
		codes, scratch = cut(scratch, f.Width)
		side = view[int32](scratch, len(f.Segments))
	}
	c.X, c.Codes, c.Side = unsafe.Pointer(&row[0]), &view[int8](codes, f.Width)[0], &side[:len(p.runs)][0]
	c.Times, c.Keep = -f.Zero, math.MaxUint32
	if f.Zeros != asm.ZeroConstant {
		c.Times, c.Keep = -1, math.MaxUint16
	}
	if f.Recipe.Kind == quant.Int8Group {
		c.Scales = &dst.Scales[:len(p.runs)][0]
		rowGroups(&c, p.wide)
	} else {
		e := p.fastEnds(row, c.Type)
		s := f.scaleOf(&e)
		dst.Scales[0], zero = s.scale, s.zero
		if s.empty {
			clear(dst.Values[:f.Width*f.Values.Size()])
			clear(dst.Side)
			return 0
		}
		c.Factor, c.Zero, c.Add = s.factor, zero, uint32(-zero)<<16
		switch {
		case f.Recipe.Kind == quant.Int8TokenAsym:
			rowAsym(&c, p.wide)
		case p.places != nil && !byProducts(s.factor):
			return p.plainRow(dst, given, whole)
		case f.Transform != nil && s.factor > math.MaxFloat32:
			return p.plainRow(dst, given, whole)
		case f.Transform != nil:
			rowFlat(&c)
		case f.Recipe.Kind == quant.Int4TokenAscend && s.factor < 0x1p-126:
			return p.plainRow(dst, given, whole) // a quotient may exceed 7, and the loop clamps at 127
		case f.Recipe.Kind == quant.Int8Token && f.X != dtype.F32:
			rowDivideRound(&c, p.wide)
		default:
			rowDivide(&c, p.wide)
		}
	}
	switch {
	case f.Values == Int16:
		to := view[int16](dst.Values, f.Width)
		rowWords(&to[0], c.Codes, uintptr(f.Width/step), int64(zero))
	case zero != 0:
		clearPadding(dst.Values[:f.Width], p.spans, 1)
	}
	return zero
}
