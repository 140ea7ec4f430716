package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of asm.Product, in bytes. A test of that package
// compares them with the struct.
const (
	productC     = 0
	productCStep = 8
	productA     = 16
	productAStep = 24
	productB     = 32
	productK     = 40
	productRows  = 48
)

// productTile rows of 16 columns, productLine bytes each, are the tile of a
// product: twelve sums, two vectors of B, one value of A and one product.
const productTile, productLine = 6, 64

func init() {
	for _, fused := range []bool{true, false} {
		name, path, maths, sum := "RowProductFusedAVX2", "rowproductfused_avx2", "s = fma(A[i][k], B[k][j], s)", "rounded once for each k"
		if !fused {
			name, path, maths, sum = "RowProductApartAVX2", "rowproductapart_avx2", "s = s + round(A[i][k]·B[k][j])", "product and sum rounded for each k"
		}
		register(asmDir, path, `
The product of a matrix with 16 columns of another one.

Maths: C[i][j] = s after `+maths+`, k ascending from s = 0, float32, for all rows i
and 16 columns j. Six rows go together; the last six overlap those before them
where six does not divide the rows, which computes the same again.
Registers: twelve sums, two vectors of B, one value of A in every lane`+map[bool]string{true: ".", false: ", one\nproduct."}[fused]+`
`, func(f *file) {
			f.function(name, "c *Product", name+" multiplies with 16 columns, "+sum+".")
			f.product(fused)
		})
	}
}

func (f *file) product(fused bool) {
	arg := f.GP64()
	f.Load(f.Param("c"), arg)
	field := func(offset int) reg.GPVirtual {
		r := f.GP64()
		f.MOVQ(at(arg, offset), r)
		return r
	}
	c, cStep, a, aStep, rows := field(productC), field(productCStep), field(productA), field(productAStep), field(productRows)
	b, k := f.GP64(), f.GP64()
	f.CMPQ(rows, operand.U8(productTile))
	f.JCS(operand.LabelRef("one"))

	f.Label("tile")
	f.tile(fused, productTile, arg, c, cStep, a, aStep, b, k)
	f.SUBQ(operand.U8(productTile), rows)
	f.JEQ(operand.LabelRef("done"))
	f.CMPQ(rows, operand.U8(productTile))
	f.JCC(operand.LabelRef("tile"))
	// Fewer than six are left: back so far that six are.
	back := f.GP64()
	f.SUBQ(operand.U8(productTile), rows)
	for _, m := range [][2]reg.GPVirtual{{c, cStep}, {a, aStep}} {
		f.MOVQ(rows, back)
		f.IMULQ(m[1], back)
		f.ADDQ(back, m[0])
	}
	f.MOVQ(operand.U32(productTile), rows)
	f.JMP(operand.LabelRef("tile"))

	f.Label("one")
	f.tile(fused, 1, arg, c, cStep, a, aStep, b, k)
	f.DECQ(rows)
	f.JNE(operand.LabelRef("one"))
	f.Label("done")
	f.VZEROUPPER()
	f.RET()
}

// tile computes n rows of 16 columns and moves a and c behind them.
func (f *file) tile(fused bool, n int, arg, c, cStep, a, aStep, b, k reg.GPVirtual) {
	name := map[int]string{1: "row", productTile: "rows"}[n]
	var sums [][2]reg.VecVirtual
	for range n {
		sums = append(sums, [2]reg.VecVirtual{f.zeroed(), f.zeroed()})
	}
	f.MOVQ(at(arg, productB), b)
	f.MOVQ(at(arg, productK), k)
	// Rows 0 to 2 are at a, 3 to 5 at far.
	far := f.GP64()
	if n > 1 {
		f.LEAQ(indexed(a, aStep, 2, 0), far)
		f.ADDQ(aStep, far)
	}
	b0, b1, v, t := f.YMM(), f.YMM(), f.YMM(), f.YMM()
	turn := func(i int) {
		f.VMOVUPS(at(b, i*productLine), b0)
		f.VMOVUPS(at(b, i*productLine+32), b1)
		for m := range n {
			base := a
			if m >= 3 {
				base = far
			}
			from := at(base, 4*i)
			if m%3 > 0 {
				from = indexed(base, aStep, m%3, 4*i)
			}
			f.VBROADCASTSS(from, v)
			if fused {
				f.VFMADD231PS(b0, v, sums[m][0])
				f.VFMADD231PS(b1, v, sums[m][1])
				continue
			}
			f.VMULPS(b0, v, t)
			f.VADDPS(t, sums[m][0], sums[m][0])
			f.VMULPS(b1, v, v)
			f.VADDPS(v, sums[m][1], sums[m][1])
		}
	}
	const unroll = 4
	next := func(n int) {
		f.ADDQ(operand.U32(4*n), a)
		if len(sums) > 1 {
			f.ADDQ(operand.U32(4*n), far)
		}
		f.ADDQ(operand.U32(productLine*n), b)
	}
	f.SUBQ(operand.U8(unroll), k)
	f.JCS(operand.LabelRef(name + "_rest"))
	f.Label(name + "_turn")
	for i := range unroll {
		turn(i)
	}
	next(unroll)
	f.SUBQ(operand.U8(unroll), k)
	f.JCC(operand.LabelRef(name + "_turn"))
	f.Label(name + "_rest")
	f.ADDQ(operand.U8(unroll), k)
	f.JEQ(operand.LabelRef(name + "_store"))
	f.Label(name + "_one")
	turn(0)
	next(1)
	f.DECQ(k)
	f.JNE(operand.LabelRef(name + "_one"))

	f.Label(name + "_store")
	for m := range n {
		f.VMOVUPS(sums[m][0], at(c, 0))
		f.VMOVUPS(sums[m][1], at(c, 32))
		f.ADDQ(cStep, c)
	}
	// a is K values on in its row.
	f.MOVQ(at(arg, productK), k)
	f.SHLQ(operand.U8(2), k)
	f.SUBQ(k, a)
	for range n {
		f.ADDQ(aStep, a)
	}
}
