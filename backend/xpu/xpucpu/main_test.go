package xpucpu_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/bitlane/bitlane/csrc/xpu/build"
)

// TestMain lets the tests find the oneDNN that BITLANE_ONEDNN names, and what
// that needs. Without cgo they need the shim as a library, too.
func TestMain(m *testing.M) {
	if err := build.Restart(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(withShim(m))
}

func withShim(m *testing.M) int {
	const variable = "BITLANE_XPU_SHIM"
	if linked || os.Getenv(build.Variable) == "" || os.Getenv(variable) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "bitlane-shim")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		var path string
		if path, err = build.Library(dir); err == nil {
			err = os.Setenv(variable, path)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
