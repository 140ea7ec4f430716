package quant

import (
	"encoding/binary"
	"fmt"
)

// Axis is one of the two dimensions of a weight.
type Axis uint8

// The axes of W[N,K].
const (
	AxisN Axis = iota // output features: rows of W, "column parallel"
	AxisK             // input features: columns of W, "row parallel"
)

// String returns "N" or "K".
func (a Axis) String() string {
	switch a {
	case AxisN:
		return "N"
	case AxisK:
		return "K"
	}
	return fmt.Sprintf("Axis(%d)", uint8(a))
}

// Shard returns the part of l that is number rank of size nearly equal ones
// along axis, as Share has them. Nothing needs to be divisible; no more than size = N or K parts
// are possible. A rank or size out of range is ErrShape. See Select for what a
// part is.
func (l *Linear) Shard(axis Axis, rank, size int) (*Linear, error) {
	dim := l.Weight.N()
	if axis == AxisK {
		dim = l.Weight.K()
	}
	if size < 1 || size > dim {
		return nil, Errorf(ErrShape, l.Name, "number of parts along "+axis.String(), "1.."+itoa(dim), "%d", size)
	}
	if rank < 0 || rank >= size {
		return nil, Errorf(ErrShape, l.Name, "rank", "0.."+itoa(size-1), "%d", rank)
	}
	return l.Select(axis, Share(dim, rank, size))
}

// Select returns the part of l that has the given rows (AxisN) or features
// (AxisK), in the given order: the heads of one rank, one expert, q out of a
// fused q/k/v. Ranges may overlap (replicated kv heads), start inside a group
// and have any length. l itself may be a part. The part is a copy and shares
// only what is immutable, the group map and the transform.
//
// Along N every part computes its outputs as the whole does. Along K the
// outputs of the parts are to be summed, and:
//
//   - The bias goes with feature 0 of the whole layer: a part that has this
//     feature keeps the bias, every other part has none. So of the parts that
//     Shard makes rank 0 adds it, once.
//   - Groups that the part does not use are dropped with their scales and
//     zeros; the others keep their order.
//   - A recipe with one scale for a whole row quantizes the features of each
//     part by a scale of their own. The sum then differs from what the whole
//     layer gives, within the error of quantization (for the better); for Exact
//     it is the same but for rounding. Int8Group is the same too where every
//     cut falls between two of its groups.
//   - A transform mixes all of K: such a layer is refused with ErrUnsupported,
//     unless the part has all of K after all.
//
// Ranges outside of l are ErrShape.
func (l *Linear) Select(axis Axis, ranges ...Range) (*Linear, error) {
	f := l.Weight.Form()
	p := &Linear{
		Name: l.Name, Recipe: l.Recipe, Transform: l.Transform, DType: l.DType,
		NRanges: l.NRanges, KRanges: l.KRanges,
	}
	p.FullN, p.FullK = l.Full()
	var err error
	switch axis {
	case AxisN:
		if err = checkSelection(ranges, f.N); err == nil {
			p.NRanges = part(l.NRanges, ranges, f.N, p.FullN)
			err = l.selectRows(p, ranges)
		}
	case AxisK:
		whole := part(nil, ranges, f.K, f.K) == nil
		if err = checkSelection(ranges, f.K); err == nil && l.Transform != nil && !whole {
			err = Errorf(ErrUnsupported, l.Name, "selection along K", "one along N: the "+itoa(l.Transform.L)+" x "+itoa(l.Transform.R)+
				" transform mixes all features", "%d of %d features", TotalLen(ranges), f.K)
		}
		if err == nil {
			p.KRanges = part(l.KRanges, ranges, f.K, p.FullK)
			err = l.selectFeatures(p, ranges)
		}
	default:
		err = Errorf(ErrUnsupported, l.Name, "axis", "N or K", "%v", axis)
	}
	if err != nil {
		return nil, named(err, l.Name)
	}
	return p, nil
}

// checkSelection also bounds the total, which overlaps could make anything.
func checkSelection(ranges []Range, limit int) error {
	if err := CheckRanges(ranges, limit); err != nil {
		return err
	}
	total := 0
	for _, r := range ranges {
		if total += r.Len(); total > MaxDim {
			return Errorf(ErrShape, "", "selection", "at most 2^30 in all", "more in %d ranges", len(ranges))
		}
	}
	return nil
}

