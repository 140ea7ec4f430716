// Command fuzzall finds every fuzz target of the module and runs each for a
// while, one after the other.
//
//	fuzzall [-time 5s] [-only REGEXP] [-part NAME] [-counts FILE]
//
// What a target finds is kept under testdata/fuzz of its package, as go test
// does; the exit status is then not 0.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/bitlane/bitlane/internal/ci/counts"
)

func main() {
	each := flag.Duration("time", 5*time.Second, "time for each target")
	only := flag.String("only", "", "regular expression over PACKAGE.FuzzName")
	part := flag.String("part", "fuzz", "name of this run in the sum of all parts")
	file := flag.String("counts", "", "file to append the number of targets to")
	flag.Parse()
	if err := run(*each, *only, *part, *file); err != nil {
		fmt.Fprintln(os.Stderr, "fuzzall:", err)
		os.Exit(1)
	}
}

// target is a fuzz function of a package.
type target struct{ pkg, name string }

func run(each time.Duration, only, part, file string) error {
	start := time.Now()
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	targets, err := find()
	if err != nil {
		return err
	}
	c := counts.Counts{Part: part}
	var failed []string
	for _, t := range targets {
		if !pattern.MatchString(t.pkg + "." + t.name) {
			continue
		}
		fmt.Printf("%s.%s\n", t.pkg, t.name)
		out, err := unlessLate(func() ([]byte, error) {
			return exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(), t.pkg).CombinedOutput()
		})
		if err != nil {
			c.Failed++
			failed = append(failed, t.name)
			fmt.Printf("%s%v\n", out, err)
			continue
		}
		c.Passed++
	}
	c.Seconds = time.Since(start).Seconds()
	if err := counts.Append(file, c); err != nil {
		return err
	}
	fmt.Printf("%s: %d targets, %v\n", part, c.Passed+c.Failed, c)
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	if c.Passed == 0 {
		return errors.New("no fuzz target found")
	}
	return nil
}

// tries is how often a target is run that only ended late.
const tries = 3

// unlessLate runs a target again when all that went wrong is the end of its
// time: until Go 1.27 the fuzzing engine may take its own deadline for a failure
// (go.dev/issue/75804). What fails an input writes that input first.
func unlessLate(fuzz func() ([]byte, error)) (out []byte, err error) {
	for range tries {
		out, err = fuzz()
		if err == nil || !late(out) {
			break
		}
		fmt.Printf("%s: the engine's deadline alone, once more\n", out)
	}
	return out, err
}

func late(out []byte) bool {
	return bytes.Contains(out, []byte("\n    context deadline exceeded\n")) && !bytes.Contains(out, []byte("Failing input written to"))
}

// find lists the fuzz targets of all packages in the module.
func find() ([]target, error) {
	cmd := exec.Command("go", "list", "-json=Dir,ImportPath,TestGoFiles,XTestGoFiles", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var all []target
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			Dir, ImportPath           string
			TestGoFiles, XTestGoFiles []string
		}
		if err := d.Decode(&p); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		for _, f := range append(p.TestGoFiles, p.XTestGoFiles...) {
			names, err := fuzzFuncs(filepath.Join(p.Dir, f), nil)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				all = append(all, target{p.ImportPath, name})
			}
		}
	}
}

// fuzzFuncs returns the fuzz targets of a file; src as in parser.ParseFile.
func fuzzFuncs(path string, src any) ([]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz") && takesF(fn.Type) {
			names = append(names, fn.Name.Name)
		}
	}
	return names, nil
}

// takesF reports whether the only parameter of a function is a *testing.F.
func takesF(fn *ast.FuncType) bool {
	if fn.Params.NumFields() != 1 {
		return false
	}
	star, ok := fn.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "F"
}
