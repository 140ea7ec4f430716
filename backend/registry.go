package backend

import (
	"fmt"
	"sort"
	"strings"
	"sync"
)

var registry struct {
	sync.RWMutex
	byName map[string]Backend
}

// Register makes b known under its name. It is called from init and touches no
// hardware. An empty or taken name, or a kernel whose name breaks the grammar,
// is an error of the program, reported by panic, as database/sql does.
func Register(b Backend) {
	registry.Lock()
	defer registry.Unlock()
	name := b.Name()
	if name == "" || strings.ContainsAny(name, ":, \t\n") {
		panic(fmt.Sprintf("backend: Register: bad name %q", name))
	}
	if _, taken := registry.byName[name]; taken {
		panic("backend: Register called twice for " + name)
	}
	for _, k := range b.Kernels() {
		if err := CheckKernelName(k.Name()); err != nil {
			panic("backend: Register " + name + ": " + err.Error())
		}
	}
	if registry.byName == nil {
		registry.byName = map[string]Backend{}
	}
	registry.byName[name] = b
}

// Lookup returns the backend of that name.
func Lookup(name string) (Backend, bool) {
	registry.RLock()
	defer registry.RUnlock()
	b, ok := registry.byName[name]
	return b, ok
}

// Backends returns all registered backends, sorted by name.
func Backends() []Backend {
	registry.RLock()
	defer registry.RUnlock()
	all := make([]Backend, 0, len(registry.byName))
	for _, b := range registry.byName {
		all = append(all, b)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name() < all[j].Name() })
	return all
}
