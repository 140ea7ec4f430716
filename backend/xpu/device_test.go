//go:build xpu && linux

package xpu_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/conformance"
	_ "github.com/bitlane/bitlane/backend/xpu"
	"github.com/bitlane/bitlane/csrc/xpu/build"
	"github.com/bitlane/bitlane/csrc/xpu/fake"
)

var full = flag.Bool("conformance.full", false, "run the conformance suite with all combinations")

// child is set in processes that a test started, on the stand-in for oneDNN: to
// "suite", or "open".
const child = "BITLANE_XPU_CHILD"

func gpus(t *testing.T) backend.Backend {
	b, ok := backend.Lookup("xpu")
	require.True(t, ok)
	_, err := b.Devices(t.Context())
	if errors.Is(err, backend.ErrNoDevice) && os.Getenv(child) == "" {
		t.Skip("no device: ", err)
	}
	require.NoError(t, err)
	return b
}

// TestConformance runs on a GPU, where there is one.
func TestConformance(t *testing.T) {
	o := conformance.Options{Full: *full, Small: os.Getenv(child) != ""}
	conformance.Test(t, conformance.Target{Backend: gpus(t)}, o)
}

// TestMain of a child process that is told "open" says what is there.
func TestMain(m *testing.M) {
	if os.Getenv(child) != "open" {
		os.Exit(m.Run())
	}
	ctx := context.Background()
	b, _ := backend.Lookup("xpu")
	infos, err := b.Devices(ctx)
	fmt.Println("DEVICES", len(infos), err)
	dev, err := b.Open(ctx, "", backend.OpenOptions{})
	if err == nil {
		err = dev.Close()
	}
	fmt.Println("OPEN", err)
}

// standin returns what starts this test anew on the stand-in for oneDNN, in C:
// a GPU whose memory the host cannot touch.
func standin(t *testing.T) func(what, told string) (string, error) {
	dir := t.TempDir()
	library, err := fake.Build(dir)
	require.NoError(t, err)
	shim, err := build.Library(dir)
	require.NoError(t, err)
	return func(what, told string) (string, error) {
		binary, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestConformance$", "-test.v")
		cmd.Env = append(os.Environ(), child+"="+what, build.Variable+"="+library, "BITLANE_XPU_SHIM="+shim, fake.Variable+"="+told)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

// TestStandin runs the suite on it.
func TestStandin(t *testing.T) {
	out, err := standin(t)("suite", "gpus=1")
	require.NoError(t, err, out)
	require.Regexp(t, `xpu: \d+ passed, 0 failed`, out)
}

// TestWhatIsSaid of each thing that may be missing or wrong.
func TestWhatIsSaid(t *testing.T) {
	on := standin(t)
	for told, want := range map[string]string{
		"gpus=2":          `(?s)DEVICES 2 <nil>.*OPEN <nil>`,
		"gpus=0":          `DEVICES 0 no device: oneDNN 3\.\d+\.\d+ \(CPU SYCL, GPU SYCL\) is there, but makes no GPU engine: .*Intel`,
		"version=3001001": `DEVICES 0 no driver: .*libdnnl\.so\.3" \(BITLANE_ONEDNN\) is too old: .*3\.1\.1.*get oneDNN \(3\.7`,
		"driver=5":        `DEVICES 0 driver not usable: oneDNN .* is there, but the driver for a GPU engine is missing or fails: `,
		"ref=1":           `OPEN xpu:0 .*refused: .*implementation is .*ocl:ref:any.*set the tuning reference to 1`,
		"unimplemented=1": `OPEN xpu:0 .*refused: .*implementation is .*wants a matmul of oneDNN`,
		"execute=1":       `OPEN xpu:0 .*refused: .*device lost|OPEN xpu:0 .*does not work any more`,
	} {
		out, err := on("open", told)
		require.NoError(t, err, "%s: %s", told, out)
		require.NotContains(t, out, "onednn_verbose", "%s: it prints that it was asked in vain", told)
		require.Regexp(t, regexp.MustCompile(want), out, told)
	}
}
