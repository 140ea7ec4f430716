package asmcheck

import "go/ast"

// findTesters looks for the functions that test features for their callers.
// The type that a method is called on is not known here, so that a method
// counts only if all of its name do.
func findTesters(packages map[string]*goPackage) *guards {
	g := &guards{testers: map[global]tester{}}
	spoilt := map[global]bool{}
	for _, pkg := range packages {
		for _, f := range pkg.files {
			for _, d := range f.ast.Decls {
				d, ok := d.(*ast.FuncDecl)
				if !ok || d.Body == nil {
					continue
				}
				name := global{pkg.path, d.Name.Name}
				if d.Recv != nil {
					name.pkg = ""
				}
				t, ok := g.asTester(f, d)
				if before, seen := g.testers[name]; !ok || seen && before != t {
					spoilt[name] = true
				}
				g.testers[name] = t
			}
		}
	}
	for name := range spoilt {
		delete(g.testers, name)
	}
	return g
}

// asTester reports whether a function tests the needs of its receiver or of
// one parameter.
func (g *guards) asTester(f *goFile, d *ast.FuncDecl) (tester, bool) {
	names := map[string]int{}
	if d.Recv != nil && len(d.Recv.List) == 1 && len(d.Recv.List[0].Names) == 1 {
		names[d.Recv.List[0].Names[0].Name] = -1
	}
	for i, n := 0, 0; i < len(d.Type.Params.List); i++ {
		for _, name := range d.Type.Params.List[i].Names {
			names[name.Name] = n
			n++
		}
	}
	returns := returnsOf(d.Body)
	if len(returns) == 0 {
		for v := range g.before(f, d.Body.List, nil, false).elements {
			if i, ok := names[v]; ok {
				return tester{i, true}, true
			}
		}
	}
	var common map[string]bool // tested wherever the result may be true
	for _, r := range returns {
		if len(r.Results) != 1 {
			return tester{}, false
		}
		if id, ok := r.Results[0].(*ast.Ident); ok && id.Name == "false" {
			continue
		}
		known := g.at(f, r)
		known.join(g.holds(f, r.Results[0]))
		if common == nil {
			common = known.elements
		}
		for v := range common {
			if !known.elements[v] {
				delete(common, v)
			}
		}
	}
	for v := range common {
		if i, ok := names[v]; ok {
			return tester{i, false}, true
		}
	}
	return tester{}, false
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
