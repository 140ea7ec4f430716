package prepacked

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVersions of builds that may pack otherwise differ.
func TestVersions(t *testing.T) {
	built := func(main string, deps ...*debug.Module) string {
		return versionIn(&debug.BuildInfo{Main: debug.Module{Path: main, Version: "v9.0.0"}, Deps: deps})
	}
	other := &debug.Module{Path: "example.com/other", Version: "v7.0.0"}
	release := &debug.Module{Path: module, Version: "v1.2.3"}
	fork := &debug.Module{Path: module, Version: "v1.2.3", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.2.4"}}
	later := &debug.Module{Path: module, Version: "v1.2.3", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.2.5"}}
	local := &debug.Module{Path: module, Version: "v1.2.3", Replace: &debug.Module{Path: "../bitlane"}}
	require.Equal(t, "v9.0.0", built(module, other))
	require.Equal(t, "v1.2.3", built("example.com/program", other, release))
	require.Empty(t, built("example.com/program", other))
	seen := map[string]bool{}
	for _, m := range []*debug.Module{release, fork, later, local} {
		seen[built("example.com/program", m)] = true
	}
	require.Len(t, seen, 4)
}
