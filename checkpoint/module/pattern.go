package module

import (
	"regexp"
	"strings"

	"github.com/bitlane/bitlane/quant"
)

// Pattern compiles a module pattern as checkpoints write them: a Python
// regular expression matched at the start of the name and free at its end
// (re.match). Go's regular expressions have no lookaround and no back
// references, on purpose: a pattern that needs them is ErrUnsupported, naming
// the construct; it is never approximated. field says where it was found.
func Pattern(field, expr string) (*regexp.Regexp, error) {
	if what := beyondRE2(expr); what != "" {
		return nil, quant.Errorf(quant.ErrUnsupported, field, "pattern", "a pattern without "+what+" (write it with several simpler patterns)", "%q", expr)
	}
	// The group keeps the anchor in front of every alternative of a|b.
	re, err := regexp.Compile(`\A(?:` + expr + `)`)
	if err != nil {
		return nil, quant.Errorf(quant.ErrFormat, field, "pattern", "a regular expression", "%q: %v", expr, err)
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

// beyondRE2 names what in a Python pattern RE2 cannot express, or "".
func beyondRE2(expr string) string {
	class := false
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; {
		case c == '\\' && i+1 < len(expr):
			i++
			if d := expr[i]; !class && '1' <= d && d <= '9' {
				return `back reference \` + string(d)
			}
		case class:
			class = c != ']'
		case c == '[':
			class = true
			if strings.HasPrefix(expr[i+1:], "^") {
				i++
			}
			if strings.HasPrefix(expr[i+1:], "]") {
				i++ // a ] that comes first is literal
			}
		case c == '(':
			for _, l := range lookaround {
				if strings.HasPrefix(expr[i:], l.open) {
					return l.name
				}
			}
		}
	}
	return ""
}
