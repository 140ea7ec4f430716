package ptx

import (
	"fmt"
	"slices"
	"strings"
)

// A decoder turns statements into instructions. The first error sticks; what
// methods return after it has no meaning.
type decoder struct {
	p        *parser
	b        *body
	e        *Entry
	index    map[string]int32 // register or predicate number by name
	consts   map[uint64]int32
	special  map[special]int32
	relocs   map[string]int32
	sink     int32
	sinkPred int32

	s    *statement
	mods []string // modifiers not yet taken
	in   inst
	err  error
}

// decoders by the opcode's first part.
var decoders map[string]func(*decoder)

func init() {
	decoders = map[string]func(*decoder){}
	for _, family := range []map[string]func(*decoder){
		integerOps, floatOps, logicOps, compareOps, moveOps, memoryOps, atomicOps, asyncOps, matrixOps, warpOps, syncOps, flowOps,
	} {
		for name, f := range family {
			decoders[name] = f
		}
	}
}

func (p *parser) decodeBody(b *body) error {
	e := b.entry
	d := &decoder{p: p, b: b, e: e, index: map[string]int32{}, consts: map[uint64]int32{}, special: map[special]int32{}, relocs: map[string]int32{}}
	d.sink, d.sinkPred = d.newReg("_", B64), d.newPred()
	if len(b.stmts) == 0 {
		return p.errorf("entry " + e.Name + " has no instructions")
	}
	e.code = make([]inst, 0, len(b.stmts)+1)
	for i := range b.stmts {
		if err := d.decode(&b.stmts[i]); err != nil {
			return err
		}
	}
	// Falling off the end is a return.
	last := &b.stmts[len(b.stmts)-1]
	e.code = append(e.code, inst{exec: execExit, flow: exit, guard: -1, line: int32(last.line), text: "end of " + e.Name, reconv: -1})
	if e.Shared > maxStatic || e.Local > maxStatic {
		return p.errorf("static memory of " + e.Name + " is too large")
	}
	e.Opcodes = b.opcodes()
	for i := range e.code {
		e.code[i].index = int32(i)
	}
	setReconvergence(e.code)
	return nil
}

func (d *decoder) decode(s *statement) error {
	d.s, d.mods, d.err = s, s.parts[1:], nil
	d.in = inst{guard: -1, p: -1, q: -1, line: int32(s.line), text: s.text, reconv: -1}
	if s.guard != "" {
		d.in.guard, d.in.guardNot = d.predRegister(&operand{kind: opName, name: s.guard}), s.guardNot
	}
	decoders[s.parts[0]](d)
	if d.err == nil && len(d.mods) > 0 {
		d.fail("unsupported modifier .%s", d.mods[0])
	}
	if d.err == nil && d.in.exec == nil {
		d.fail("unsupported instruction")
	}
	if d.err != nil {
		return d.err
	}
	d.e.code = append(d.e.code, d.in)
	return nil
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = &ParseError{d.p.name, d.s.line, tidy(d.s.text), fmt.Sprintf(format, args...)}
	}
}

// needArch refuses what the module's target does not have.
func (d *decoder) needArch(sm int) {
	if d.p.m.arch < sm {
		d.fail("needs sm_%d, the target is %s", sm, d.p.m.Target)
	}
}

// opt takes the next modifier if it is one of names, and gives it.
func (d *decoder) opt(names ...string) string {
	if len(d.mods) > 0 && slices.Contains(names, d.mods[0]) {
		m := d.mods[0]
		d.mods = d.mods[1:]
		return m
	}
	return ""
}

// one is opt, and an error if there is none.
func (d *decoder) one(names ...string) string {
	m := d.opt(names...)
	if m == "" {
		have := "nothing"
		if len(d.mods) > 0 {
			have = "." + d.mods[0]
		}
		d.fail("unsupported modifier: found %s, want one of .%s", have, strings.Join(names, " ."))
	}
	return m
}

func (d *decoder) flag(name string) bool { return d.opt(name) != "" }

// types takes the next modifier, which must be one of the types.
func (d *decoder) types(allowed ...Type) Type {
	if len(d.mods) > 0 {
		if t, ok := typeByName[d.mods[0]]; ok && slices.Contains(allowed, t) {
			d.mods = d.mods[1:]
			return t
		}
		d.fail("unsupported type or modifier .%s", d.mods[0])
	} else {
		d.fail("type is missing")
	}
	return B32
}

// count checks the number of operands; afterwards d.op is safe below lo.
func (d *decoder) count(lo, hi int) bool {
	if n := len(d.s.ops); d.err == nil && (n < lo || n > hi) {
		d.fail("%d operands", n)
	}
	return d.err == nil
}

func (d *decoder) op(i int) *operand {
	if i < len(d.s.ops) {
		return &d.s.ops[i]
	}
	d.fail("operand %d is missing", i+1)
	return &operand{}
}

