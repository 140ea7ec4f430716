package asmcheck

import (
	"go/ast"
	"slices"
)

// note remembers the variable that an element with functions goes into.
func (d *dispatch) note(f *goFile, literal *ast.CompositeLit, field string) {
	var inner []string
	for child, p := ast.Node(literal), f.parents[literal]; p != nil; child, p = p, f.parents[p] {
		switch p := p.(type) {
		case *ast.CompositeLit, *ast.UnaryExpr, *ast.ParenExpr:
			continue
		case *ast.KeyValueExpr:
			if key, ok := p.Key.(*ast.Ident); ok {
				inner = append(inner, key.Name)
				if lit, ok := f.parents[p].(*ast.CompositeLit); ok && hasNeeds(lit) {
					d.bad(f, literal, "an element with Needs within another")
					return
				}
			}
			continue
		case *ast.CallExpr:
			if fun, ok := p.Fun.(*ast.Ident); ok && fun.Name == "append" {
				continue
			}
		case *ast.AssignStmt:
			if len(p.Lhs) == len(p.Rhs) {
				for i := range p.Rhs {
					if name, ok := p.Lhs[i].(*ast.Ident); ok && p.Rhs[i] == child {
						d.remember(f, p, name.Name, field, inner)
						return
					}
				}
			}
		case *ast.ValueSpec:
			for i, v := range p.Values {
				if v == child && i < len(p.Names) {
					d.remember(f, p, p.Names[i].Name, field, inner)
					return
				}
			}
		}
		break
	}
	d.bad(f, literal, "the element with Needs does not go straight into a variable")
}

func hasNeeds(lit *ast.CompositeLit) bool {
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && isNeeds(key.Name) {
				return true
			}
		}
	}
	return false
}

func (d *dispatch) remember(f *goFile, at ast.Node, name, field string, inner []string) {
	t := table{global{f.pkg.path, name}, f.enclosingFunc(at)}
	if _, isGlobal := d.lists[t.global]; isGlobal || d.declared(t.global) {
		t.within = nil
	}
	c := d.tables[t]
	if c == nil {
		c = &contents{functions: map[string]bool{}, inner: map[string]bool{}, near: d.near(f.pkg.path)}
		d.tables[t] = c
	}
	c.functions[field] = true
	for _, i := range inner {
		c.inner[i] = true
	}
}

// declared reports whether a package declares the variable, perhaps without a
// value.
func (d *dispatch) declared(g global) bool {
	for _, f := range d.packages[g.pkg].files {
		for _, decl := range f.ast.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					for _, name := range v.Names {
						if name.Name == g.name {
							return true
						}
					}
				}
			}
		}
	}
	return false
}

// checkTables checks that every table keeps one of two rules: the functions of
// an element are only touched where its Needs were tested, or the element
// itself only leaves the table there.
func (d *dispatch) checkTables() {
	before := d.problems
	var broken []Problem
	for t, c := range d.tables {
		d.problems = nil
		d.eachFile(func(f *goFile) { d.fields(f, t, c) })
		byField := d.problems
		d.problems = nil
		d.eachFile(func(f *goFile) { d.flow(f, t, c) })
		if len(d.problems) > 0 && files(byField) < files(d.problems) { // the rule that was meant
			d.problems = byField
		}
		broken = append(broken, d.problems...)
	}
	d.problems = append(before, broken...)
}

func files(problems []Problem) int {
	names := map[string]bool{}
	for _, p := range problems {
		names[p.Path] = true
	}
	return len(names)
}

// fields checks every mention of a field that holds functions, in elements of
// any kind that have a field of this name.
func (d *dispatch) fields(f *goFile, t table, c *contents) {
	f.eachUse(func(g global, at ast.Expr) {
		s, ok := at.(*ast.SelectorExpr)
		if !ok || g.pkg != "" || !c.functions[g.name] || !ast.IsExported(g.name) && f.pkg.path != t.pkg {
			return
		}
		if f.isSet(s) {
			return
		}
		if v, ok := elementOf(s.X); !ok || !d.at(f, s).elements[v] {
			d.bad(f, at, "%s holds assembly and is used before Needs is tested", g.name)
		}
	})
	ast.Inspect(f.ast, func(n ast.Node) bool {
		st, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range st.Fields.List {
			if name := embedded(field); c.functions[name] && f.pkg.path == t.pkg {
				d.bad(f, field, "%s holds assembly: embedded, its fields cannot be followed", name)
			}
		}
		return true
	})
}

// isSet reports whether an expression is what an assignment writes to, or part
// of the way there.
func (f *goFile) isSet(e ast.Expr) bool {
	for {
		switch p := f.parents[e].(type) {
		case *ast.SelectorExpr:
			e = p
		case *ast.IndexExpr:
			if p.X != e {
				return false
			}
			e = p
		case *ast.AssignStmt:
			return slices.Contains(p.Lhs, e)
		default:
			return false
		}
	}
}

