package asmcheck

// Package is a package of the module that may hold assembly.
type Package struct {
	Dir       string // relative to the module's root, with slashes
	Generated bool   // its files are written by _gen; others are a few lines by hand
}

// Packages lists them all: a .s file anywhere else is a problem.
var Packages = []Package{
	{Dir: "backend/cpu/internal/asm", Generated: true},
	{Dir: "internal/peak", Generated: true},
	{Dir: "internal/workers", Generated: false},
}

func packageOf(dir string) (Package, bool) {
	for _, p := range Packages {
		if p.Dir == dir {
			return p, true
		}
	}
	return Package{}, false
}
