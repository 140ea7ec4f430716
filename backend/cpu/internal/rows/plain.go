package rows

import (
	"encoding/binary"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// plainRow is Row in plain Go.
func (p *Plan) plainRow(dst Dst, x, scratch []byte) (zero int32) {
	f := &p.form
	if f.Values == BFloat16 {
		p.placeHalves(view[uint16](dst.Values, f.Width), x)
		return 0
	}
	b, scratch := cut(scratch, f.K*4)
	wide := view[float32](b, f.K)
	dtype.Decode(f.X, wide, x)
	if f.Recipe.Kind == quant.Exact {
		p.placeFloats(view[float32](dst.Values, f.Width), wide)
		return 0
	}
	b, scratch = cut(scratch, f.K)
	codes := view[int8](b, f.K)
	b, scratch = cut(scratch, f.Act.Count()*4)
	scales := view[float32](b, f.Act.Count())
	if f.Transform == nil {
		zero = f.Recipe.QuantizeRow(f.X, &f.Act, codes, scales, wide)
	} else {
		b, scratch = cut(scratch, f.K*4)
		out, between := view[float32](b, f.K), view[float32](scratch, f.K)
		f.Transform.Apply(f.X, out, wide, between)
		scales[0] = f.Transform.QuantizeRow(codes, out)
	}
	if p.group == nil {
		dst.Scales[0] = scales[0]
	}
	for i, g := range p.group {
		dst.Scales[i] = scales[g]
	}
	if f.Values == Int16 {
		p.placeWords(view[int16](dst.Values, f.Width), codes, int16(zero))
		return zero
	}
	p.placeBytes(view[int8](dst.Values, f.Width), codes)
	for i, s := range f.Segments {
		sum := -int32(s.Hi-s.Lo) * zero
		for _, c := range dst.Values[s.At:][:s.Hi-s.Lo] {
			sum += int32(int8(c))
		}
		dst.Side[i] = f.side(sum, zero)
	}
	return zero
}

// side is the correction of a segment whose codes minus zero point have a sum.
func (f *Form) side(sum, zero int32) int32 {
	switch f.Zeros {
	case asm.ZeroBytes:
		return int32(uint16(-sum))
	case asm.ZeroPairs:
		return int32(uint16(-sum)) | -zero<<16
	}
	return -f.Zero * sum
}

func (p *Plan) placeFloats(row, x []float32) {
	f := &p.form
	for i, s := range f.Segments {
		to := row[s.At:f.after(i)]
		for j := range s.Hi - s.Lo {
			to[j] = x[in(f.Order, int(s.Lo+j))]
		}
		clear(to[s.Hi-s.Lo:])
	}
}

// placeHalves reads x, which has no alignment, byte by byte.
func (p *Plan) placeHalves(row []uint16, x []byte) {
	f := &p.form
	for i, s := range f.Segments {
		to := row[s.At:f.after(i)]
		for j := range s.Hi - s.Lo {
			to[j] = binary.LittleEndian.Uint16(x[2*in(f.Order, int(s.Lo+j)):])
		}
		clear(to[s.Hi-s.Lo:])
	}
	if f.Swapped {
		for i := 0; i < len(row); i += 4 {
			row[i+1], row[i+2] = row[i+2], row[i+1]
		}
	}
}

func (p *Plan) placeBytes(row, codes []int8) {
	f := &p.form
	for i, s := range f.Segments {
		to := row[s.At:f.after(i)]
		for j := range s.Hi - s.Lo {
			to[j] = codes[in(f.Order, int(s.Lo+j))]
		}
		clear(to[s.Hi-s.Lo:])
	}
}

func (p *Plan) placeWords(row []int16, codes []int8, zero int16) {
	f := &p.form
	for i, s := range f.Segments {
		to := row[s.At:f.after(i)]
		for j := range s.Hi - s.Lo {
			to[j] = int16(codes[in(f.Order, int(s.Lo+j))]) - zero
		}
		clear(to[s.Hi-s.Lo:])
	}
}
