package asmcheck

import "fmt"

// Problem is one place that breaks one rule.
type Problem struct {
	Path string // relative to the module's root
	Line int    // from 1; 0: the file or the package as a whole
	Rule string // see the package comment
	Text string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", p.Path, p.Rule, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.Path, p.Line, p.Rule, p.Text)
}

// The rules; see the package comment.
const (
	rulePackage    = "package"
	ruleLayout     = "layout"
	ruleSyntax     = "syntax"
	ruleEncoding   = "encoding"
	ruleTier       = "tier"
	ruleForm       = "form"
	ruleVzeroupper = "vzeroupper"
	ruleTwin       = "twin"
	ruleGuard      = "guard"
)
