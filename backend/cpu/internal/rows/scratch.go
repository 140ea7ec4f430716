package rows

// Scratch returns the bytes of scratch that Row needs, for rows of k features
// in so many segments that are prepared to width values, with groups activation
// scales (0 for Exact) and a transform of l and r (0 for none).
func Scratch(k, width, segments, groups, l, r int) int {
	return max(plainScratch(k, groups, l > 0), fastScratch(k, width, segments, l, r))
}

// plainScratch is x as float32, its codes and the scales of its groups, and for
// a transform two more rows of float32.
func plainScratch(k, groups int, transform bool) int {
	n := align(k * 4)
	if groups > 0 {
		n += align(k) + align(groups*4)
	}
	if transform {
		n += 2 * align(k*4)
	}
	return n
}

// fastScratch is a row with its padding as x has it, the codes of a row of
// 16-bit values and the sides that it has no use for; for a transform first x
// as float32 and the matrix in between in panels, with one more panel.
func fastScratch(k, width, segments, l, r int) int {
	n := align(width*4) + align(width) + align(segments*4)
	if l > 0 {
		n += align(k*4) + (panels(r)+1)*l*panelBytes
	}
	return n
}

// panelColumns columns of a matrix stand together, row after row, each padded
// with zeros, so that a product reads them in one stream.
const panelColumns, panelBytes = 16, 64

func panels(columns int) int { return (columns + panelColumns - 1) / panelColumns }
