package module

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/bitlane/bitlane/quant"
)

// Patterns compiles and matches the module patterns of one configuration, and
// bounds what all of them cost together: configurations are hostile, and a
// pattern of a megabyte takes a million steps for each byte of a name. The zero
// value is ready. One goroutine at a time may use it.
type Patterns struct {
	size int   // instructions of all patterns
	work int64 // steps of all matches
}

// The bounds, far above any published model: one entry for each expert
// projection of a large mixture; a hundred patterns asked for each module.
const (
	maxProgram = 1 << 21
	maxWork    = 1 << 33
	maxAhead   = 16     // of a pattern: each is a compiled pattern of its own,
	aheadSize  = 1 << 6 // which counts as so many instructions more
)

// Pattern is a compiled module pattern.
type Pattern struct {
	re     *regexp.Regexp
	ahead  []lookahead
	field  string
	prefix string // every name that matches begins with it
	cost   int64  // steps for each byte of a name
}

// Compile compiles a module pattern as checkpoints write them: a Python
// regular expression matched at the start of the name and free at its end
// (re.match). Lookaheads at the start of the whole pattern, "^(?!.*mlp).*", are conditions on
// the name beside the rest. Go's regular expressions have no other lookaround and no back
// references, on purpose: a pattern that needs them is quant.ErrUnsupported,
// naming the construct; it is never approximated. field says where it was
// found.
func (p *Patterns) Compile(field, expr string) (*Pattern, error) {
	ahead, rest := leading(expr)
	if len(ahead) > maxAhead {
		return nil, quant.Errorf(quant.ErrUnsupported, field, "pattern", fmt.Sprintf("at most %d lookaheads", maxAhead), "%.200q with %d", expr, len(ahead))
	}
	x, err := p.compile(field, expr, rest, true)
	for i := 0; err == nil && i < len(ahead); i++ {
		p.size += aheadSize
		var y *Pattern
		if y, err = p.compile(field, expr, ahead[i].expr, true); err == nil {
			ahead[i].re = y.re
			x.cost += y.cost
		}
	}
	if err != nil {
		return nil, err
	}
	x.ahead = ahead
	return x, nil
}

// CompileSearch is Compile for patterns that may match anywhere in the name
// (re.search), where a lookahead is refused wherever it is.
func (p *Patterns) CompileSearch(field, expr string) (*Pattern, error) {
	return p.compile(field, expr, expr, false)
}

// compile compiles a part of expr.
func (p *Patterns) compile(field, expr, part string, atStart bool) (*Pattern, error) {
	refuse := func(want, has string) error {
		return quant.Errorf(quant.ErrUnsupported, field, "pattern", want, "%.200q%s", expr, has)
	}
	translated, what := translate(part)
	if what != "" {
		return nil, refuse("a pattern without "+what+" (several simpler patterns can say the same)", "")
	}
	tree, err := syntax.Parse(translated, syntax.Perl)
	if err != nil {
		return nil, refuse("a regular expression as Go reads it", ": "+err.Error())
	}
	// Counted repeats are copied out: nine bytes can ask for a thousand copies.
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil || len(prog.Inst) > 4*len(part)+256 {
		return nil, refuse("smaller counted repeats", "")
	}
	if p.size += len(prog.Inst); p.size > maxProgram {
		return nil, refuse(fmt.Sprintf("at most %d steps in all patterns together", maxProgram), " and those before it")
	}
	x := &Pattern{field: field, cost: 4 + int64(len(prog.Inst))}
	if atStart {
		// The group keeps the anchor in front of every alternative of a|b.
		translated, x.prefix = `\A(?:`+translated+`)`, literalPrefix(prog)
	}
	if x.re, err = regexp.Compile(translated); err != nil {
		return nil, refuse("a regular expression as Go reads it", ": "+err.Error())
	}
	return x, nil
}

