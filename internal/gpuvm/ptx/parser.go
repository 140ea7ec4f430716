package ptx

import (
	"strconv"
	"strings"
)

// Limits that keep hostile input from costing much.
const (
	maxSource    = 32 << 20
	maxRegisters = 1 << 16
	maxParams    = 4096
	maxStatic    = 1 << 20
	maxGlobals   = 64 << 20
	maxStatement = 1 << 12 // operands of one statement
)

type parser struct {
	name    string
	src     string
	toks    []token
	i       int
	m       *Module
	globals map[string]*variable // module scope, shared ones too
	bytes   int                  // of module-scope variables so far
}

// Parse reads one PTX file; name is for messages. It accepts only what the
// machine executes faithfully: any other directive, opcode, modifier or operand
// is a *ParseError.
func Parse(name string, src []byte) (*Module, error) {
	if len(src) > maxSource {
		return nil, &ParseError{name, 1, "", "source is larger than 32 MiB"}
	}
	s := strings.TrimRight(string(src), "\x00")
	toks, err := lex(name, s)
	if err != nil {
		return nil, err
	}
	p := &parser{name: name, src: s, toks: toks, m: &Module{Name: name}, globals: map[string]*variable{}}
	for p.peek().kind != tokEOF {
		if err := p.moduleItem(); err != nil {
			return nil, err
		}
	}
	if p.m.arch == 0 || p.m.Version[0] == 0 {
		return nil, p.errorf("no .version and .target")
	}
	return p.m, p.checkRefs()
}

func (p *parser) checkRefs() error {
	for _, v := range p.m.globals {
		for _, r := range v.refs {
			if t := p.globals[r.target]; t == nil || t.space == shared {
				return &ParseError{p.name, 1, r.target, "initialiser of " + v.name + " names an unknown variable"}
			}
		}
	}
	return nil
}

func (p *parser) peek() token { return p.toks[p.i] }

func (p *parser) next() token {
	t := p.toks[p.i]
	if t.kind != tokEOF {
		p.i++
	}
	return t
}

