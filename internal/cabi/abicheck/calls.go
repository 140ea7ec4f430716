package abicheck

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"

	"github.com/bitlane/bitlane/internal/cabi"
)

// Calls reads the Go source of methods that call functions of a shim:
//
//	s.call(f, fnName, asPtr(a), asI64(b), text(f), textSize(f))
//
// and returns a line for each call that has another number of arguments than
// functions[number["fnName"]], or one converted as another kind, and for each
// function that is not called. asI32, asI64, asSize and asPtr convert; text and
// textSize are a pointer and a size.
func Calls(source string, number map[string]int, functions []cabi.Func) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "calls.go", source, 0)
	if err != nil {
		return nil, err
	}
	var found []string
	called := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || calls(call) != "call" || call.Ellipsis.IsValid() || len(call.Args) < 2 {
			return true
		}
		name, ok := call.Args[1].(*ast.Ident)
		if !ok {
			return true
		}
		i, known := number[name.Name]
		if !known || i >= len(functions) {
			found = append(found, fmt.Sprintf("%s is no function's number", name.Name))
			return true
		}
		called[name.Name] = true
		found = append(found, arguments(functions[i], call.Args[2:])...)
		return true
	})
	for name := range number {
		if !called[name] {
			found = append(found, fmt.Sprintf("%s is not called", name))
		}
	}
	slices.Sort(found)
	return found, nil
}

var converts = map[string]cabi.Kind{
	"asI32": cabi.I32, "asI64": cabi.I64, "asSize": cabi.Size, "asPtr": cabi.Ptr,
	"text": cabi.Ptr, "textSize": cabi.Size,
}

func arguments(f cabi.Func, args []ast.Expr) []string {
	if len(args) != len(f.Args) {
		return []string{fmt.Sprintf("%s is called with %d arguments of %d", f.Name, len(args), len(f.Args))}
	}
	var found []string
	for i, a := range args {
		how := "nothing"
		if c, ok := a.(*ast.CallExpr); ok {
			how = calls(c)
		}
		if k, ok := converts[how]; !ok || k != f.Args[i] {
			found = append(found, fmt.Sprintf("argument %d of %s is %v and converted by %s", i, f.Name, f.Args[i], how))
		}
	}
	return found
}

// calls returns the name of the function or method that is called.
func calls(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
