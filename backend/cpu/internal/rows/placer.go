package rows

import (
	"unsafe"

	"github.com/bitlane/bitlane/quant"
)

// columnBytes is the values that a few rows have at one place, one after the other: so many rows
// of 16 or of 32 bits as fill a register of 128.
const columnBytes = 16

// Placer puts a few rows of x in the order of a plan at once: a load has the values of all
// of them where a row by itself takes one for each.
//
//	rows of x            columns, 16 bytes for      rows in their places,
//	a0 a1 a2 … aK-1      each feature and zeros     as Plan takes them
//	b0 b1 b2 … bK-1  ──▶ a0 b0 … h0            ──▶  a7 a2 a9 0 …
//	…                    a1 b1 … h1                 b7 b2 b9 0 …
//	h0 h1 h2 … hK-1      …                          …
//
// It is immutable and may be used by several goroutines at once, each with its own scratch.
type Placer struct {
	Plan *Plan // of rows that Place has put in their places: for Row and Tiles, not for Codes

	k, width, size int
	places         []uint32 // of each value of a row, twice its feature of x, of padding K; whole vectors
}

// Placeable says that rows of a recipe may be put in their places by kernels of this processor, and
// so, of Int4FlatQuant, that nothing comes before, and that plain Go never does all of a row.
func Placeable(r quant.RecipeKind) bool {
	return placesRows() && r != quant.Int4FlatQuant && r != quant.Int4TokenAscend
}

// Placer returns what puts rows in their places for the plan, nil where they have no order, are
// prepared in plain Go or not Placeable.
func (p *Plan) Placer() *Placer {
	f := &p.form
	if !p.fast || f.Order == nil || !Placeable(f.Recipe.Kind) {
		return nil
	}
	size := f.X.Size()
	a := &Placer{k: f.K, width: f.Width, size: size, places: make([]uint32, placedBytes(f.Width, size)/size)}
	for i := range a.places {
		a.places[i] = 2 * uint32(f.K)
	}
	for _, s := range p.spans {
		for i, k := range f.Order[s.from:][:s.n] {
			a.places[int(s.to)+i] = 2 * uint32(k)
		}
	}
	placed := *p
	placed.form.K, placed.form.Order = f.Width, nil
	placed.asItIs, placed.places = true, nil
	a.Plan = &placed
	return a
}

// Rows is the most rows that Place takes.
func (a *Placer) Rows() int { return columnBytes / a.size }

// Stride is the bytes from one row that Place has put in its places to the next.
func (a *Placer) Stride() int { return placedBytes(a.width, a.size) }

// placedBytes is a row of so many values of size bytes, in whole vectors.
func placedBytes(width, size int) int { return align(width * size) }

// PlaceScratch returns the bytes of scratch that Place needs to leave so many for rows of k values of
// size bytes that are prepared to width values.
func PlaceScratch(k, width, size, left int) int {
	return columnBytes/size*placedBytes(width, size) + max(align((k+1)*columnBytes), left)
}

// Place puts n rows of x, K values of Form.X each and step bytes apart, in their places: to the first
// bytes of scratch, Stride bytes apart. It returns them, and what is left of scratch, which has
// PlaceScratch bytes at least and is aligned to 64. n is 1 to Rows. It allocates nothing.
func (a *Placer) Place(x []byte, step, n int, scratch []byte) (placed, left []byte) {
	placed, left = cut(scratch, a.Rows()*a.Stride())
	columns := left[:(a.k+1)*columnBytes]
	row := func(r int) []byte { return x[min(r, n-1)*step:][:a.k*a.size] } // the last again for those that are not there
	var rows [columnBytes / 2]unsafe.Pointer
	for r := range a.Rows() {
		rows[r] = unsafe.Pointer(unsafe.SliceData(row(r)))
	}
	for i := a.placeColumns(columns, &rows); i < a.k; i++ {
		for r := range a.Rows() {
			copy(columns[i*columnBytes+r*a.size:][:a.size], row(r)[i*a.size:])
		}
	}
	clear(columns[a.k*columnBytes:])
	a.placeRows(placed, columns)
	return placed, left
}

// plainPlaceRows is placeRows in plain Go.
func (a *Placer) plainPlaceRows(placed, columns []byte) {
	for i, twice := range a.places {
		column := columns[int(twice)/2*columnBytes:][:columnBytes]
		for r := range a.Rows() {
			copy(placed[r*a.Stride()+i*a.size:], column[r*a.size:][:a.size])
		}
	}
}