func (p *parser) accept(text string) bool {
	if t := p.peek(); t.text == text && t.kind != tokString && t.kind != tokEOF {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(text string) error {
	if !p.accept(text) {
		return p.errorf("expected " + strconv.Quote(text))
	}
	return nil
}

func (p *parser) errorf(msg string) error {
	t := p.peek()
	return &ParseError{p.name, t.line, shorten(p.src[t.pos:]), msg}
}

func (p *parser) integer() (int, error) {
	t := p.peek()
	if t.kind == tokNumber {
		if v, err := strconv.ParseUint(strings.TrimSuffix(t.text, "U"), 0, 31); err == nil {
			p.i++
			return int(v), nil
		}
	}
	return 0, p.errorf("expected an integer")
}

func (p *parser) identifier() (string, error) {
	t := p.peek()
	if t.kind != tokWord || t.text[0] == '.' || strings.ContainsAny(t.text, ".:") {
		return "", p.errorf("expected a name")
	}
	p.i++
	return t.text, nil
}

func (p *parser) moduleItem() error {
	t := p.peek()
	if p.m.arch == 0 && t.text != ".version" && t.text != ".target" {
		return p.errorf("a module starts with .version and .target")
	}
	switch t.text {
	case ".version":
		p.i++
		return p.version()
	case ".target":
		p.i++
		return p.target()
	case ".address_size":
		p.i++
		if n, err := p.integer(); err != nil {
			return err
		} else if n != 64 {
			return p.errorf(".address_size other than 64")
		}
		return nil
	case ".file", ".pragma":
		return p.harmless()
	case ".visible", ".weak", ".extern", ".common":
		p.i++
		if p.peek().text == ".entry" && (t.text == ".visible" || t.text == ".weak") {
			return nil
		}
		return p.moduleVar(t.text)
	case ".entry":
		p.i++
		return p.entry()
	case ".func", ".alias":
		return p.errorf("functions are not supported: inline them")
	}
	return p.moduleVar("")
}

func (p *parser) version() error {
	t := p.next()
	major, minor, ok := strings.Cut(t.text, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if t.kind != tokNumber || !ok || err1 != nil || err2 != nil || a < 6 || a > 9 {
		return p.errorf("bad .version " + t.text)
	}
	p.m.Version = [2]int{a, b}
	return nil
}

func (p *parser) target() error {
	t := p.next()
	digits, ok := strings.CutPrefix(t.text, "sm_")
	if n := strings.TrimRight(digits, "af"); n != digits {
		p.m.archOnly, digits = true, n
	}
	arch, err := strconv.Atoi(digits)
	if !ok || err != nil || arch < 70 || arch > 199 {
		return p.errorf("bad .target " + t.text)
	}
	p.m.Target, p.m.arch = t.text, arch
	if p.accept(",") {
		return p.errorf("unsupported platform option")
	}
	return nil
}

// harmless skips directives that carry no meaning for execution: source files
// and lines, and the pragma that a compiler writes for loops.
func (p *parser) harmless() error {
	switch t := p.next(); t.text {
	case ".file", ".loc":
		line := t.line
		for p.peek().line == line && p.peek().kind != tokEOF {
			p.i++
		}
		return nil
	}
	if t := p.peek(); t.kind != tokString || t.text != "nounroll" {
		return p.errorf("unsupported .pragma")
	}
	p.i++
	return p.expect(";")
}

func (p *parser) moduleVar(linkage string) error {
	v, err := p.variable(linkage == ".extern")
	if err != nil {
		return err
	}
	switch {
	case v.space == shared && v.init == nil:
	case v.space == global || v.space == constant:
		if linkage == ".extern" || linkage == ".common" {
			return p.errorf("variable " + v.name + " is defined elsewhere")
		}
		p.m.globals = append(p.m.globals, v)
	default:
		return p.errorf("a " + v.space.String() + " variable cannot be here")
	}
	if p.globals[v.name] != nil {
		return p.errorf("variable " + v.name + " is defined twice")
	}
	p.globals[v.name] = v
	if p.bytes += v.size; p.bytes > maxGlobals {
		return p.errorf("variables take more than 64 MiB")
	}
	return nil
}

var varSpaces = map[string]space{".global": global, ".const": constant, ".shared": shared, ".local": local}

// variable reads ".space .align n .type name[n] = {…};".
func (p *parser) variable(extern bool) (*variable, error) {
	sp, ok := varSpaces[p.peek().text]
	if !ok {
		return nil, p.errorf("unsupported directive")
	}
	p.i++
	v := &variable{space: sp, extern: extern, offset: -1}
	t, err := p.alignAndType(&v.align)
	if err != nil {
		return nil, err
	}
	if v.name, err = p.identifier(); err != nil {
		return nil, err
	}
	n := 1
	for p.accept("[") {
		if p.accept("]") {
			if !extern || sp != shared {
				return nil, p.errorf("array without size")
			}
			n = 0
			continue
		}
		c, err := p.integer()
		if err != nil {
			return nil, err
		}
		if c > maxGlobals || n*c > maxGlobals {
			return nil, p.errorf("variable " + v.name + " is too large")
		}
		n *= c
		if err := p.expect("]"); err != nil {
			return nil, err
		}
	}
	v.size = n * t.Size()
	if extern != (sp == shared && v.size == 0) {
		return nil, p.errorf("only an .extern .shared array may be, and must be, without size: " + v.name)
	}
	if (sp == shared || sp == local) && v.size > maxStatic || v.size > maxGlobals {
		return nil, p.errorf("variable " + v.name + " is too large")
	}
	if p.accept("=") {
		if sp == shared || sp == local {
			return nil, p.errorf("initialiser in " + sp.String() + " memory")
		}
		if err := p.initialiser(v, t); err != nil {
			return nil, err
		}
	}
	return v, p.expect(";")
}

func (p *parser) alignAndType(align *int) (Type, error) {
	if p.accept(".align") {
		n, err := p.integer()
		if err != nil {
			return 0, err
		}
		if n == 0 || n&(n-1) != 0 || n > 1024 {
			return 0, p.errorf("bad alignment")
		}
		*align = n
	}
	if p.accept(".attribute") || p.accept(".v2") || p.accept(".v4") {
		return 0, p.errorf("unsupported attribute of a variable")
	}
	t, ok := typeByName[strings.TrimPrefix(p.peek().text, ".")]
	if !ok || t == Pred || p.peek().text[0] != '.' {
		return 0, p.errorf("expected a type")
	}
	p.i++
	*align = max(*align, t.Size())
	return t, nil
}

// initialiser reads a value or a flat list; what it does not name is zero.
func (p *parser) initialiser(v *variable, t Type) error {
	v.init = make([]byte, v.size)
	list := p.accept("{")
	for at := 0; !list || !p.accept("}"); at += t.Size() {
		if at > 0 && !p.accept(",") {
			return p.errorf("expected a comma")
		}
		if at+t.Size() > v.size {
			return p.errorf("too many values for " + v.name)
		}
		if p.peek().kind == tokWord {
			ref := varRef{at: at}
			var err error
			paren := p.accept("generic")
			if paren {
				if err := p.expect("("); err != nil {
					return err
				}
			}
			if ref.target, err = p.identifier(); err != nil {
				return err
			}
			if paren {
				if err := p.expect(")"); err != nil {
					return err
				}
			}
			if p.accept("+") {
				n, err := p.integer()
				if err != nil {
					return err
				}
				ref.add = int64(n)
			}
			if t.Size() != 8 {
				return p.errorf("an address needs 64 bits")
			}
			v.refs = append(v.refs, ref)
		} else {
			o, err := p.literal()
			if err != nil {
				return err
			}
			val, ok := o.immediate(t)
			if !ok {
				return p.errorf("value does not fit ." + t.String())
			}
			putLE(v.init[at:at+t.Size()], val)
		}
		if !list {
			break
		}
	}
	return nil
}

func putLE(b []byte, v uint64) {
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
}

func getLE(b []byte) uint64 {
	var v uint64
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}
