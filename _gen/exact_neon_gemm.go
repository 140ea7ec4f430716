package main

import "fmt"

func init() {
	registerText(asmDir, "gemm_neon", `
Rows of float32 times an unpacked panel of 16 columns; the package says what it
looks like. Where one, two or three rows are too few sums for the units to stay
busy, four or two segments of a block go together.

Maths: the package's exact sums, s = 1 for plain weights.
Registers: R0 Call, R1 to R4 next weights of each segment, R5 to R10 x of each row
of each, R11 and R12 Y of row 0 and its step, R13 next Block, R14 blocks left, R15
features left in the segment, R16 scratch, R19 segments left in the block, R20
scales, R21 and R22 bytes of a segment of weights and of x, R23 features of a
segment; V0 and up sums, four for each row of each segment, behind them 4 values
of x for each, behind them weights; between segments V24 to V27 scales, V28 to V31
y.
`, func(f *neonFile) {
		for rows := 1; rows <= 6; rows++ {
			together := map[int]int{1: 4, 2: 2, 3: 2}[rows]
			gemmNeon{exactNeon{f}, rows, max(1, together)}.write()
		}
	})
}

// gemmNeon is a kernel of so many rows, with so many segments together.
type gemmNeon struct {
	exactNeon
	rows, together int
}

// x is the register of row r of segment s of those that go together.
func (k gemmNeon) x(s, r int) int { return 5 + s*k.rows + r }

func (k gemmNeon) sum(s, r, i int) int { return 4*(s*k.rows+r) + i }

func (k gemmNeon) write() {
	k.function(fmt.Sprintf("GemmNEONx%d", k.rows), "c *Call", 8, "multiplies so many rows with an unpacked panel.")
	k.op("MOVD c+0(FP), R0")
	k.load(0, field{callW, 1}, field{callX, k.x(0, 0)}, field{callXStep, 16}, field{callBlocks, 13}, field{callCount, 14}, field{callY, 11}, field{callYStep, 12})
	for r := range k.rows - 1 {
		k.op("ADD R16, R%d, R%d", k.x(0, r), k.x(0, r+1))
	}

	k.label("block")
	k.op("MOVBU %d(R13), R19", blockSegments)
	k.op("MOVHU %d(R13), R23", blockFeatures)
	k.op("LSL $6, R23, R21")
	k.op("LSL $2, R23, R22")
	k.op("MOVD R1, R20")
	k.op("ADD $%d, R1", panelHeader)
	if k.together > 1 {
		k.op("CMP $%d, R19", k.together)
		k.op("BLT single")
		k.label("together")
		k.segments("features", k.together)
		k.op("SUBS $%d, R19", k.together)
		k.op("BEQ next")
		if k.together == 2 {
			k.op("CMP $2, R19")
			k.op("BGE together")
		}
	}
	k.label("single")
	k.segments("feature", 1)
	k.op("SUBS $1, R19")
	k.op("BNE single")
	k.label("next")
	k.op("ADD $%d, R13", blockSize)
	k.op("SUBS $1, R14")
	k.op("BNE block")
	k.op("RET")
}

// segments multiplies n segments and adds them to Y.
func (k gemmNeon) segments(label string, n int) {
	for s := range n - 1 {
		k.op("ADD R21, R%d, R%d", 1+s, 2+s)
		for r := range k.rows {
			k.op("ADD R22, R%d, R%d", k.x(s, r), k.x(s+1, r))
		}
	}
	units := n * k.rows
	k.zero(0, 4*units)
	k.op("MOVD R23, R15")
	k.label(label)
	k.turn(n, gemmTurn, 4*units, 5*units)
	k.op("SUBS $%d, R15", gemmTurn)
	k.op("BNE %s", label)
	if n > 1 {
		k.op("MOVD R%d, R1", n)
		for r := range k.rows {
			k.op("MOVD R%d, R%d", k.x(n-1, r), k.x(0, r))
		}
	}
	k.addToY(n)
}

// turn adds four features, or one. x and what is behind it, or eight of them, are
// the registers of x and of weights, which are loaded before their turn comes.
func (k gemmNeon) turn(n, features, x, weights int) {
	for u := range n * k.rows {
		if features == 1 {
			k.op("FMOVS.P 4(R%d), F%d", 5+u, x+u)
		} else {
			k.op("FMOVQ.P 16(R%d), F%d", 5+u, x+u)
		}
	}
	ring := min(32-weights, 8)
	vectors := features * n * 4 // [feature][segment][column/4]
	load := func(v int) {
		if v < vectors {
			k.op("FMOVQ.P 16(R%d), F%d", 1+v/4%n, weights+v%ring)
		}
	}
	for v := range ring - 1 {
		load(v)
	}
	for v := range vectors {
		load(v + ring - 1)
		s := v / 4 % n
		for r := range k.rows {
			k.hand("fmla v%d.4s, v%d.4s, v%d.s[%d]", k.sum(s, r, v%4), weights+v%ring, x+s*k.rows+r, v/4/n)
		}
	}
}

// addToY adds the sums of n segments.
func (k gemmNeon) addToY(n int) {
	k.op("MOVD R11, R16")
	for r := range k.rows {
		k.op("VLD1 (R16), %s", list(4, 28, "S4"))
		for s := range n {
			if n > 1 || r == 0 {
				for i := 0; i < 4; i += 2 {
					k.op("FLDPQ %d(R20), (F%d, F%d)", 64*s+16*i, 24+i, 25+i)
				}
			}
			for i := range 4 {
				k.op("VFMLA V%d.S4, V%d.S4, V%d.S4", 24+i, k.sum(s, r, i), 28+i)
			}
		}
		k.op("VST1 %s, (R16)", list(4, 28, "S4"))
		if r < k.rows-1 {
			k.op("ADD R12, R16")
		}
	}
	k.op("ADD $%d, R20", 64*n)
}
