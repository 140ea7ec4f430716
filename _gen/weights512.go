package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// weights512 are the weights of lines in registers of AVX-512. A weight is that of
// one feature, or of a pair of them.
type weights512 struct {
	once   func()                                                    // constants, nil for none; exAny points at the Call
	take   func(s int, m operand.Mem)                                // the zero points of segment s; it may use Z3
	weight func(s, i int, w operand.Mem, bytes bool) reg.VecPhysical // weight i of the line at w; weights come in order. Of two tiles s is that and twice the segment
	times  func(x operand.Op, w, sum reg.VecPhysical)                // adds the product with a value of x, or with a pair

	// Of kernels of two tiles x is registers for x, nil where x is read for each, and turns
	// says that segments take turns, a weight of each after the other: what is added to a sum
	// waits for the one before.
	x     []reg.VecPhysical
	turns bool

	// apart says that lines with a zero point for each column, bytes, take other code
	// than those with one for all. Where they do not, bytes has no meaning.
	apart bool
}

// floats are plain weights, times float32.
func (k exactFMA) floats(once func(), weight func(i int, w operand.Mem) reg.VecPhysical) weights512 {
	return weights512{
		once:   once,
		weight: func(_, i int, w operand.Mem, _ bool) reg.VecPhysical { return weight(i, w) },
		times:  k.timesFloat,
	}
}

// timesFloat adds the product of weights and a float of x, in memory or in all lanes.
func (k exactFMA) timesFloat(x operand.Op, w, sum reg.VecPhysical) {
	if _, ok := x.(operand.Mem); ok {
		k.VFMADD231PS_BCST(x, w, sum)
		return
	}
	k.VFMADD231PS(x, w, sum)
}

// either emits body for zero points of bytes and for a constant one, and runs
// the one of form.
func (w weights512) either(k exactFMA, label string, form operand.Op, body func(bytes bool)) {
	if !w.apart {
		body(false)
		return
	}
	k.TESTQ(operand.I32(formBytes), form)
	k.JNE(operand.LabelRef(label + "_bytes"))
	body(false)
	k.JMP(operand.LabelRef(label + "_done"))
	k.Label(label + "_bytes")
	body(true)
	k.Label(label + "_done")
}

// with makes k a kernel of these weights.
func (k *gemvFMA) with(weights weights512) {
	if weights.once != nil {
		k.once = weights.once
	}
	k.aheadIn(exFrame)
	if k.scaled {
		k.block = func() {
			k.ifBytes("zeros", exForm, func() {
				k.LEAQ(indexed(exW, exHead, 1, -4*16), exAny)
				for s := range 4 {
					weights.take(s, at(exAny, 16*s))
				}
			})
		}
		k.fewer = func() { k.LEAQ(at(exW, -4*16), exXBytes) }
		k.begin1 = func() { k.ifBytes("zeros_one", exForm, func() { weights.take(0, at(exXBytes, 0)) }) }
		k.end1 = func() { k.ADDQ(operand.Imm(16), exXBytes) }
	}
	line := func(s int, w operand.Mem, x func(i int) operand.Mem, sum reg.VecPhysical, bytes bool) {
		for i := range k.perLine {
			weights.times(x(i), weights.weight(s, i, w, bytes), sum)
		}
	}
	k.between = true
	k.four = func(x func(s, i int) operand.Mem) {
		weights.either(k.exactFMA, "four_line", exForm, func(bytes bool) {
			for s := range 4 {
				k.fetchLine(k.ahead(), s)
				line(s, at(exW, 64*s), func(i int) operand.Mem { return x(s, i) }, k.sum(s, 0), bytes)
			}
		})
	}
	k.one = func(x func(i int) operand.Mem, sum []reg.VecPhysical) {
		weights.either(k.exactFMA, "one_line", exForm, func(bytes bool) { line(0, at(exW, 0), x, sum[0], bytes) })
	}
}

// with makes k a kernel of these weights.
func (k *rowsFMA) with(weights weights512) {
	if weights.once != nil {
		k.once = func() {
			k.MOVQ(exAny, exLeft)
			weights.once()
			k.MOVQ(exLeft, exAny)
		}
	}
	k.segment = func(label string, s int) {
		k.ifBytes(label, k.slots.Offset(rowsForm), func() {
			weights.take(k.tiles*s, at(rowsZero, 0))
			if k.tiles == 2 {
				k.MOVQ(k.wStep, exAny)
				weights.take(2*s+1, indexed(rowsZero, exAny, 1, 0))
			}
			k.ADDQ(operand.Imm(16), rowsZero)
		})
	}
	if k.tiles == 2 {
		k.line = k.tilesLine(weights)
		return
	}
	k.line = func(segments []rowsSegment) {
		weights.either(k.exactFMA, fmt.Sprintf("lines%d", len(segments)), k.slots.Offset(rowsForm), func(bytes bool) {
			for s, l := range segments {
				l.fetch(0)
				for i := range k.perLine {
					w := weights.weight(s, i, l.w(0), bytes)
					for r := range k.rows {
						weights.times(l.x(r, i), w, l.sum(r, 0))
					}
				}
			}
		})
	}
}

// tilesLine adds a line of two tiles of each segment. The weights of tiles take turns, and x goes
// to both in a register, where there are any.
func (k *rowsFMA) tilesLine(weights weights512) func([]rowsSegment) {
	return func(segments []rowsSegment) {
		weights.either(k.exactFMA, fmt.Sprintf("lines%d", len(segments)), k.slots.Offset(rowsForm), func(bytes bool) {
			next := 0 // of the registers for x
			weight := func(s, i int) {
				l := segments[s]
				var w [2]reg.VecPhysical
				for t := range w {
					if i == t*k.perLine/2 {
						l.fetch(t)
					}
					w[t] = weights.weight(2*s+t, i, l.w(t), bytes)
				}
				for r := range k.rows {
					var x operand.Op = l.x(r, i)
					if weights.x != nil {
						to := weights.x[next%len(weights.x)]
						next++
						k.VPBROADCASTD(x, to)
						x = to
					}
					for t := range w {
						weights.times(x, w[t], l.sum(r, t))
					}
				}
			}
			if weights.turns {
				for i := range k.perLine {
					for s := range segments {
						weight(s, i)
					}
				}
				return
			}
			for s := range segments {
				for i := range k.perLine {
					weight(s, i)
				}
			}
		})
	}
}

// with makes k a kernel of these weights, so many in a line. Those of lines that take
// two kinds of code are in Z20 to Z27 before they are written.
func (k *unpackFMA) with(weights weights512, inLine int) {
	k.once = weights.once
	if k.scaled {
		k.segment = func() {
			k.ifBytes("zeros", exForm, func() {
				weights.take(0, at(unpackZero, 0))
				k.ADDQ(operand.Imm(16), unpackZero)
			})
		}
	}
	k.line = func(_ int, w operand.Mem) (out []func() reg.VecPhysical) {
		if !weights.apart {
			for i := range inLine {
				out = append(out, func() reg.VecPhysical { return weights.weight(0, i, w, false) })
			}
			return out
		}
		for i := range inLine {
			out = append(out, func() reg.VecPhysical {
				if i == 0 {
					weights.either(k.exactFMA, "line", exForm, func(bytes bool) {
						for j := range inLine {
							k.VMOVDQA32(weights.weight(0, j, w, bytes), zmm[20+j])
						}
					})
				}
				return zmm[20+i]
			})
		}
		return out
	}
}
