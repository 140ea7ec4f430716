package main

// rowNeon is a kernel of rows of x for arm64 while it is written.
type rowNeon struct{ exactNeon }

// byElement emits body once for each kind of element, and the jumps to them: which
// holds the kind. Each ends in a return.
func (k rowNeon) byElement(which int, body func(element)) {
	k.op("CMP $%d, R%d", elementF16, which)
	k.op("BEQ %v", elementF16)
	k.op("BGT %v", elementBF16)
	for _, e := range []element{elementF32, elementF16, elementBF16} {
		if e != elementF32 {
			k.label(e.String())
		}
		body(e)
		k.op("RET")
	}
}

// next loads 8·n elements at x, which moves on, as float32 to V0 and up, each exact.
func (k rowNeon) next(e element, n, x int) {
	if e == elementF32 {
		k.op("VLD1.P %d(R%d), %s", n*rowStep*4, x, list(2*n, 0, "S4"))
		return
	}
	for i := range n {
		k.op("FMOVQ.P %d(R%d), F%d", rowStep*2, x, 2*i+1)
	}
	for i := range n {
		k.widen(map[element]int{elementF16: formF16, elementBF16: formBF16}[e], 2*i+1, 2*i)
	}
}

// turns emits body for two steps at a time, and for the one that may be left, of
// as many as the register steps has, which is lost.
func (k rowNeon) turns(name string, steps int, body func(n int)) {
	k.op("SUBS $2, R%d", steps)
	k.op("BLT %s_rest", name)
	k.label(name + "_turn")
	body(2)
	k.op("SUBS $2, R%d", steps)
	k.op("BGE %s_turn", name)
	k.label(name + "_rest") // -1 or -2
	k.op("TBZ $0, R%d, %s_even", steps, name)
	body(1)
	k.label(name + "_even")
}

// each emits body for every vector v of the elements at x, of as many steps as the
// register steps has; four at a time, V0 to V3, and those of a step. Both are lost.
func (k rowNeon) each(e element, name string, x, steps int, body func(v int)) {
	const line = 64
	together := line / (rowStep * e.size())
	k.op("SUBS $%d, R%d", together, steps)
	k.op("BLT %s_few", name)
	k.label(name + "_many")
	k.op("VLD1.P %d(R%d), %s", line, x, list(line/16, 0, "B16"))
	for v := range line / 16 {
		body(v)
	}
	k.op("SUBS $%d, R%d", together, steps)
	k.op("BGE %s_many", name)
	k.label(name + "_few")
	k.op("ADDS $%d, R%d", together, steps)
	k.op("BEQ %s_found", name)
	k.label(name + "_next")
	k.op("VLD1.P %d(R%d), %s", rowStep*e.size(), x, list(e.size()/2, 0, "B16"))
	for v := range e.size() / 2 {
		body(v)
	}
	k.op("SUBS $1, R%d", steps)
	k.op("BNE %s_next", name)
	k.label(name + "_found")
}

// roundF16 rounds V0 to Vn-1 to float16.
func (k rowNeon) roundF16(n int) {
	for v := range n {
		k.hand("fcvtn v%d.4h, v%[1]d.4s", v)
	}
	for v := range n {
		k.hand("fcvtl v%d.4s, v%[1]d.4h", v)
	}
}

// Registers of what rounding to bfloat16 needs.
const (
	bf16Below = 30 // 0x7fff
	bf16Upper = 31 // 0xffff0000
)

func (k rowNeon) bf16Constants() {
	k.fill(0x7fff, bf16Below)
	k.fill(0xffff0000, bf16Upper)
}

// upperHalves clears the rest of V0 to Vn-1.
func (k rowNeon) upperHalves(n int) {
	for v := range n {
		k.op("VAND V%d.B16, V%d.B16, V%[2]d.B16", bf16Upper, v)
	}
}

// across leaves the largest lane of V{v} to V{v+3} in the lowest one of V{v}: see
// largest.
func (k rowNeon) across(op string, e element, v int) {
	for _, pair := range [][2]int{{v + 1, v}, {v + 3, v + 2}, {v + 2, v}} {
		k.largest(op, e, pair[0], pair[1])
	}
	lanes := map[int]string{2: "h%[2]d, v%[2]d.8h", 4: "s%[2]d, v%[2]d.4s"}[e.size()]
	k.hand("%sv "+lanes, op, v)
}

// largest makes the lanes of to those of from where these are larger, as op, smax or
// umax, orders the patterns of e. Go's assembler knows the second alone.
func (k rowNeon) largest(op string, e element, from, to int) {
	if op == "umax" {
		lanes := map[int]string{2: "H8", 4: "S4"}[e.size()]
		k.op("VUMAX V%d.%s, V%d.%[2]s, V%[3]d.%[2]s", from, lanes, to)
		return
	}
	lanes := map[int]string{2: "8h", 4: "4s"}[e.size()]
	k.hand("%s v%d.%s, v%[2]d.%[3]s, v%d.%[3]s", op, to, lanes, from)
}
