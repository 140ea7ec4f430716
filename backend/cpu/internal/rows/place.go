package rows

// span is a run of neighbouring features that are neighbours in a row, too.
type span struct{ from, to, n int32 } // packed feature, value of the row, length

// spans joins segments that follow each other without padding.
func (f *Form) spans() (out []span) {
	for _, s := range f.Segments {
		if n := len(out); n > 0 && out[n-1].to+out[n-1].n == s.At {
			out[n-1].n += s.Hi - s.Lo
			continue
		}
		out = append(out, span{s.Lo, s.At, s.Hi - s.Lo})
	}
	return out
}

// asItIs reports whether a row is x without any change of place.
func (f *Form) asItIs(spans []span) bool {
	return f.Order == nil && len(spans) == 1 && int(spans[0].n) == f.Width
}

// places returns the feature of x that each value of a row is, and K for padding.
func (f *Form) places(spans []span) []int32 {
	p := make([]int32, f.Width)
	for i := range p {
		p[i] = int32(f.K)
	}
	for _, s := range spans {
		copy(p[s.to:], f.Order[s.from:][:s.n])
	}
	return p
}

// clearPadding clears what is in no span of a row of values of size bytes.
func clearPadding(row []byte, spans []span, size int) {
	end := 0
	for _, s := range spans {
		clear(row[end : int(s.to)*size])
		end = int(s.to+s.n) * size
	}
	clear(row[end:])
}
