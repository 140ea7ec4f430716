package ptx

import (
	"sort"
	"strconv"
	"strings"
)

// A statement is one instruction as written.
type statement struct {
	guard    string // predicate register, or ""
	guardNot bool
	parts    []string // opcode split at its dots
	ops      []operand
	line     int
	text     string // as in the source
}

// A body collects one entry before it is decoded.
type body struct {
	entry  *Entry
	vars   map[string]*variable // parameters, function-scope variables, then the module's
	regs   map[string]Type      // by unique name
	scopes []map[string]string  // declared name to unique name, innermost last
	nregs  int
	labels map[string]int
	tables map[string][]string // .branchtargets
	stmts  []statement
}

func (p *parser) entry() error {
	e := &Entry{Module: p.m}
	b := &body{entry: e, vars: map[string]*variable{}, regs: map[string]Type{}, labels: map[string]int{}, tables: map[string][]string{}}
	var err error
	if e.Name, err = p.identifier(); err != nil {
		return err
	}
	if p.m.Entry(e.Name) != nil {
		return p.errorf("entry " + e.Name + " is defined twice")
	}
	if p.accept("(") {
		if err := p.params(b); err != nil {
			return err
		}
	}
	if err := p.tuning(e); err != nil {
		return err
	}
	if err := p.expect("{"); err != nil {
		return err
	}
	if err := p.scope(b); err != nil {
		return err
	}
	p.m.Entries = append(p.m.Entries, e)
	return p.decodeBody(b)
}

func (p *parser) params(b *body) error {
	for !p.accept(")") {
		if len(b.entry.Params) > 0 {
			if err := p.expect(","); err != nil {
				return err
			}
		}
		if err := p.expect(".param"); err != nil {
			return err
		}
		prm := Param{}
		align := 0
		// Clang writes .param .u64 .ptr .global .align 8 name with newer versions.
		t, err := p.alignAndType(&align)
		if err != nil {
			return err
		}
		if p.accept(".ptr") {
			if _, ok := varSpaces[p.peek().text]; ok {
				p.i++
			}
			if p.accept(".align") {
				if _, err := p.integer(); err != nil {
					return err
				}
			}
		}
		if prm.Name, err = p.identifier(); err != nil {
			return err
		}
		n := 1
		if p.accept("[") {
			if n, err = p.integer(); err != nil {
				return err
			}
			if err := p.expect("]"); err != nil {
				return err
			}
		}
		if n < 1 || n > maxParams {
			return p.errorf("bad parameter size")
		}
		prm.Size, prm.Align = n*t.Size(), align
		prm.Offset = alignUp(b.entry.paramBytes, align)
		b.entry.paramBytes = prm.Offset + prm.Size
		if b.entry.paramBytes > maxParams {
			return p.errorf("parameters take more than 4096 bytes")
		}
		if b.vars[prm.Name] != nil {
			return p.errorf("parameter " + prm.Name + " is declared twice")
		}
		b.entry.Params = append(b.entry.Params, prm)
		b.vars[prm.Name] = &variable{name: prm.Name, space: param, size: prm.Size, align: align, offset: paramBase + prm.Offset}
	}
	return nil
}

func alignUp(n, a int) int { return (n + a - 1) &^ (a - 1) }

func (p *parser) tuning(e *Entry) error {
	for p.peek().text != "{" {
		t := p.next()
		var v [3]uint32
		n := 0
		switch t.text {
		case ".pragma":
			p.i--
			if err := p.harmless(); err != nil {
				return err
			}
			continue
		case ".maxntid", ".reqntid", ".minnctapersm", ".maxnreg":
			for n == 0 || n < 3 && p.accept(",") {
				c, err := p.integer()
				if err != nil {
					return err
				}
				v[n] = uint32(c)
				n++
			}
		default:
			p.i--
			return p.errorf("unsupported directive of an entry")
		}
		for i := n; i < 3; i++ {
			v[i] = 1
		}
		switch t.text {
		case ".maxntid":
			e.MaxThreads = v
		case ".reqntid":
			e.ReqThreads = v
		case ".minnctapersm":
			e.MinBlocks = int(v[0])
		case ".maxnreg":
			e.MaxRegs = int(v[0])
		}
	}
	return nil
}

