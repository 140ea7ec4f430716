package main

import (
	"strings"

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
	productCNext = 56
	productBNext = 64
)

// productLine is the bytes of a row of B.
const productLine = 64

// product is a kernel that multiplies a matrix with 16 columns of another one,
// in two registers of AVX2, or with 32, in two registers of AVX-512.
type product struct {
	wide bool
	rows int // of a tile: twelve sums, or sixteen
}

func init() {
	for _, p := range []product{{false, 6}, {true, 8}} {
		columns, together, tier, sums := "16", "Six", "AVX2", "twelve sums"
		if p.wide {
			columns, together, tier, sums = "32", "Eight", "AVX512", "sixteen sums"
		}
		register(asmDir, strings.ToLower("rowproduct_"+tier), `
The product of a matrix with `+columns+` columns of another one.

Maths: C[i][j] = s after s = fma(A[i][k], B[k][j], s), k ascending from s = 0, float32, for all rows i
and `+columns+` columns j. `+together+` rows go together; the last ones overlap those before
them where there are fewer, which computes the same again.
Registers: `+sums+`, two vectors of B, one value of A in every lane.
`, func(f *file) {
			f.function("RowProduct"+tier, "c *Product", "RowProduct"+tier+" multiplies with "+columns+" columns.")
			p.emit(f)
		})
	}
}

// productRegisters are the general registers of a product.
type productRegisters struct {
	arg, c, cStep, a, aStep, b, k, left reg.GPVirtual
	cNext, bNext                        reg.GPVirtual // wide only: bytes to the second 16 columns
}

func (p product) vector(f *file) reg.VecVirtual {
	if p.wide {
		return f.ZMM()
	}
	return f.YMM()
}

func (p product) emit(f *file) {
	r := &productRegisters{arg: f.GP64(), b: f.GP64(), k: f.GP64()}
	f.Load(f.Param("c"), r.arg)
	field := func(offset int) reg.GPVirtual {
		g := f.GP64()
		f.MOVQ(at(r.arg, offset), g)
		return g
	}
	r.c, r.cStep, r.a, r.aStep, r.left = field(productC), field(productCStep), field(productA), field(productAStep), field(productRows)
	if p.wide {
		r.cNext, r.bNext = field(productCNext), field(productBNext)
	}
	f.CMPQ(r.left, operand.U8(p.rows))
	f.JCS(operand.LabelRef("one"))

	f.Label("tile")
	p.tile(f, r, p.rows, "rows")
	f.SUBQ(operand.U8(p.rows), r.left)
	f.JEQ(operand.LabelRef("done"))
	f.CMPQ(r.left, operand.U8(p.rows))
	f.JCC(operand.LabelRef("tile"))
	// Fewer are left than go together: back by what is missing.
	back := f.GP64()
	f.SUBQ(operand.U8(p.rows), r.left)
	for _, m := range [][2]reg.GPVirtual{{r.c, r.cStep}, {r.a, r.aStep}} {
		f.MOVQ(r.left, back)
		f.IMULQ(m[1], back)
		f.ADDQ(back, m[0])
	}
	f.MOVQ(operand.U32(p.rows), r.left)
	f.JMP(operand.LabelRef("tile"))

	f.Label("one")
	p.tile(f, r, 1, "row")
	f.DECQ(r.left)
	f.JNE(operand.LabelRef("one"))
	f.Label("done")
	f.VZEROUPPER()
	f.RET()
}

// tile computes n rows and moves a and c behind them.
func (p product) tile(f *file, r *productRegisters, n int, name string) {
	sums := make([][2]reg.VecVirtual, n)
	for i := range sums {
		for j := range sums[i] {
			s := p.vector(f)
			if p.wide {
				f.VPXORD(s, s, s)
			} else {
				f.VPXOR(s, s, s)
			}
			sums[i][j] = s
		}
	}
	f.MOVQ(at(r.arg, productB), r.b)
	f.MOVQ(at(r.arg, productK), r.k)
	// Every third row has a pointer, the others are one or two steps from it.
	rows := []reg.GPVirtual{r.a}
	for m := 3; m < n; m += 3 {
		next := f.GP64()
		f.LEAQ(indexed(rows[len(rows)-1], r.aStep, 2, 0), next)
		f.ADDQ(r.aStep, next)
		rows = append(rows, next)
	}
	b0, b1, v := p.vector(f), p.vector(f), p.vector(f)
	once := func(i int) {
		f.VMOVUPS(at(r.b, i*productLine), b0)
		if p.wide {
			f.VMOVUPS(indexed(r.b, r.bNext, 1, i*productLine), b1)
		} else {
			f.VMOVUPS(at(r.b, i*productLine+productLine/2), b1)
		}
		for m, s := range sums {
			from := at(rows[m/3], 4*i)
			if m%3 > 0 {
				from = indexed(rows[m/3], r.aStep, m%3, 4*i)
			}
			f.VBROADCASTSS(from, v)
			f.VFMADD231PS(b0, v, s[0])
			f.VFMADD231PS(b1, v, s[1])
		}
	}
	const unroll = 4
	on := func(n int) {
		for _, a := range rows {
			f.ADDQ(operand.U32(4*n), a)
		}
		f.ADDQ(operand.U32(productLine*n), r.b)
	}
	f.SUBQ(operand.U8(unroll), r.k)
	f.JCS(operand.LabelRef(name + "_rest"))
	f.Label(name + "_turn")
	for i := range unroll {
		once(i)
	}
	on(unroll)
	f.SUBQ(operand.U8(unroll), r.k)
	f.JCC(operand.LabelRef(name + "_turn"))
	f.Label(name + "_rest")
	f.ADDQ(operand.U8(unroll), r.k)
	f.JEQ(operand.LabelRef(name + "_store"))
	f.Label(name + "_one")
	once(0)
	on(1)
	f.DECQ(r.k)
	f.JNE(operand.LabelRef(name + "_one"))

	f.Label(name + "_store")
	for _, s := range sums {
		f.VMOVUPS(s[0], at(r.c, 0))
		if p.wide {
			f.VMOVUPS(s[1], indexed(r.c, r.cNext, 1, 0))
		} else {
			f.VMOVUPS(s[1], at(r.c, productLine/2))
		}
		f.ADDQ(r.cStep, r.c)
	}
	// a is K values on in its row.
	f.MOVQ(at(r.arg, productK), r.k)
	f.SHLQ(operand.U8(2), r.k)
	f.SUBQ(r.k, r.a)
	for range n {
		f.ADDQ(r.aStep, r.a)
	}
}
