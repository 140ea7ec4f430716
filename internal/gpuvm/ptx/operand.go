package ptx

import (
	"math"
	"strconv"
	"strings"
)

type operandKind uint8

const (
	opName    operandKind = iota + 1 // register, special register, variable, label
	opInt                            // integer literal
	opFloat                          // float literal
	opVector                         // {a, b, …}
	opAddress                        // [base + offset]
	opPair                           // a|b
	opSink                           // _
)

// An operand is as written; decoding gives it a type.
type operand struct {
	kind   operandKind
	name   string
	neg    bool      // !p
	val    uint64    // opInt: two's complement; opFloat: bits of a float64 or, with single set, of a float32
	minus  bool      // opInt: written with a minus
	single bool      // opFloat: 0f…
	list   []operand // opVector: elements; opPair: two; opAddress: the base
	off    int64     // opAddress
}

func (p *parser) operand() (operand, error) {
	o, err := p.primary()
	if err != nil {
		return o, err
	}
	if p.accept("|") {
		b, err := p.primary()
		if err != nil {
			return o, err
		}
		return operand{kind: opPair, list: []operand{o, b}}, nil
	}
	return o, nil
}

func (p *parser) primary() (operand, error) {
	t := p.peek()
	switch {
	case t.text == "{":
		return p.vector()
	case t.text == "[":
		return p.address()
	case t.text == "!":
		p.i++
		if p.peek().kind != tokWord {
			return operand{}, p.errorf("expected a predicate")
		}
		return operand{kind: opName, name: p.next().text, neg: true}, nil
	case t.kind == tokNumber || t.text == "-":
		return p.literal()
	case t.text == "_":
		p.i++
		return operand{kind: opSink}, nil
	case t.kind == tokWord && t.text[0] != '.':
		p.i++
		return operand{kind: opName, name: t.text}, nil
	}
	return operand{}, p.errorf("expected an operand")
}

func (p *parser) vector() (operand, error) {
	p.i++
	o := operand{kind: opVector}
	for {
		e, err := p.primary()
		if err != nil {
			return o, err
		}
		if e.kind == opVector || e.kind == opAddress || len(o.list) == 16 {
			return o, p.errorf("bad vector")
		}
		o.list = append(o.list, e)
		if p.accept("}") {
			return o, nil
		}
		if err := p.expect(","); err != nil {
			return o, err
		}
	}
}

func (p *parser) address() (operand, error) {
	p.i++
	o := operand{kind: opAddress}
	base, err := p.primary()
	if err != nil {
		return o, err
	}
	if base.kind != opName && base.kind != opInt || base.neg {
		return o, p.errorf("bad address")
	}
	o.list = []operand{base}
	sign := int64(1)
	if p.peek().text == "+" || p.peek().text == "-" {
		if p.next().text == "-" {
			sign = -1
		}
		off, err := p.literal()
		if err != nil {
			return o, err
		}
		if off.kind != opInt || int64(off.val) != int64(int32(off.val)) {
			return o, p.errorf("bad address offset")
		}
		o.off = sign * int64(off.val)
	}
	return o, p.expect("]")
}

// literal reads an integer or float with an optional minus.
func (p *parser) literal() (operand, error) {
	minus := p.accept("-")
	t := p.peek()
	if t.kind != tokNumber {
		return operand{}, p.errorf("expected a number")
	}
	s := t.text
	if len(s) > 2 && s[0] == '0' {
		single := s[1] == 'f' || s[1] == 'F'
		if single || s[1] == 'd' || s[1] == 'D' {
			v, err := strconv.ParseUint(s[2:], 16, 64)
			if err != nil || minus || single != (len(s) == 10) || !single && len(s) != 18 {
				return operand{}, p.errorf("bad float")
			}
			p.i++
			return operand{kind: opFloat, val: v, single: single}, nil
		}
	}
	if strings.Contains(s, ".") {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return operand{}, p.errorf("bad float")
		}
		if minus {
			v = -v
		}
		p.i++
		return operand{kind: opFloat, val: math.Float64bits(v)}, nil
	}
	if strings.Contains(s, "_") {
		return operand{}, p.errorf("bad integer")
	}
	v, err := strconv.ParseUint(strings.TrimSuffix(s, "U"), 0, 64)
	if err != nil || strings.HasPrefix(s, "0o") || strings.HasPrefix(s, "0O") || minus && v > 1<<63 {
		return operand{}, p.errorf("bad integer")
	}
	if minus {
		v = -v
	}
	p.i++
	return operand{kind: opInt, val: v, minus: minus}, nil
}

// immediate gives the literal as bits of type t.
func (o *operand) immediate(t Type) (uint64, bool) {
	switch {
	case o.kind == opInt && t.class() != float && t != Pred:
		w := t.width()
		if o.minus {
			return o.val & mask(w), extend(o.val, w) == int64(o.val)
		}
		return o.val & mask(w), o.val&^mask(w) == 0
	case o.kind == opFloat && (t == F32 || t == B32 && o.single):
		if o.single {
			return o.val, true
		}
		return uint64(math.Float32bits(float32(math.Float64frombits(o.val)))), true
	case o.kind == opFloat && (t == F64 || t == B64 && !o.single):
		if o.single {
			return math.Float64bits(float64(math.Float32frombits(uint32(o.val)))), true
		}
		return o.val, true
	}
	return 0, false
}
