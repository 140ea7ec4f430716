//go:build linux && xpu

package cabi

import (
	"fmt"
	"runtime"

	"github.com/ebitengine/purego"
)

// Table is the functions of a shim. It is safe for use by several goroutines.
type Table struct {
	functions []Func
	addresses []uintptr
}

// NewTable makes a table of functions, whose addresses are asked for by name. An
// error names the functions that have none.
func NewTable(functions []Func, address func(name string) uintptr) (*Table, error) {
	t := &Table{functions: functions, addresses: make([]uintptr, len(functions))}
	var missing []string
	for i, f := range functions {
		t.addresses[i] = address(f.Name)
		if t.addresses[i] == 0 {
			missing = append(missing, f.Name)
		}
	}
	switch n := len(missing); {
	case n > 1:
		return nil, fmt.Errorf("the shim lacks %s and %d more of %d functions", missing[0], n-1, len(functions))
	case n == 1:
		return nil, fmt.Errorf("the shim lacks %s", missing[0])
	}
	return t, nil
}

// Call calls function number i with as many arguments as it has. It allocates
// nothing. Addresses of Go memory among them are from f.
func (t *Table) Call(f *Frame, i int, args ...uintptr) uintptr {
	n := copy(f.args[:], args)
	if n != len(args) || n != len(t.functions[i].Args) {
		panic(fmt.Sprintf("cabi: %d arguments for %s", len(args), t.functions[i].Name))
	}
	r, _, _ := purego.SyscallN(t.addresses[i], f.args[:n]...)
	runtime.KeepAlive(f)
	return r
}
