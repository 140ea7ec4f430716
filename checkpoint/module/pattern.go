package module

import (
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/bitlane/bitlane/quant"
)

// Pattern compiles a module pattern as checkpoints write them: a Python
// regular expression matched at the start of the name and free at its end
// (re.match). Go's regular expressions have no lookaround and no back
// references, on purpose: a pattern that needs them is ErrUnsupported, naming
// the construct; it is never approximated. field says where it was found.
func Pattern(field, expr string) (*regexp.Regexp, error) {
	refuse := func(want, has string) error {
		return quant.Errorf(quant.ErrUnsupported, field, "pattern", want, "%.200q%s", expr, has)
	}
	translated, what := translate(expr)
	if what != "" {
		return nil, refuse("a pattern without "+what+" (several simpler patterns can say the same)", "")
	}
	tree, err := syntax.Parse(translated, syntax.Perl)
	if err != nil {
		return nil, refuse("a regular expression as Go reads it", ": "+err.Error())
	}
	// Counted repeats are copied out: nine bytes can ask for a thousand copies.
	if prog, err := syntax.Compile(tree.Simplify()); err != nil || len(prog.Inst) > 4*len(expr)+256 {
		return nil, refuse("smaller counted repeats", "")
	}
	// The group keeps the anchor in front of every alternative of a|b.
	re, err := regexp.Compile(`\A(?:` + translated + `)`)
	if err != nil {
		return nil, refuse("a regular expression as Go reads it", ": "+err.Error())
	}
	return re, nil
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

// translate turns a Python pattern into Go's syntax, or names what in it has no
// counterpart there.
func translate(expr string) (translated, what string) {
	out := make([]byte, 0, len(expr))
	class := false
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
			if !class && d == 'Z' {
				d = 'z' // the end of the text is \Z in Python
			}
			out = append(out, d)
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
		case c == '(':
			for _, l := range lookaround {
				if strings.HasPrefix(expr[i:], l.open) {
					return "", l.name
				}
			}
		}
	}
	return string(out), ""
}
