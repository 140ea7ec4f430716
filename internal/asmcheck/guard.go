package asmcheck

import (
	"go/ast"
	"go/token"
	"maps"
	"strings"
)

const cpuidPath = "github.com/klauspost/cpuid/v2"

// facts are what has been tested when control reaches a place.
type facts struct {
	features featureSet      // by name
	elements map[string]bool // variables whose field Needs was tested, or that are lists that were
}

func newFacts() facts { return facts{featureSet{}, map[string]bool{}} }

func (a facts) join(b facts) {
	maps.Copy(a.features, b.features)
	maps.Copy(a.elements, b.elements)
}

// tester is a function whose result, or whose return at all, means that
// features were tested: those of a list, and the Needs of one of its arguments.
type tester struct {
	exits    bool   // it does not come back when the features are missing
	features string // names with commas between, sorted
	argument int    // receiver for that, noArgument for none
}

const receiver, noArgument = -1, -2

// guards finds out what has been tested where.
type guards struct {
	testers map[global]tester // methods are listed by their name alone
}

// isNeeds reports the names of the field that lists features.
func isNeeds(name string) bool { return name == "Needs" || name == "needs" }

// cpuFeature returns the feature that an expression names.
func (f *goFile) cpuFeature(e ast.Expr) (string, bool) {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok && f.imports[x.Name] == cpuidPath {
			return s.Sel.Name, true
		}
	}
	return "", false
}

// elementOf returns v where e is v, &v, *v, v.Needs or v.Needs with either in
// brackets.
func elementOf(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name, true
	case *ast.ParenExpr:
		return elementOf(e.X)
	case *ast.StarExpr:
		return elementOf(e.X)
	case *ast.UnaryExpr:
		if e.Op == token.AND {
			return elementOf(e.X)
		}
	case *ast.SelectorExpr:
		if isNeeds(e.Sel.Name) {
			return elementOf(e.X)
		}
	}
	return "", false
}

// holds returns what is known where e is true.
func (g *guards) holds(f *goFile, e ast.Expr) facts {
	known := newFacts()
	switch e := e.(type) {
	case *ast.ParenExpr:
		return g.holds(f, e.X)
	case *ast.BinaryExpr:
		if e.Op == token.LAND {
			known.join(g.holds(f, e.X))
			known.join(g.holds(f, e.Y))
		}
	case *ast.CallExpr:
		g.call(f, e, false, known)
	}
	return known
}

// fails returns what is known where e is false.
func (g *guards) fails(f *goFile, e ast.Expr) facts {
	known := newFacts()
	switch e := e.(type) {
	case *ast.ParenExpr:
		return g.fails(f, e.X)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			return g.holds(f, e.X)
		}
	case *ast.BinaryExpr:
		if e.Op == token.LOR {
			known.join(g.fails(f, e.X))
			known.join(g.fails(f, e.Y))
		}
	}
	return known
}

// call adds what a call establishes: by being true, or by coming back.
func (g *guards) call(f *goFile, c *ast.CallExpr, cameBack bool, known facts) {
	if s, ok := c.Fun.(*ast.SelectorExpr); ok && !cameBack && (s.Sel.Name == "Supports" || s.Sel.Name == "Has") {
		if cpu, ok := f.cpuFeature(s.X); ok && cpu == "CPU" {
			for _, a := range c.Args {
				if name, ok := f.cpuFeature(a); ok {
					known.features.add(name)
				} else if v, ok := elementOf(a); ok && c.Ellipsis.IsValid() {
					known.elements[v] = true
				}
			}
			return
		}
	}
	t, on, ok := g.tester(f, c)
	if !ok || t.exits != cameBack {
		return
	}
	for _, name := range strings.FieldsFunc(t.features, func(r rune) bool { return r == ',' }) {
		known.features.add(name)
	}
	subject := on
	if t.argument >= 0 && t.argument < len(c.Args) {
		subject = c.Args[t.argument]
	}
	if v, ok := elementOf(subject); ok && t.argument != noArgument {
		known.elements[v] = true
	}
}

// tester returns the tester that a call names, and what it is called on.
func (g *guards) tester(f *goFile, c *ast.CallExpr) (t tester, on ast.Expr, ok bool) {
	switch fun := c.Fun.(type) {
	case *ast.Ident:
		t, ok = g.testers[global{f.pkg.path, fun.Name}]
	case *ast.SelectorExpr:
		if x, isName := fun.X.(*ast.Ident); isName && f.imports[x.Name] != "" {
			t, ok = g.testers[global{f.imports[x.Name], fun.Sel.Name}]
			break
		}
		on = fun.X
		t, ok = g.testers[global{"", fun.Sel.Name}]
	}
	return t, on, ok
}