// embedded returns the name of an embedded field, "" for others.
func embedded(f *ast.Field) string {
	if len(f.Names) > 0 {
		return ""
	}
	e := f.Type
	if p, ok := e.(*ast.StarExpr); ok {
		e = p.X
	}
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// flow follows the elements of a table through a file.
func (d *dispatch) flow(f *goFile, t table, c *contents) {
	f.eachUse(func(g global, at ast.Expr) {
		if g == t.global && (t.within == nil || t.within == f.enclosingFunc(at)) {
			d.tableUse(f, t, c, at)
		}
	})
}

// tableUse checks one mention of a table.
func (d *dispatch) tableUse(f *goFile, t table, c *contents, at ast.Expr) {
	switch p := f.parents[at].(type) {
	case *ast.RangeStmt:
		if p.X == at {
			d.elements(f, c, p.Value, p.Body)
			return
		}
	case *ast.AssignStmt:
		for _, l := range p.Lhs {
			if l == at { // filled here; what goes in is checked where it is written
				return
			}
		}
	case *ast.CallExpr:
		if fun, ok := p.Fun.(*ast.Ident); ok {
			if fun.Name == "len" || fun.Name == "cap" {
				return
			}
			if fun.Name == "append" && p.Args[0] == at {
				if a, ok := f.parents[p].(*ast.AssignStmt); ok && len(a.Lhs) == 1 && sameName(a.Lhs[0], at) {
					return
				}
			}
		}
	case *ast.IndexExpr:
		if p.X == at && d.indexed(f, c, p) {
			return
		}
	}
	d.bad(f, at, "the table %s is used in a way that cannot be followed: range over it, or index it into a new variable", t.name)
}

func sameName(a, b ast.Expr) bool {
	x, ok := a.(*ast.Ident)
	y, ok2 := b.(*ast.Ident)
	return ok && ok2 && x.Name == y.Name
}

// indexed follows one element of a table: into a variable, or to one of its
// fields.
func (d *dispatch) indexed(f *goFile, c *contents, e *ast.IndexExpr) bool {
	var value ast.Expr = e
	parent := f.parents[e]
	if u, ok := parent.(*ast.UnaryExpr); ok {
		value, parent = u, f.parents[u]
	}
	switch p := parent.(type) {
	case *ast.SelectorExpr:
		return !c.functions[p.Sel.Name] && !c.inner[p.Sel.Name] && !d.touches(c, p.Sel.Name)
	case *ast.AssignStmt:
		if len(p.Lhs) == 1 && p.Rhs[0] == value && p.Tok.String() == ":=" {
			d.elements(f, c, p.Lhs[0], f.parents[p])
			return true
		}
	case *ast.RangeStmt:
		if p.X == value {
			d.elements(f, c, p.Value, p.Body)
			return true
		}
	}
	return false
}

// elements checks what is done with a variable that holds an element.
func (d *dispatch) elements(f *goFile, c *contents, variable ast.Expr, scope ast.Node) {
	v, ok := variable.(*ast.Ident)
	if !ok || v.Name == "_" {
		return
	}
	ast.Inspect(scope, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id != v && id.Name == v.Name {
			d.elementUse(f, c, id)
		}
		return true
	})
}

func (d *dispatch) elementUse(f *goFile, c *contents, v *ast.Ident) {
	switch p := f.parents[v].(type) {
	case *ast.SelectorExpr:
		if p.Sel == v {
			return // a field or method of that name
		}
		if r, ok := f.parents[p].(*ast.RangeStmt); ok && r.X == p && c.inner[p.Sel.Name] {
			d.elements(f, c, r.Value, r.Body)
			return
		}
		if !c.functions[p.Sel.Name] && !c.inner[p.Sel.Name] && !d.touches(c, p.Sel.Name) {
			return
		}
	case *ast.KeyValueExpr:
		if p.Key == v {
			return
		}
	case *ast.RangeStmt:
		if p.X == v {
			d.elements(f, c, p.Value, p.Body)
			return
		}
	case *ast.CallExpr:
		if t, _, ok := d.tester(f, p); ok && t.argument >= 0 && t.argument < len(p.Args) && p.Args[t.argument] == v {
			return
		}
	case *ast.AssignStmt:
		for _, l := range p.Lhs {
			if l == v {
				d.bad(f, v, "%s, an element of a table, is set to something else", v.Name)
				return
			}
		}
	}
	if !d.at(f, v).elements[v.Name] {
		d.bad(f, v, "%s, an element of a table, is used before its Needs are tested", v.Name)
	}
}

// near are the packages whose types a variable of a package can have: its own
// and those that it imports, also through others.
func (d *dispatch) near(pkg string) map[string]bool {
	near := map[string]bool{pkg: true}
	for more := true; more; {
		more = false
		d.eachFile(func(f *goFile) {
			if !near[f.pkg.path] {
				return
			}
			for _, path := range f.imports {
				if !near[path] {
					near[path], more = true, true
				}
			}
		})
	}
	return near
}

// touches reports whether any method of that name, or one that it calls, takes
// functions out of an element without a test of its own.
func (d *dispatch) touches(c *contents, method string) bool {
	return d.touchesVia(c, method, map[string]bool{})
}

func (d *dispatch) touchesVia(c *contents, method string, seen map[string]bool) bool {
	if seen[method] {
		return false
	}
	seen[method] = true
	found := false
	d.eachFile(func(f *goFile) {
		if !c.near[f.pkg.path] {
			return // no element is of a type of that package
		}
		for _, decl := range f.ast.Decls {
			m, ok := decl.(*ast.FuncDecl)
			if !ok || m.Recv == nil || m.Name.Name != method || m.Body == nil {
				continue
			}
			ast.Inspect(m.Body, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok || found {
					return !found
				}
				if c.functions[s.Sel.Name] || c.inner[s.Sel.Name] || d.touchesVia(c, s.Sel.Name, seen) {
					v, ok := elementOf(s.X)
					found = !ok || !d.at(f, s).elements[v]
				}
				return !found
			})
		}
	})
	return found
}