// literalPrefix returns the text that every match begins with. A Regexp does not
// know it of a pattern that is anchored.
func literalPrefix(prog *syntax.Prog) string {
	var prefix strings.Builder
	for i := &prog.Inst[prog.Start]; ; i = &prog.Inst[i.Out] {
		switch {
		case i.Op == syntax.InstNop, i.Op == syntax.InstCapture:
		case i.Op == syntax.InstEmptyWidth && syntax.EmptyOp(i.Arg)&^(syntax.EmptyBeginText|syntax.EmptyBeginLine) == 0:
		case i.Op == syntax.InstRune1, i.Op == syntax.InstRune && len(i.Rune) == 1 && syntax.Flags(i.Arg)&syntax.FoldCase == 0:
			prefix.WriteRune(i.Rune[0])
		default:
			return prefix.String()
		}
	}
}

// match reports whether a pattern that p compiled matches name.
func (p *Patterns) match(x *Pattern, name string) (bool, error) {
	if !strings.HasPrefix(name, x.prefix) {
		return false, nil
	}
	if int64(len(name)) > (maxWork-p.work)/x.cost {
		return false, p.tooMuch(x)
	}
	p.work += x.cost * int64(len(name))
	for _, a := range x.ahead {
		if a.re.MatchString(name) != a.wanted {
			return false, nil
		}
	}
	return x.re.MatchString(name), nil
}

func (p *Patterns) tooMuch(x *Pattern) error {
	return quant.Errorf(quant.ErrUnsupported, x.field, "", "fewer or shorter patterns, or patterns that begin with literal text", "patterns for too many modules")
}

var lookaround = []struct{ open, name string }{
	{"(?!", "negative lookahead (?!…)"},
	{"(?=", "lookahead (?=…)"},
	{"(?<!", "negative lookbehind (?<!…)"},
	{"(?<=", "lookbehind (?<=…)"},
	{"(?>", "atomic group (?>…)"},
	{"(?(", "conditional (?(…)…)"},
	{"(?P=", "back reference (?P=…)"},
}

// flagsInside hold for all of the pattern in older Pythons, are an error in newer ones, and hold
// from there on in Go.
const flagsInside = "flags (?i) behind its start"

// openRepeat is a counted repeat without its lower bound, which is 0 in Python.
var openRepeat = regexp.MustCompile(`^\{,(\d*)\}`)

// translate turns a Python pattern into Go's syntax, or names what in it has no
// counterpart there.
func translate(expr string) (translated, what string) {
	out := make([]byte, 0, len(expr))
	class, flags := false, len(globalFlags.FindString(expr))
	for i := 0; i < len(expr); i++ {
		c := expr[i]
		out = append(out, c)
		switch {
		case c == '\\' && i+1 < len(expr):
			i++
			d := expr[i]
			if !class && '1' <= d && d <= '9' {
				return "", `back reference \` + string(d)
			}
			if strings.IndexByte("pPQEC", d) >= 0 || strings.HasPrefix(expr[i:], "x{") {
				return "", `\` + string(d) + ", which Python does not have"
			}
			if !class && d == 'Z' {
				d = 'z' // the end of the text is \Z in Python
			}
			out = append(out, d)
		case class && c >= 0x80:
			// A range of them takes a thousand times its length to fold.
			return "", "a character class beyond ASCII"
		case class && c == '[': // [[:alpha:]] is no class of its own in Python
			out[len(out)-1] = '\\'
			out = append(out, '[')
		case class:
			class = c != ']'
		case c == '[':
			class = true
			for _, first := range []string{"^", "]"} { // a ] that comes first is literal
				if strings.HasPrefix(expr[i+1:], first) {
					i++
					out = append(out, expr[i])
				}
			}
		case c == '{':
			if m := openRepeat.FindStringSubmatch(expr[i:]); m != nil { // Go reads it as literal text
				out = append(out, "0,"+m[1]+"}"...)
				i += len(m[0]) - 1
			}
		case c == '(':
			if i >= flags && globalFlags.MatchString(expr[i:]) {
				return "", flagsInside
			}
			for _, l := range lookaround {
				if strings.HasPrefix(expr[i:], l.open) {
					return "", l.name
				}
			}
		}
	}
	return string(out), ""
}
