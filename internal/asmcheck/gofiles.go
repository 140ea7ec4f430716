package asmcheck

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// goPackage is every Go file of one folder, whatever its build constraints.
type goPackage struct {
	path  string // import path
	files []*goFile
}

// goFile is one file, parsed.
type goFile struct {
	path    string // relative to the module's root
	pkg     *goPackage
	ast     *ast.File
	imports map[string]string // local name to import path
	parents map[ast.Node]ast.Node
	fset    *token.FileSet
}

func (f *goFile) line(n ast.Node) int { return f.fset.Position(n.Pos()).Line }

// arches returns the architectures that the name of the file lets it be built for.
func (f *goFile) arches() []string {
	base := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
	for _, arch := range []string{amd64, arm64} {
		if strings.HasSuffix(base, "_"+arch) {
			return []string{arch}
		}
	}
	return []string{amd64, arm64}
}

// skipped reports folders that hold nothing of the module.
func skipped(name string) bool {
	return name == "testdata" || name != "." && strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// loadGo parses all Go files of the module in fsys.
func loadGo(fsys fs.FS) (map[string]*goPackage, error) {
	module, err := modulePath(fsys)
	if err != nil {
		return nil, err
	}
	packages := map[string]*goPackage{}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped(d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		importPath := path.Join(module, path.Dir(name))
		pkg := packages[importPath]
		if pkg == nil {
			pkg = &goPackage{path: importPath}
			packages[importPath] = pkg
		}
		f, err := loadGoFile(fsys, name)
		if err != nil {
			return err
		}
		f.pkg = pkg
		pkg.files = append(pkg.files, f)
		return nil
	})
	return packages, err
}

func loadGoFile(fsys fs.FS, name string) (*goFile, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	f := &goFile{path: name, fset: token.NewFileSet(), imports: map[string]string{}, parents: map[ast.Node]ast.Node{}}
	if f.ast, err = parser.ParseFile(f.fset, name, text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
		return nil, err
	}
	for _, im := range f.ast.Imports {
		to, err := strconv.Unquote(im.Path.Value)
		if err != nil {
			return nil, err
		}
		local := path.Base(to)
		if len(local) > 1 && local[0] == 'v' && local[1] >= '2' && local[1] <= '9' { // a major version
			local = path.Base(path.Dir(to))
		}
		if im.Name != nil {
			local = im.Name.Name
		}
		f.imports[local] = to
	}
	var stack []ast.Node
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		if len(stack) > 0 {
			f.parents[n] = stack[len(stack)-1]
		}
		stack = append(stack, n)
		return true
	})
	return f, nil
}

func modulePath(fsys fs.FS) (string, error) {
	text, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(name), nil
		}
	}
	return "", fmt.Errorf("go.mod names no module")
}

// global is a package-level name.
type global struct{ pkg, name string }

// globalOf returns what an identifier or a qualified one names at package
// level, if it is not the name of a declaration. A local name that hides a
// global one is taken for the global one. Fields and methods have no package.
func (f *goFile) globalOf(id *ast.Ident) (g global, whole ast.Expr, ok bool) {
	switch p := f.parents[id].(type) {
	case *ast.SelectorExpr:
		if p.Sel != id {
			break
		}
		if x, ok := p.X.(*ast.Ident); ok {
			if to, ok := f.imports[x.Name]; ok {
				return global{to, id.Name}, p, true
			}
		}
		return global{"", id.Name}, p, true
	case *ast.FuncDecl, *ast.Field, *ast.ImportSpec, *ast.LabeledStmt, *ast.BranchStmt:
		return global{}, nil, false
	case *ast.ValueSpec:
		for _, name := range p.Names {
			if name == id {
				return global{}, nil, false
			}
		}
	case *ast.KeyValueExpr:
		if p.Key == id {
			return global{}, nil, false
		}
	}
	return global{f.pkg.path, id.Name}, id, true
}

// eachUse calls fn for every mention of a package-level name.
func (f *goFile) eachUse(fn func(g global, at ast.Expr)) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if g, at, ok := f.globalOf(id); ok {
				fn(g, at)
			}
		}
		return true
	})
}
