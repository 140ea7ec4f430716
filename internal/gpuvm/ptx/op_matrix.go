package ptx

import "math/bits"

var matrixOps = map[string]func(*decoder){"ldmatrix": decodeLdmatrix, "mma": decodeMma}

// needFull faults unless all 32 lanes execute the instruction together.
func (w *warp) needFull(in *inst) {
	if w.active != full {
		f := w.fault(PartialWarp, in, bits.TrailingZeros32(w.active)&31)
		f.Detail = "lanes " + hex(uint64(w.active)) + " of ffffffff are here"
		panic(f)
	}
}

func decodeLdmatrix(d *decoder) {
	d.one("sync")
	d.one("aligned")
	d.one("m8n8")
	n := map[string]int{"x1": 1, "x2": 2, "x4": 4}[d.one("x1", "x2", "x4")]
	trans := d.flag("trans")
	m := &memInfo{space: shared, n: n, size: 16, policy: -1}
	if d.opt("shared", "shared::cta") == "" {
		m.space = generic
	}
	d.one("b16")
	d.in.mem = m
	if !d.count(2, 2) || n == 0 {
		return
	}
	if o := d.op(0); n == 1 && o.kind == opName {
		d.in.dv = []int32{d.dst(o, B32)}
	} else {
		d.in.dv = d.vector(o, n, B32, false, true)
	}
	d.in.a = d.addressOf(d.op(1), m)
	d.in.width, d.in.exec = 32, execLdmatrix
	if trans {
		d.in.boolop = 1
	}
}

// execLdmatrix reads 8×8 matrices of 16-bit elements: lane 8m+r has the address
// of row r of matrix m; lane l gets elements 2(l%4) and 2(l%4)+1 of row l/4, or,
// transposed, of column l/4.
func execLdmatrix(w *warp, in *inst) {
	w.needFull(in)
	w.checkAccess(in)
	m := in.mem
	var out, ub [4]vreg
	var undef uint32
	for k := range m.n {
		var rows [8][8]uint16
		var bad [8][8]uint16
		anyBad := false
		for row := range 8 {
			lane := 8*k + row
			addr := w.addr(in, lane)
			r, off := w.locate(in, m.space, addr, 16, lane)
			if r.space != shared {
				f := w.faultAt(Operand, in, lane, r.space, addr, 16)
				f.Detail = "ldmatrix reads shared memory only"
				panic(f)
			}
			w.touch(in, r, off, 16, lane, 0)
			for h := range 2 {
				v, u, pending := r.value(off+8*h, 8)
				if pending {
					panic(w.faultAt(AsyncPending, in, lane, shared, addr, 16))
				}
				for j := range 4 {
					rows[row][4*h+j] = uint16(v >> (16 * j))
				}
				if u != 0 {
					anyBad = true
					for j := range 4 {
						bad[row][4*h+j] = uint16(u >> (16 * j))
					}
				}
			}
		}
		for lane := range lanes {
			r, c := lane>>2, lane&3*2
			if in.boolop == 0 {
				out[k][lane] = uint64(rows[r][c]) | uint64(rows[r][c+1])<<16
			} else {
				out[k][lane] = uint64(rows[c][r]) | uint64(rows[c+1][r])<<16
			}
			if anyBad {
				b := uint64(bad[r][c]) | uint64(bad[r][c+1])<<16
				if in.boolop != 0 {
					b = uint64(bad[c][r]) | uint64(bad[c+1][r])<<16
				}
				if b != 0 {
					ub[k][lane] = b
					undef |= 1 << lane
				}
			}
		}
	}
	w.writeBack(in, in.dv, out[:m.n], ub[:m.n], undef)
}

// A mmaInfo is one shape of mma.sync.
type mmaInfo struct {
	m, n, k      int
	aType, bType Type // S8, U8, F16, BF16
	na, nb       int  // registers of A and B
	satfinite    bool
}

var mmaShapes = map[string]mmaInfo{
	"m16n8k8":  {m: 16, n: 8, k: 8, na: 2, nb: 1},
	"m16n8k16": {m: 16, n: 8, k: 16, na: 4, nb: 2},
	"m8n8k16":  {m: 8, n: 8, k: 16, na: 1, nb: 1},
	"m16n8k32": {m: 16, n: 8, k: 32, na: 4, nb: 2},
}

