package cabi

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A build without tags links no dynamic loader: package purego makes a binary need
// the C library, and start with a loader of its own.
func TestDefaultBuildsLinkNoLoader(t *testing.T) {
	imports := func(args ...string) string {
		out, err := exec.Command("go", append([]string{"list", "-deps"}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	require.NotContains(t, imports("github.com/bitlane/bitlane/cmd/bitlane", "github.com/bitlane/bitlane/internal/cabi/xpu"), "purego")
	require.True(t, strings.Contains(imports("-tags", "xpu", "github.com/bitlane/bitlane/internal/cabi/xpu"), "purego"), "the check sees nothing")
}
