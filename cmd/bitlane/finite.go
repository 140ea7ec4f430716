package main

import (
	"fmt"

	"github.com/bitlane/bitlane/dtype"
)

// notFinite has which rows hold a NaN or an infinity: what is accepted of them says less
// than what is accepted of others.
type notFinite struct {
	X int `json:"x_rows_not_finite,omitempty"` // rows of x: of y there only that it is not finite either is asked
	Y int `json:"y_rows_not_finite,omitempty"` // rows of y whose x is finite: sums or y are beyond their types
}

// count looks at the m rows of x [m, k], and of y [m, n] in yt.
func (f *notFinite) count(m int, x []float32, yt dtype.DType, y []byte) {
	k, n := len(x)/m, len(y)/yt.Size()/m
	for row := range m {
		if anyNotFinite(k, func(i int) float32 { return x[row*k+i] }) {
			f.X++
		} else if anyNotFinite(n, func(i int) float32 { return yt.At(y, row*n+i) }) {
			f.Y++
		}
	}
}

func anyNotFinite(n int, at func(int) float32) bool {
	for i := range n {
		if v := at(i); v-v != 0 {
			return true
		}
	}
	return false
}

// verdict is what stands behind error/bound in the table.
func (f *notFinite) verdict() string {
	if all := f.X + f.Y; all > 0 {
		return fmt.Sprintf(", %s not finite", plural(all, "row"))
	}
	return ""
}

// explanation says what the rows mean for the verdict. m is how many there are in all.
func (f *notFinite) explanation(m int, t string) (lines []string) {
	if f.X > 0 {
		lines = append(lines, fmt.Sprintf("%d of %s of x with a NaN or an infinity as %s: of y there only that it is not finite either was verified; error/bound is of the others",
			f.X, plural(m, "row"), t))
	}
	if f.Y > 0 {
		lines = append(lines, fmt.Sprintf("%d of %s of y with a NaN or an infinity where x has none: accepted only where %s or a sum on the way is too small for the value; error/bound is of the finite numbers",
			f.Y, plural(m, "row"), t))
	}
	return lines
}
