package asmcheck

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// Module checks all assembly of the module whose root is fsys, and the Go code
// that calls it. The problems are in the order of files and lines. An error
// says that something could not be read.
func Module(fsys fs.FS) ([]Problem, error) {
	packages, err := loadGo(fsys)
	if err != nil {
		return nil, err
	}
	module, err := modulePath(fsys)
	if err != nil {
		return nil, err
	}
	var problems []Problem
	var funcs []*function
	err = eachAssembly(fsys, func(name, text string) {
		f, p := checkFile(name, text)
		funcs = append(funcs, f...)
		problems = append(problems, p...)
	})
	if err != nil {
		return nil, err
	}
	needs := map[global]map[string]featureSet{}
	for _, f := range funcs {
		n, p := checkCode(f)
		problems = append(problems, p...)
		if len(n) == 0 {
			continue
		}
		g := global{path.Join(module, path.Dir(f.path)), f.name}
		if needs[g] == nil {
			needs[g] = map[string]featureSet{}
		}
		needs[g][f.arch] = n
	}
	problems = append(problems, checkTwins(funcs)...)
	problems = append(problems, checkDispatch(packages, needs)...)
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line))
	})
	return problems, nil
}

// eachAssembly calls fn with every .s file.
func eachAssembly(fsys fs.FS, fn func(name, text string)) error {
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(d.Name()):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".s":
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		fn(name, string(text))
		return nil
	})
}

// checkFile parses a file and checks what does not depend on its instructions.
func checkFile(name, text string) ([]*function, []Problem) {
	pkg, ok := packageOf(path.Dir(name))
	if !ok {
		return nil, []Problem{{name, 0, rulePackage, fmt.Sprintf("assembly in %s, which is not one of the packages for it", path.Dir(name))}}
	}
	s, problems := parse(name, text)
	if s.arch == "" {
		return nil, problems
	}
	return s.funcs, append(problems, checkLayout(s, pkg.Generated)...)
}