// scope reads statements up to the closing brace. Nested braces are scopes for
// registers, as inline assembly writes them; labels stay unique in the entry.
func (p *parser) scope(b *body) error {
	b.scopes = append(b.scopes, map[string]string{})
	for {
		t := p.peek()
		switch {
		case t.kind == tokEOF:
			return p.errorf("entry without end")
		case t.text == "}":
			p.i++
			b.scopes = b.scopes[:len(b.scopes)-1]
			if len(b.scopes) == 0 {
				return nil
			}
		case t.text == "{":
			p.i++
			if b.scopes = append(b.scopes, map[string]string{}); len(b.scopes) > 64 {
				return p.errorf("scopes too deep")
			}
		case t.text == ".reg":
			p.i++
			if err := p.registers(b); err != nil {
				return err
			}
		case t.text == ".shared" || t.text == ".local" || t.text == ".extern":
			if err := p.functionVar(b); err != nil {
				return err
			}
		case t.text == ".loc" || t.text == ".pragma":
			if err := p.harmless(); err != nil {
				return err
			}
		case t.kind == tokWord && t.text[0] == '.':
			return p.errorf("unsupported directive")
		case t.kind == tokWord && p.toks[p.i+1].text == ":" && p.toks[p.i+1].kind == tokPunct:
			if err := p.label(b); err != nil {
				return err
			}
		default:
			if err := p.statement(b); err != nil {
				return err
			}
		}
	}
}

func (p *parser) functionVar(b *body) error {
	v, err := p.variable(p.accept(".extern"))
	if err != nil {
		return err
	}
	if b.vars[v.name] != nil || v.space != shared && v.space != local {
		return p.errorf("bad variable " + v.name)
	}
	b.vars[v.name] = v
	return nil
}

func (p *parser) registers(b *body) error {
	t, ok := typeByName[strings.TrimPrefix(p.peek().text, ".")]
	if !ok || p.peek().text[0] != '.' || t == B8 || t == U8 || t == S8 {
		return p.errorf("bad register type")
	}
	p.i++
	for {
		name, err := p.identifier()
		if err != nil {
			return err
		}
		if p.accept("<") {
			n, err := p.integer()
			if err != nil {
				return err
			}
			if n > maxRegisters || b.nregs+n > maxRegisters {
				return p.errorf("too many registers")
			}
			for i := range n {
				if err := p.register(b, name+strconv.Itoa(i), t); err != nil {
					return err
				}
			}
			if err := p.expect(">"); err != nil {
				return err
			}
		} else if err := p.register(b, name, t); err != nil {
			return err
		}
		if !p.accept(",") {
			return p.expect(";")
		}
	}
}

func (p *parser) register(b *body, name string, t Type) error {
	if b.nregs++; b.nregs > maxRegisters {
		return p.errorf("too many registers")
	}
	inner := b.scopes[len(b.scopes)-1]
	if _, ok := inner[name]; ok {
		return p.errorf("register " + name + " is declared twice")
	}
	unique := name
	if len(b.scopes) > 1 {
		unique += "@" + strconv.Itoa(b.nregs)
	}
	inner[name], b.regs[unique] = unique, t
	return nil
}

// resolve gives the unique name of the register called name here, or name.
func (b *body) resolve(name string) string {
	for i := len(b.scopes) - 1; i >= 0; i-- {
		if u, ok := b.scopes[i][name]; ok {
			return u
		}
	}
	return name
}

func (b *body) resolveAll(ops []operand) {
	for i := range ops {
		ops[i].name = b.resolve(ops[i].name)
		b.resolveAll(ops[i].list)
	}
}

func (p *parser) label(b *body) error {
	name := p.next().text
	p.i++
	if p.peek().text == ".branchtargets" {
		p.i++
		for {
			l, err := p.identifier()
			if err != nil {
				return err
			}
			b.tables[name] = append(b.tables[name], l)
			if !p.accept(",") {
				return p.expect(";")
			}
		}
	}
	if _, ok := b.labels[name]; ok {
		return p.errorf("label " + name + " is defined twice")
	}
	b.labels[name] = len(b.stmts)
	return nil
}

func (p *parser) statement(b *body) error {
	start := p.peek()
	s := statement{line: start.line}
	if p.accept("@") {
		s.guardNot = p.accept("!")
		var err error
		if s.guard, err = p.identifier(); err != nil {
			return err
		}
	}
	op := p.peek()
	if op.kind != tokWord || op.text[0] == '.' || op.text[0] == '%' {
		return p.errorf("expected an instruction")
	}
	s.parts = strings.Split(op.text, ".")
	if decoders[s.parts[0]] == nil {
		return p.errorf("unsupported opcode " + s.parts[0])
	}
	p.i++
	for p.peek().text != ";" || p.peek().kind != tokPunct {
		if len(s.ops) > 0 {
			if err := p.expect(","); err != nil {
				return err
			}
		}
		o, err := p.operand()
		if err != nil {
			return err
		}
		if s.ops = append(s.ops, o); len(s.ops) > maxStatement {
			return p.errorf("too many operands")
		}
	}
	b.resolveAll(s.ops)
	s.guard = b.resolve(s.guard)
	s.text = p.src[start.pos:p.peek().pos]
	p.i++
	b.stmts = append(b.stmts, s)
	return nil
}

// opcodes lists the distinct spellings used.
func (b *body) opcodes() []string {
	seen := map[string]bool{}
	var list []string
	for _, s := range b.stmts {
		if o := strings.Join(s.parts, "."); !seen[o] {
			seen[o] = true
			list = append(list, o)
		}
	}
	sort.Strings(list)
	return list
}