// at returns what has been tested on every way to n. What was tested of an
// outer variable says nothing of an inner one of the same name.
func (g *guards) at(f *goFile, n ast.Node) facts {
	known, hidden := newFacts(), map[string]bool{}
	add := func(more facts) {
		for v := range hidden {
			delete(more.elements, v)
		}
		known.join(more)
	}
	for child, parent := n, f.parents[n]; parent != nil; child, parent = parent, f.parents[parent] {
		switch p := parent.(type) {
		case *ast.IfStmt:
			if child == p.Body {
				add(g.holds(f, p.Cond))
			}
			if child == p.Else {
				add(g.fails(f, p.Cond))
			}
			hide(hidden, p.Init)
		case *ast.BinaryExpr:
			if p.Op == token.LAND && child == p.Y {
				add(g.holds(f, p.X))
			}
		case *ast.BlockStmt:
			add(g.before(f, p.List, child, true))
			hide(hidden, upTo(p.List, child)...)
		case *ast.CaseClause:
			add(g.before(f, p.Body, child, true))
			hide(hidden, upTo(p.Body, child)...)
		case *ast.RangeStmt:
			hideNames(hidden, p.Key, p.Value)
		case *ast.ForStmt:
			hide(hidden, p.Init)
		case *ast.FuncLit:
			for _, field := range p.Type.Params.List {
				for _, name := range field.Names {
					hidden[name.Name] = true
				}
			}
		}
	}
	return known
}

func upTo(list []ast.Stmt, end ast.Node) []ast.Stmt {
	for i, s := range list {
		if s == end {
			return list[:i]
		}
	}
	return list
}

// hide adds the variables that statements declare or set.
func hide(hidden map[string]bool, list ...ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.AssignStmt:
			hideNames(hidden, s.Lhs...)
		case *ast.DeclStmt:
			for _, spec := range s.Decl.(*ast.GenDecl).Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					for _, name := range v.Names {
						hidden[name.Name] = true
					}
				}
			}
		}
	}
}

func hideNames(hidden map[string]bool, list ...ast.Expr) {
	for _, e := range list {
		if id, ok := e.(*ast.Ident); ok {
			hidden[id.Name] = true
		}
	}
}

// before returns what the statements of a list up to end, or all, establish
// for what follows. Only with returns do return, continue and the like count
// as ways not to get there.
func (g *guards) before(f *goFile, list []ast.Stmt, end ast.Node, returns bool) facts {
	known := newFacts()
	for _, s := range upTo(list, end) {
		switch s := s.(type) {
		case *ast.IfStmt:
			if leaves(s.Body.List, returns) {
				known.join(g.fails(f, s.Cond))
			}
		case *ast.ExprStmt:
			if c, ok := s.X.(*ast.CallExpr); ok {
				g.call(f, c, true, known)
			}
		case *ast.RangeStmt:
			g.eachFeature(f, s, returns, known)
		}
		changed := map[string]bool{}
		hide(changed, s)
		for v := range changed {
			delete(known.elements, v)
		}
	}
	return known
}

// eachFeature knows the loop that leaves at the first missing feature of a
// list:
//
//	for _, id := range t.Needs { if !cpuid.CPU.Supports(id) { return false } }
func (g *guards) eachFeature(f *goFile, s *ast.RangeStmt, returns bool, known facts) {
	list, ok := elementOf(s.X)
	id, isName := s.Value.(*ast.Ident)
	if !ok || !isName || len(s.Body.List) != 1 {
		return
	}
	test, ok := s.Body.List[0].(*ast.IfStmt)
	if !ok || !leaves(test.Body.List, returns) || leavesLoopOnly(test.Body.List) {
		return
	}
	not, ok := test.Cond.(*ast.UnaryExpr)
	if !ok || not.Op != token.NOT {
		return
	}
	if c, ok := not.X.(*ast.CallExpr); ok && len(c.Args) == 1 {
		fun, isSelector := c.Fun.(*ast.SelectorExpr)
		a, isName := c.Args[0].(*ast.Ident)
		if isSelector && isName && a.Name == id.Name && (fun.Sel.Name == "Supports" || fun.Sel.Name == "Has") {
			if cpu, ok := f.cpuFeature(fun.X); ok && cpu == "CPU" {
				known.elements[list] = true
			}
		}
	}
}

func leavesLoopOnly(list []ast.Stmt) bool {
	_, is := list[len(list)-1].(*ast.BranchStmt)
	return is
}

// leaves reports that control does not reach the end of the statements: never,
// or with returns false never comes back to the caller either.
func leaves(list []ast.Stmt, returns bool) bool {
	if len(list) == 0 {
		return false
	}
	switch s := list[len(list)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return returns
	case *ast.ExprStmt:
		c, ok := s.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		switch fun := c.Fun.(type) {
		case *ast.Ident:
			return fun.Name == "panic"
		case *ast.SelectorExpr:
			switch fun.Sel.Name {
			case "Skip", "Skipf", "SkipNow", "Fatal", "Fatalf", "FailNow", "Goexit":
				return true
			}
		}
	}
	return false
}