func decodeMma(d *decoder) {
	d.one("sync")
	d.one("aligned")
	shape := d.one("m16n8k8", "m16n8k16", "m8n8k16", "m16n8k32")
	d.one("row")
	d.one("col")
	info := mmaShapes[shape]
	info.satfinite = d.flag("satfinite")
	acc := d.one("f32", "s32")
	if acc == "f32" {
		info.aType = typeByName[d.one("f16", "bf16")]
		info.bType = typeByName[d.one("f16", "bf16")]
		if info.aType != info.bType || info.satfinite || shape != "m16n8k8" && shape != "m16n8k16" {
			d.fail("unsupported mma")
		}
		d.one("f32")
	} else {
		info.aType, info.bType = typeByName[d.one("s8", "u8")], typeByName[d.one("s8", "u8")]
		d.one("s32")
		switch shape {
		case "m16n8k8":
			d.fail("unsupported mma")
		case "m16n8k16":
			info.na, info.nb = 2, 1
		}
	}
	if !d.count(4, 4) {
		return
	}
	t, nc := B32, info.m*info.n/lanes
	ct := F32
	if acc == "s32" {
		ct = S32
	}
	vec := func(i, n int, t Type, dst bool) []int32 {
		if o := d.op(i); n == 1 && o.kind == opName {
			if dst {
				return []int32{d.dst(o, t)}
			}
			return []int32{d.src(o, t)}
		}
		return d.vector(d.op(i), n, t, false, dst)
	}
	d.in.dv = vec(0, nc, ct, true)
	d.in.av, d.in.bv, d.in.cv = vec(1, info.na, t, false), vec(2, info.nb, t, false), vec(3, nc, ct, false)
	d.in.mma, d.in.width = &info, 32
	d.in.exec = execMmaFloat
	if acc == "s32" {
		d.in.exec = execMmaInt
	}
}

// Where the elements of a fragment lie, for E elements of one register:
// lane l = 4g+t. A's register r holds row g (+8 for odd r, where there are 16
// rows), columns E·t+i (+4E for r ≥ 2); B's register r rows E·t+i + 4E·r of
// column g; C's element 2h+i row g+8h, column 2t+i.

// cAt gives the register and lane of an element of C and D.
func cAt(row, col int) (reg, lane int) {
	return row>>3<<1 | col&1, row&7<<2 | col>>1
}

// undefinedMma finds the rows of A and the columns of B with an undefined bit.
func (w *warp) undefinedMma(in *inst) (rows, cols uint32, origin int32) {
	for r, reg := range in.av {
		for u := w.undef[reg]; u != 0; u &= u - 1 {
			rows |= 1 << (bits.TrailingZeros32(u)>>2 + r&1*8)
			origin = w.origins[reg]
		}
	}
	for _, reg := range in.bv {
		for u := w.undef[reg]; u != 0; u &= u - 1 {
			cols |= 1 << (bits.TrailingZeros32(u) >> 2)
			origin = w.origins[reg]
		}
	}
	return rows, cols, origin
}

// finishMma writes D and its undefined elements.
func (w *warp) finishMma(in *inst, d *[16][8]uint64) {
	var undef uint32
	for _, regs := range [...][]int32{in.av, in.bv, in.cv} {
		for _, r := range regs {
			undef |= w.undef[r]
		}
	}
	var badC [4]uint32
	var rows, cols uint32
	origin := int32(0)
	if undef != 0 {
		rows, cols, origin = w.undefinedMma(in)
		for k, r := range in.cv {
			if badC[k] = w.undef[r]; badC[k] != 0 {
				origin = w.origins[r]
			}
		}
	}
	for k, reg := range in.dv {
		r := &w.regs[reg]
		w.undef[reg] = 0
		for lane := range r {
			r[lane] = d[lane>>2+k>>1*8][lane&3*2+k&1]
		}
	}
	if undef == 0 {
		return
	}
	for row := range in.mma.m {
		for col := range 8 {
			k, lane := cAt(row, col)
			if rows>>row&1 != 0 || cols>>col&1 != 0 || badC[k]>>lane&1 != 0 {
				w.setUndef(in.dv[k], lane, mask(32), origin)
			}
		}
	}
}

func execMmaInt(w *warp, in *inst) {
	w.needFull(in)
	info := in.mma
	var a [16][32]int32
	var b [8][32]int32
	for r, reg := range in.av {
		for lane, v := range w.regs[reg] {
			row, col := lane>>2+r&1*8, lane&3*4+r>>1*16
			for i := range 4 {
				a[row][col+i] = int32(part(info.aType, v, uint(8*i), 8))
			}
		}
	}
	for r, reg := range in.bv {
		for lane, v := range w.regs[reg] {
			for i := range 4 {
				b[lane>>2][lane&3*4+r*16+i] = int32(part(info.bType, v, uint(8*i), 8))
			}
		}
	}
	var d [16][8]uint64
	for row := range info.m {
		for col := range 8 {
			k, lane := cAt(row, col)
			sum := int64(0)
			for i, x := range a[row][:info.k] {
				sum += int64(x * b[col][i])
			}
			sum += int64(int32(w.regs[in.cv[k]][lane]))
			if info.satfinite {
				d[row][col] = saturate(sum, S32)
			} else {
				d[row][col] = uint64(uint32(sum))
			}
		}
	}
	w.finishMma(in, &d)
}
