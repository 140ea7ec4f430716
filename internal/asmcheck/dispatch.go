package asmcheck

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"strings"
)

// dispatch checks that Go code reaches assembly behind tests of features.
type dispatch struct {
	packages map[string]*goPackage
	*guards
	needs    map[global]map[string]featureSet // of each function, by architecture
	lists    map[global]list                  // package-level variables, to look for lists of features
	tables   map[table]*contents
	problems []Problem
}

// list is an expression and the file that it is in.
type list struct {
	file *goFile
	expr ast.Expr
}

// table is a variable that holds functions beside the features they need: of
// a package, or of one function.
type table struct {
	global
	within *ast.FuncDecl // nil for a variable of the package
}

// contents says which fields of a table's elements hold functions, and which
// hold elements of their own that do.
type contents struct {
	functions, inner map[string]bool
	near             map[string]bool // packages of the types that an element can have
}

// checkDispatch checks all Go files against what the assembly functions need.
func checkDispatch(packages map[string]*goPackage, needs map[global]map[string]featureSet) []Problem {
	d := &dispatch{packages: packages, guards: findTesters(packages), needs: needs, lists: map[global]list{}, tables: map[table]*contents{}}
	for _, pkg := range packages {
		for _, f := range pkg.files {
			d.collect(f)
		}
	}
	d.eachFile(func(f *goFile) {
		d.linknames(f)
		f.eachUse(func(g global, at ast.Expr) {
			if d.needs[g] != nil {
				d.mention(f, g, at)
			}
		})
	})
	d.checkTables()
	return d.problems
}

func (d *dispatch) eachFile(fn func(*goFile)) {
	for _, pkg := range d.packages {
		for _, f := range pkg.files {
			fn(f)
		}
	}
}

func (d *dispatch) bad(f *goFile, n ast.Node, format string, args ...any) {
	d.problems = append(d.problems, Problem{f.path, f.line(n), ruleGuard, fmt.Sprintf(format, args...)})
}

// collect notes the variables of a file and the functions with a comment.
func (d *dispatch) collect(f *goFile) {
	for _, decl := range f.ast.Decls {
		switch decl := decl.(type) {
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && len(v.Values) == len(v.Names) {
					for i, name := range v.Names {
						d.lists[global{f.pkg.path, name.Name}] = list{f, v.Values[i]}
					}
				}
			}
		case *ast.FuncDecl:
			if set, ok := needsComment(decl); ok {
				name := nameOf(f, decl)
				if d.needs[name] == nil {
					d.needs[name] = map[string]featureSet{}
				}
				for _, arch := range f.arches() {
					if d.needs[name][arch] == nil {
						d.needs[name][arch] = featureSet{}
					}
					maps.Copy(d.needs[name][arch], set.on(arch))
				}
			}
		}
	}
}

// needsComment returns the features of a comment //asmcheck:needs A,B.
func needsComment(d *ast.FuncDecl) (featureSet, bool) {
	if d.Doc == nil {
		return nil, false
	}
	for _, c := range d.Doc.List {
		if list, ok := strings.CutPrefix(c.Text, "//asmcheck:needs "); ok {
			return newFeatureSet(strings.Split(strings.TrimSpace(list), ",")...), true
		}
	}
	return nil, false
}

// linknames refuses other names for assembly functions.
func (d *dispatch) linknames(f *goFile) {
	for name, to := range f.imports {
		if name == "." && d.holdsAssembly(to) {
			d.bad(f, f.ast.Name, "a dot import of %s hides what is called", to)
		}
	}
	for _, group := range f.ast.Comments {
		for _, c := range group.List {
			words := strings.Fields(c.Text)
			if words[0] != "//go:linkname" {
				continue
			}
			for _, w := range words[1:] {
				w = w[strings.LastIndexByte(w, '/')+1:]
				for g := range d.needs {
					if w == g.name || w == path.Base(g.pkg)+"."+g.name {
						d.bad(f, c, "go:linkname of %s", g.name)
					}
				}
			}
		}
	}
}

func (d *dispatch) holdsAssembly(pkg string) bool {
	for g := range d.needs {
		if g.pkg == pkg {
			return true
		}
	}
	return false
}

// mention checks one use of a function that needs features.
func (d *dispatch) mention(f *goFile, g global, at ast.Expr) {
	needs := featureSet{}
	for _, arch := range f.arches() {
		for n := range d.needs[g][arch] {
			needs.add(n)
		}
	}
	known := d.at(f, at).features
	if len(known.missing(needs)) == 0 {
		return
	}
	if decl := f.enclosingFunc(at); decl != nil {
		if promised, ok := needsComment(decl); ok {
			if missing := promised.missing(needs); len(missing) > 0 {
				d.bad(f, at, "%s needs %s, which the comment of %s does not list", g.name, strings.Join(missing, ", "), decl.Name.Name)
			}
			return
		}
	}
	literal, field, listed := f.elementAround(at)
	if literal == nil {
		d.bad(f, at, "%s needs %s, which nothing here tests", g.name, strings.Join(known.missing(needs), ", "))
		return
	}
	have, ok := d.features(f, listed)
	if !ok {
		d.bad(f, listed, "cannot read this list of features: it must be a literal of cpuid's constants, or a variable that is one")
		return
	}
	if missing := have.missing(needs); len(missing) > 0 {
		d.bad(f, at, "%s needs %s, which Needs does not list", g.name, strings.Join(missing, ", "))
	}
	d.note(f, literal, field)
}

func (f *goFile) enclosingFunc(n ast.Node) *ast.FuncDecl {
	for ; n != nil; n = f.parents[n] {
		if d, ok := n.(*ast.FuncDecl); ok {
			return d
		}
	}
	return nil
}

// elementAround returns the struct literal with a field Needs around at, the
// field of it that at is in, and the value of Needs.
func (f *goFile) elementAround(at ast.Node) (literal *ast.CompositeLit, field string, needs ast.Expr) {
	for child, p := at, f.parents[at]; p != nil; child, p = p, f.parents[p] {
		lit, ok := p.(*ast.CompositeLit)
		if !ok {
			continue
		}
		for _, e := range lit.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				if key, ok := kv.Key.(*ast.Ident); ok && isNeeds(key.Name) {
					if in, ok := child.(*ast.KeyValueExpr); ok {
						if name, ok := in.Key.(*ast.Ident); ok {
							return lit, name.Name, kv.Value
						}
					}
				}
			}
		}
	}
	return nil, "", nil
}

// features reads a list of features.
func (d *dispatch) features(f *goFile, e ast.Expr) (featureSet, bool) {
	switch e := e.(type) {
	case *ast.CompositeLit:
		set := featureSet{}
		for _, x := range e.Elts {
			name, ok := f.cpuFeature(x)
			if !ok {
				return nil, false
			}
			set.add(name)
		}
		return set, true
	case *ast.Ident:
		if l, ok := d.lists[global{f.pkg.path, e.Name}]; ok && l.expr != ast.Expr(e) {
			return d.features(l.file, l.expr)
		}
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			if l, ok := d.lists[global{f.imports[x.Name], e.Sel.Name}]; ok {
				return d.features(l.file, l.expr)
			}
		}
	}
	return nil, false
}