func (d *decoder) newReg(name string, t Type) int32 {
	d.e.regNames = append(d.e.regNames, name)
	d.e.regMasks = append(d.e.regMasks, mask(t.width()))
	d.e.nregs++
	return int32(d.e.nregs - 1)
}

func (d *decoder) newPred() int32 {
	d.e.npreds++
	return int32(d.e.npreds - 1)
}

// register gives the number of a declared register of a type that fits t.
func (d *decoder) register(o *operand, t Type, wide bool) (int32, Type) {
	rt, ok := d.b.regs[o.name]
	switch {
	case o.kind != opName || !ok:
		d.fail("operand %q is no register", o.name)
		return 0, t
	case !fits(rt, t, wide):
		d.fail("register %s is .%s where .%s is wanted", o.name, rt, t)
		return 0, t
	case o.neg && t != Pred:
		d.fail("! on a register that is no predicate")
	}
	i, ok := d.index[o.name]
	if !ok {
		if rt == Pred {
			i = d.newPred()
		} else {
			i = d.newReg(o.name, rt)
		}
		d.index[o.name] = i
	}
	return i, rt
}

// dst gives the destination register.
func (d *decoder) dst(o *operand, t Type) int32 {
	if o.kind == opSink {
		d.fail("_ is no destination here")
	}
	r, _ := d.register(o, t, false)
	return r
}

// src gives a source: a register, a special register, a literal.
func (d *decoder) src(o *operand, t Type) int32 { return d.source(o, t, false) }

func (d *decoder) source(o *operand, t Type, wide bool) int32 {
	switch o.kind {
	case opInt, opFloat:
		if v, ok := o.immediate(t); ok {
			return d.constant(v)
		}
		d.fail("literal is no .%s", t)
		return 0
	case opName:
		if _, ok := d.b.regs[o.name]; !ok {
			if o.name == "WARP_SZ" && t.class() != float && t.Size() >= 4 {
				return d.constant(lanes)
			}
			d.fail("unknown register %s", o.name)
			return 0
		}
		r, _ := d.register(o, t, wide)
		return r
	}
	d.fail("bad operand")
	return 0
}

func (d *decoder) constant(v uint64) int32 {
	if r, ok := d.consts[v]; ok {
		return r
	}
	r := d.newReg("", B64)
	d.consts[v] = r
	d.e.consts = append(d.e.consts, constReg{r, v})
	return r
}

// predReg gives a predicate register's number; the caller looks at o.neg. The
// literals 0, 1 and −1 are predicates, too: a compiler writes mov.pred %p1, -1.
func (d *decoder) predReg(o *operand) int32 {
	if o.kind == opInt {
		if v := int64(o.val); v < -1 || v > 1 {
			d.fail("literal is no predicate")
		}
		truth := -uint32(o.val & 1)
		for _, c := range d.e.constPreds {
			if c.val == truth {
				return c.reg
			}
		}
		r := d.newPred()
		d.e.constPreds = append(d.e.constPreds, constPred{r, truth})
		return r
	}
	return d.predRegister(o)
}

func (d *decoder) predRegister(o *operand) int32 {
	r, _ := d.register(o, Pred, false)
	return r
}

// literalInt wants an integer literal from lo to hi.
func (d *decoder) literalInt(o *operand, lo, hi int64) int64 {
	if o.kind != opInt || int64(o.val) < lo || int64(o.val) > hi {
		d.fail("want a literal from %d to %d", lo, hi)
		return lo
	}
	return int64(o.val)
}

// vector gives the elements of {…}, each of type t; a sink where _ may stand.
func (d *decoder) vector(o *operand, n int, t Type, wide, dst bool) []int32 {
	if o.kind != opVector || len(o.list) != n {
		d.fail("want a vector of %d", n)
		return make([]int32, n)
	}
	v := make([]int32, n)
	for i := range v {
		e := &o.list[i]
		switch {
		case e.kind == opSink && dst:
			v[i] = d.sink
		case dst:
			v[i], _ = d.register(e, t, wide)
			if slices.Contains(v[:i], v[i]) {
				d.fail("register %s is written twice", e.name)
			}
		default:
			v[i] = d.source(e, t, wide)
		}
	}
	return v
}

// plain decodes "d, a", "d, a, b" or "d, a, b, c" of one type and sets the
// function of as many sources.
func (d *decoder) plain(t Type, n int) {
	if !d.count(n+1, n+1) {
		return
	}
	d.in.d, d.in.width, d.in.typ = d.dst(d.op(0), t), uint8(t.width()), t
	regs := [3]*int32{&d.in.a, &d.in.b, &d.in.c}
	for i := range n {
		*regs[i] = d.src(d.op(i+1), t)
	}
	d.in.exec = [...]execFn{nil, exec1, exec2, exec3}[n]
}
