package asmcheck

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
)

// findTesters looks for the functions that test features for their callers,
// until there are no more that rely on the ones found.
func findTesters(packages map[string]*goPackage) *guards {
	g := &guards{testers: map[global]tester{}}
	for {
		found := g.round(packages)
		if maps.Equal(found, g.testers) {
			return g
		}
		g.testers = found
	}
}

// round looks at every function once. The type that a method is called on is
// not known here, so that a method counts only if all of its name do.
func (g *guards) round(packages map[string]*goPackage) map[global]tester {
	found, spoilt := map[global]tester{}, map[global]bool{}
	for _, pkg := range packages {
		for _, f := range pkg.files {
			for _, d := range f.ast.Decls {
				d, ok := d.(*ast.FuncDecl)
				if !ok || d.Body == nil {
					continue
				}
				name := nameOf(f, d)
				t, ok := g.asTester(f, d)
				if never := alwaysFalse(d); never {
					continue // as good as any, for other architectures
				}
				if before, seen := found[name]; !ok || seen && before != t {
					spoilt[name] = true
				}
				found[name] = t
			}
		}
	}
	for name := range spoilt {
		delete(found, name)
	}
	return found
}

// nameOf returns the name of a function; methods have no package.
func nameOf(f *goFile, d *ast.FuncDecl) global {
	if d.Recv != nil {
		return global{"", d.Name.Name}
	}
	return global{f.pkg.path, d.Name.Name}
}

func alwaysFalse(d *ast.FuncDecl) bool {
	returns := returnsOf(d.Body)
	for _, r := range returns {
		if !isFalse(r) {
			return false
		}
	}
	return len(returns) > 0
}

func isFalse(r *ast.ReturnStmt) bool {
	if len(r.Results) != 1 {
		return false
	}
	id, ok := r.Results[0].(*ast.Ident)
	return ok && id.Name == "false"
}

// asTester reports whether a function tests features, or the needs of its
// receiver or of one parameter.
func (g *guards) asTester(f *goFile, d *ast.FuncDecl) (tester, bool) {
	names := map[string]int{}
	if d.Recv != nil && len(d.Recv.List) == 1 && len(d.Recv.List[0].Names) == 1 {
		names[d.Recv.List[0].Names[0].Name] = receiver
	}
	n := 0
	for _, p := range d.Type.Params.List {
		for _, name := range p.Names {
			names[name.Name] = n
			n++
		}
	}
	returns := returnsOf(d.Body)
	if len(returns) == 0 {
		return asTesterOf(g.before(f, d.Body.List, nil, false), names, true)
	}
	var common *facts // known wherever the result may be true
	for _, r := range returns {
		if len(r.Results) != 1 {
			return tester{}, false
		}
		if isFalse(r) {
			continue
		}
		known := g.at(f, r)
		known.join(g.holds(f, r.Results[0]))
		if common == nil {
			common = &known
		}
		maps.DeleteFunc(common.features, func(name string, _ bool) bool { return !known.features[name] })
		maps.DeleteFunc(common.elements, func(v string, _ bool) bool { return !known.elements[v] })
	}
	if common == nil {
		return tester{}, false
	}
	return asTesterOf(*common, names, false)
}

func asTesterOf(known facts, names map[string]int, exits bool) (tester, bool) {
	t := tester{exits: exits, argument: noArgument, features: strings.Join(slices.Sorted(maps.Keys(known.features)), ",")}
	for v := range known.elements {
		if i, ok := names[v]; ok {
			t.argument = max(t.argument, i)
		}
	}
	return t, t.features != "" || t.argument != noArgument
}

// returnsOf lists the return statements of a body, not those of functions in it.
func returnsOf(body *ast.BlockStmt) (list []*ast.ReturnStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			list = append(list, n)
		}
		return true
	})
	return list
}
