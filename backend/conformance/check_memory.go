package conformance

import (
	"bytes"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

func memoryChecks() []check {
	return []check{
		{Info{"guards", "Apply writes the elements of dst and its workspace, and no byte around or between them, rows beyond M included.", false}, checkGuards},
		{Info{"inputs", "Apply does not write to x.", false}, checkInputs},
		{Info{"rows-beyond", "Apply reads the elements of x and nothing around or between them, rows beyond M included.", false}, checkRowsBeyond},
		{Info{"strides", "Rows may be further apart than they are long, and tensors begin at any multiple of their type's size.", false}, checkStrides},
		{Info{"workspace-contents", "Results do not depend on what the workspace holds before.", false}, checkWorkspaceContents},
		{Info{"workspace-size", "Workspace(rows) is never negative, does not fall as rows rise, and is always the same.", false}, checkWorkspaceSize},
		{Info{"footprint", "Footprint is honest: Bytes is its Weights, Workspace(MaxRows) its Workspace, and what a device counts agrees.", false}, checkFootprint},
		{Info{"source-layer", "Prepare changes nothing in the layer it packs and keeps no reference to it.", false}, checkSourceLayer},
	}
}

// calls are the shapes of memory that the memory checks go through: dense,
// with gaps, and at odd offsets, for one row and for several.
func calls(s *subject) []call {
	var all []call
	for _, m := range []int{1, 3, s.m} {
		x := s.input(s.linear, m)
		all = append(all, call{m: m, x: x}, call{m: m, x: x, xGap: 5, yGap: 3}, call{m: m, x: x, xGap: 1, yGap: 2, xOff: 1, yOff: 1})
	}
	return all
}

// outcomes calls f with the outcome of every call of every sample.
func (r *rig) outcomes(f func(*subject, call, outcome)) {
	r.samples(func(s *subject) {
		for _, c := range calls(s) {
			out, err := r.apply(s.layer, c)
			if err != nil {
				r.fail(s, "M %d: %v", c.m, err)
				continue
			}
			f(s, c, out)
		}
	})
}

func checkGuards(r *rig) {
	r.outcomes(func(s *subject, c call, out outcome) {
		if out.dst != "" {
			r.fail(s, "M %d, row gap %d: dst was written outside its elements: %s", c.m, c.yGap, out.dst)
		}
		if out.ws != "" {
			r.fail(s, "M %d: memory round the workspace was written: %s", c.m, out.ws)
		}
	})
}

func checkInputs(r *rig) {
	r.outcomes(func(s *subject, c call, out outcome) {
		if out.x != "" {
			r.fail(s, "M %d, row gap %d: x was written: %s", c.m, c.xGap, out.x)
		}
	})
}

func checkRowsBeyond(r *rig) {
	r.outcomes(func(s *subject, c call, out outcome) {
		c.around = plainFill
		again, err := r.apply(s.layer, c)
		if err != nil {
			r.fail(s, "M %d: %v", c.m, err)
			return
		}
		r.sameBits(s, "with other memory round x", again.bits, out.bits)
	})
}

func checkStrides(r *rig) {
	for i, c := range sampleCells(r.o) {
		c.exact = true
		r.firstType(c, i, func(s *subject) {
			for _, c := range calls(s) {
				r.judgeCall(s, c)
			}
		})
	}
}

func checkWorkspaceContents(r *rig) {
	r.outcomes(func(s *subject, c call, out outcome) {
		for _, fill := range []byte{0x01, plainFill, 0x7F} {
			c.workspace = fill
			again, err := r.apply(s.layer, c)
			if err != nil {
				r.fail(s, "M %d: %v", c.m, err)
				return
			}
			r.sameBits(s, "with another workspace", again.bits, out.bits)
		}
	})
}

func checkWorkspaceSize(r *rig) {
	r.samples(func(s *subject) {
		before := 0
		for rows := range s.m + 1 {
			size := s.layer.Workspace(rows)
			if size < before {
				r.fail(s, "Workspace(%d) is %d, after %d for one row less", rows, size, before)
			}
			if again := s.layer.Workspace(rows); again != size {
				r.fail(s, "Workspace(%d) is %d, and then %d", rows, size, again)
			}
			before = size
		}
	})
}

func checkFootprint(r *rig) {
	counter, counts := r.dev.(backend.Counter)
	for i, c := range sampleCells(r.o) {
		var before backend.Alive
		if counts {
			before = counter.Alive()
		}
		r.firstType(c, i, func(s *subject) {
			f := s.kernel.Footprint(r.info, s.spec)
			if f.Weights < 0 || f.Workspace < 0 || f.Staging < 0 {
				r.fail(s, "Footprint %+v has negative sizes", f)
			}
			if got := s.layer.Bytes(); got != f.Weights {
				r.fail(s, "the layer holds %d bytes, Footprint says %d", got, f.Weights)
			}
			if got := s.layer.Workspace(s.m); int64(got) != f.Workspace {
				r.fail(s, "Workspace(MaxRows) is %d bytes, Footprint says %d", got, f.Workspace)
			}
			if counts {
				if got := counter.Alive().Bytes - before.Bytes; got != f.Weights {
					r.fail(s, "the device counts %d bytes more with the layer, Footprint says %d", got, f.Weights)
				}
			}
		})
	}
}

func checkSourceLayer(r *rig) {
	r.samples(func(shared *subject) {
		s := *shared
		s.linear = s.cell.build() // of its own: other kernels of the sample share the other one
		if !r.prepare(&s) {
			return
		}
		defer func() { _ = s.layer.Close() }()
		fresh := s.cell.build() // what s.linear was before Prepare
		if !sameLinear(fresh, s.linear) {
			r.fail(&s, "Prepare changed the layer it was given")
			return
		}
		c := call{m: 3, x: s.input(fresh, 3)}
		scramble(s.linear)
		s.linear = fresh
		r.judgeCall(&s, c)
	})
}

// sameLinear compares the numbers of two layers of one form.
func sameLinear(a, b *quant.Linear) bool {
	for n := range a.Weight.N() {
		if !bytes.Equal(a.Weight.Row(n), b.Weight.Row(n)) || !bytes.Equal(a.Weight.ScaleRow(n), b.Weight.ScaleRow(n)) {
			return false
		}
		for g, z := range a.Weight.ZeroRow(n) {
			if b.Weight.ZeroRow(n)[g] != z {
				return false
			}
		}
	}
	for i, v := range a.Bias {
		if b.Bias[i] != v {
			return false
		}
	}
	return a.Transform.Equal(b.Transform)
}

// scramble overwrites all numbers of l in place, as the next layer does that a
// loader puts there. The transform stays: it is immutable.
func scramble(l *quant.Linear) {
	for n := range l.Weight.N() {
		clear(l.Weight.Row(n))
		clear(l.Weight.ScaleRow(n))
		clear(l.Weight.ZeroRow(n))
	}
	clear(l.Bias)
}