func (l *Linear) selectRows(p *Linear, ranges []Range) error {
	w, f := &l.Weight, l.Weight.form
	f.N = TotalLen(ranges)
	if err := p.Weight.Reset(f); err != nil {
		return err
	}
	if l.HasBias() {
		p.ResizeBias(f.N)
	}
	groups := f.Groups.Count()
	scaleRow := groups * f.Scales.Size()
	at := 0
	for _, r := range ranges {
		copy(p.Weight.data[at*w.stride:], w.data[r.Start*w.stride:r.End*w.stride])
		copy(p.Weight.scales[at*scaleRow:], w.scales[r.Start*scaleRow:r.End*scaleRow])
		if f.Zeros {
			copy(p.Weight.zeros[at*groups:], w.zeros[r.Start*groups:r.End*groups])
		}
		if l.HasBias() {
			copy(p.Bias[at:], l.Bias[r.Start:r.End])
		}
		at += r.Len()
	}
	return nil
}

func (l *Linear) selectFeatures(p *Linear, ranges []Range) error {
	f := l.Weight.form
	f.K = TotalLen(ranges)
	bits := f.Bits
	var old []int32
	if f.Plain.Valid() {
		bits = 8 * f.Plain.Size()
	} else {
		var err error
		if f.Groups, old, err = f.Groups.Select(ranges); err != nil {
			return err
		}
	}
	if err := p.Weight.Reset(f); err != nil {
		return err
	}
	for n := range f.N {
		dst, src := p.Weight.Row(n), l.Weight.Row(n)
		at := 0
		for _, r := range ranges {
			copyBits(dst, at*bits, src, r.Start*bits, r.Len()*bits)
			at += r.Len()
		}
		l.selectGroups(&p.Weight, n, old)
	}
	if l.HasBias() && p.hasFeature0() {
		p.Bias = append(p.Bias, l.Bias...)
	}
	return nil
}

// selectGroups copies the scales and zeros of the groups old of row n.
func (l *Linear) selectGroups(dst *Weight, n int, old []int32) {
	if len(old) == 0 {
		return
	}
	size := dst.form.Scales.Size()
	ds, ss := dst.ScaleRow(n), l.Weight.ScaleRow(n)
	dz, sz := dst.ZeroRow(n), l.Weight.ZeroRow(n)
	for to, from := range old {
		copy(ds[to*size:(to+1)*size], ss[int(from)*size:])
		if dz != nil {
			dz[to] = sz[from]
		}
	}
}

// hasFeature0 reports whether l has feature 0 of the whole layer.
func (l *Linear) hasFeature0() bool {
	for _, r := range l.KRanges {
		if r.Start == 0 {
			return true
		}
	}
	return l.KRanges == nil
}

// copyBits copies n bits of src from bit srcBit on to dst from bit dstBit on.
// Those of dst are zero before. Where it is not whole bytes to whole bytes,
// both slices are a multiple of 8 bytes long.
func copyBits(dst []byte, dstBit int, src []byte, srcBit, n int) {
	if dstBit%8 == 0 && srcBit%8 == 0 {
		bytes := n / 8
		copy(dst[dstBit/8:], src[srcBit/8:srcBit/8+bytes])
		dstBit, srcBit, n = dstBit+8*bytes, srcBit+8*bytes, n%8
	}
	if off := srcBit % 64; off != 0 && dstBit%64 == 0 && n >= 64 {
		d, s := dst[dstBit/8:], src[srcBit/64*8:]
		lo := binary.LittleEndian.Uint64(s)
		for ; n >= 64; n -= 64 {
			hi := binary.LittleEndian.Uint64(s[8:])
			binary.LittleEndian.PutUint64(d, lo>>off|hi<<(64-off))
			d, s, lo = d[8:], s[8:], hi
			dstBit, srcBit = dstBit+64, srcBit+64
		}
	}
	for n > 0 {
		take := min(n, 64-dstBit%64)
		word := dst[dstBit/64*8:]
		v := binary.LittleEndian.Uint64(word) | loadBits(src, srcBit, take)<<(dstBit%64)
		binary.LittleEndian.PutUint64(word, v)
		dstBit, srcBit, n = dstBit+take, srcBit+take, n-take
	}
}

// loadBits returns n ≤ 64 bits of src from bit on.
func loadBits(src []byte, bit, n int) uint64 {
	word, off := src[bit/64*8:], bit%64
	v := binary.LittleEndian.Uint64(word) >> off
	if off+n > 64 {
		v |= binary.LittleEndian.Uint64(word[8:]) << (64 - off)
	}
	return v & (^uint64(0) >> (64 - n))
}
