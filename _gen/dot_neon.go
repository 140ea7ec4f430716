package main

import "fmt"

const (
	w4DotProdMaths = `
Maths: a 16-byte vector of a line is 4 columns by 4 features, low or high halves;
sdot by element multiplies it by 4 features of x, for all columns at once. Codes
up to 15 are the same as int8.
`
	w8DotProdMaths = `
Maths: a 16-byte vector of a line is 4 columns by 4 features; sdot by element
multiplies it by 4 features of x, for all columns at once. sdot takes u−128 as
int8, and what lacks, 128·Σq, is the same for all columns: sdot with −128, once
for each 16 values of x.
`
	w4NeonMaths = `
Maths: ld4 splits a line of 16 columns by 8 features, of two halves of bytes, into
one vector for each byte of a column. Widened to int16 it is multiplied by a
feature of x; 16 products, those of two lines, are within ±16·15·128 and so are
added as int16, then to int32.
`
	w8NeonMaths = `
Maths: ld4 splits a line of 16 columns by 4 features into one vector for each
feature. Widened to int16 it is multiplied by a feature of x and added to int32.
`
)

func init() {
	dotNeon("DotW4", "DotProd", 4, w4DotProdMaths, `in the lines V0 to V3 weights, then their high halves, V4 to V7 low halves, V8 to
V11 16 values of x of each row, V15 the low halves' mask.`, 4, w4DotProd)
	dotNeon("DotW8", "DotProd", 4, w8DotProdMaths, `in the lines V0 to V3 weights, V4 to V7 −128·Σq of each row, V8 to V11 16 values of
x of each row, V15 −128.`, 8, func(k *intNeon) { w8DotProd(k, false) })
	dotNeon("DotW4", "NEON", 4, w4NeonMaths, `in the lines V0 to V7 int16 sums, two for each row, V8 and V9 x of two rows each,
V10 to V13 weights, V14 and V15 those of one feature.`, 4, func(k *intNeon) { (&neon{intNeon: k}).w4() })
	dotNeon("DotW8", "NEON", 4, w8NeonMaths, `in the lines V8 and V9 x of two rows each, V10 to V13 weights, V14 and V15 those
of one feature.`, 8, func(k *intNeon) { (&neon{intNeon: k}).w8() })
}

var neonTierFiles = map[string]string{"DotProd": "dotprod", "I8MM": "i8mm", "NEON": "neon"}

// dotNeon registers a file of kernels of 1 to most rows, and of eight for I8MM.
func dotNeon(family, tier string, most int, maths, registers string, bits int, body func(*intNeon)) {
	name := fmt.Sprintf("dot_w%d_%s", bits, neonTierFiles[tier])
	head := fmt.Sprintf("%d-bit weights by int8 x: see package asm for the layout and the sums.\n", bits) + maths + intNeonRegisters + registers
	registerText(asmDir, name, head, func(f *neonFile) {
		kernel := func(rows int, body func(*intNeon)) {
			k := &intNeon{neonFile: f, rows: rows}
			body(k)
			function := fmt.Sprintf("%s%sx%d", family, tier, rows)
			k.write(function, fmt.Sprintf("adds the products of %d rows of int8 and a tile of %d-bit codes to Y.", rows, bits))
		}
		for rows := 1; rows <= most; rows++ {
			kernel(rows, body)
		}
		if tier == "I8MM" {
			kernel(8, func(k *intNeon) { matrixNeon(k, bits) })
		}
	})
}

// loadX loads the next 16 or 8 features of every row to V8 and up.
func (k *intNeon) loadX(bytes int) {
	for r := range k.rows {
		if bytes == 16 {
			k.op("VLD1.P 16(R%d), [V%d.B16]", k.x(r), 8+r)
		} else {
			k.op("FMOVD.P 8(R%d), F%d", k.x(r), 8+r)
		}
	}
}

// turns emits a loop over so many lines at a time, and code for half of them
// where they are left.
func (k *intNeon) turns(lines int, body func(lines int)) {
	k.op("SUBS $%d, R15", lines)
	k.op("BLT rest")
	k.label("turn")
	body(lines)
	k.op("SUBS $%d, R15", lines)
	k.op("BGE turn")
	k.label("rest")
	k.op("TBZ $%d, R15, summed", map[int]int{2: 0, 4: 1}[lines])
	body(lines / 2)
	k.label("summed")
}

// dots adds the products of four vectors of codes and an element of x.
func (k *intNeon) dots(name string, codes, element int, second bool) {
	for r := range k.rows {
		for i := range 4 {
			to := k.sum(r, i)
			if second && k.twice {
				to += 4 * k.rows
			}
			k.hand("%s v%d.4s, v%d.16b, v%d.4b[%d]", name, to, codes+i, 8+r, element)
		}
	}
}

func w4DotProd(k *intNeon) {
	k.twice = k.rows <= 2
	k.constants = func() { k.op("VMOVI $15, V15.B16") }
	k.lines = func() {
		k.turns(2, func(lines int) {
			k.loadX(8 * lines)
			for line := range lines {
				k.op("VLD1.P 64(R1), %s", list(4, 0, "B16"))
				for i := range 4 {
					k.op("VAND V15.B16, V%d.B16, V%d.B16", i, 4+i)
				}
				for i := range 4 {
					k.op("VUSHR $4, V%d.B16, V%[1]d.B16", i)
				}
				k.dots("sdot", 4, 2*line, false)
				k.dots("sdot", 0, 2*line+1, true)
			}
		})
	}
}

// w8DotProd are lines of 8-bit codes by sdot, or by usdot.
func w8DotProd(k *intNeon, usdot bool) {
	k.twice = k.rows <= 2
	name := "usdot"
	if !usdot {
		name = "sdot"
		k.constants = func() { k.op("VMOVI $128, V15.B16") }
	}
	k.lines = func() {
		if !usdot {
			for r := range k.rows {
				k.zero(4 + r)
			}
		}
		k.turns(4, func(lines int) {
			k.loadX(4 * lines)
			for r := range k.rows {
				if !usdot {
					k.hand("sdot v%d.4s, v15.16b, v%d.16b", 4+r, 8+r)
				}
			}
			for line := range lines {
				k.op("VLD1.P 64(R1), %s", list(4, 0, "B16"))
				for i := range 4 {
					if !usdot {
						k.op("VEOR V15.B16, V%d.B16, V%[1]d.B16", i)
					}
				}
				k.dots(name, 0, line, line%2 == 1)
			}
		})
		for r := range k.rows {
			if usdot {
				break
			}
			k.op("VADDV V%d.S4, V0", 4+r)
			k.op("VDUP V0.S[0], V0.S4")
			for i := range 4 {
				k.op("VSUB V0.S4, V%d.S4, V%[1]d.S4", k.sum(r, i))
			}
		}
	}
}

// neon is a kernel without dot products. Its lines come as phases of four
// features, one byte of each column.
type neon struct{ *intNeon }

const (
	neonX     = 8
	neonBytes = 10
	neonCodes = 14
)

// loadPhase makes V8 and V9 the features of x of a phase, the first or second
// half of the next 8: four of one row, then four of the next. A row without a
// next has all 8. Codes are not live.
func (k *neon) loadPhase(phase int) {
	for r := 0; r < k.rows; r += 2 {
		to := neonX + r/2
		if r == k.rows-1 {
			if phase == 0 {
				k.op("FMOVD.P 8(R%d), F%d", k.x(r), to)
				k.hand("sxtl v%d.8h, v%[1]d.8b", to)
			}
			continue
		}
		for i := range 2 {
			if phase == 0 {
				k.op("FMOVD (R%d), F%d", k.x(r+i), neonCodes+i)
			} else {
				k.op("FMOVD.P 8(R%d), F%d", k.x(r+i), neonCodes+i)
			}
			k.hand("sxtl v%d.8h, v%[1]d.8b", neonCodes+i)
		}
		k.op("VZIP%d V%d.D2, V%d.D2, V%d.D2", phase+1, neonCodes+1, neonCodes, to)
	}
}

// element is where row r has feature t of a phase.
func (k *neon) element(r, phase, t int) string {
	if r == k.rows-1 && r%2 == 0 {
		return fmt.Sprintf("v%d.h[%d]", neonX+r/2, 4*phase+t)
	}
	return fmt.Sprintf("v%d.h[%d]", neonX+r/2, r%2*4+t)
}

// widen makes V14 and V15 the bytes t, of 16 columns.
func (k *neon) widen(t int) {
	k.op("VUXTL V%d.B8, V%d.H8", neonBytes+t, neonCodes)
	k.op("VUXTL2 V%d.B16, V%d.H8", neonBytes+t, neonCodes+1)
}

func (k *neon) w4() {
	k.lines = func() {
		k.turns(2, func(lines int) {
			for line := range lines {
				k.op("VLD4.P 64(R1), %s", list(4, neonBytes, "B16"))
				for phase := range 2 {
					k.loadPhase(phase)
					for t := range 4 {
						k.halves(phase, t)
						name := "mla"
						if line == 0 && phase == 0 && t == 0 {
							name = "mul"
						}
						for r := range k.rows {
							for i := range 2 {
								k.hand("%s v%d.8h, v%d.8h, %s", name, 2*r+i, neonCodes+i, k.element(r, phase, t))
							}
						}
					}
				}
			}
			k.eachSum(func(r, i int) {
				name, arrangement := "saddw", "4h"
				if i%2 == 1 {
					name, arrangement = "saddw2", "8h"
				}
				k.hand("%s v%d.4s, v%[2]d.4s, v%d.%s", name, k.sum(r, i), 2*r+i/2, arrangement)
			})
		})
	}
}

// halves makes V14 and V15 the low or high halves of the bytes t.
func (k *neon) halves(phase, t int) {
	if phase == 1 {
		k.op("VUSHR $4, V%d.B16, V%[1]d.B16", neonBytes+t)
		k.widen(t)
		return
	}
	k.widen(t)
	for i := range 2 {
		k.hand("bic v%d.8h, #0xf0", neonCodes+i)
	}
}

func (k *neon) w8() {
	k.lines = func() {
		k.label("turn")
		for phase := range 2 {
			k.op("VLD4.P 64(R1), %s", list(4, neonBytes, "B16"))
			k.loadPhase(phase)
			for t := range 4 {
				k.widen(t)
				k.eachSum(func(r, i int) {
					name, arrangement := "smlal", "4h"
					if i%2 == 1 {
						name, arrangement = "smlal2", "8h"
					}
					k.hand("%s v%d.4s, v%d.%s, %s", name, k.sum(r, i), neonCodes+i/2, arrangement, k.element(r, phase, t))
				})
			}
		}
		k.op("SUBS $2, R15")
		k.op("BNE turn")
	}
}
