//go:build linux && xpu

package xpu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/csrc/xpu/build"
	"github.com/bitlane/bitlane/csrc/xpu/fake"
)

// builds are the ways to compile. Debian's clang comes without the sanitizers'
// libraries.
var builds = []struct {
	compiler string
	flags    []string
}{
	{"cc", []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all"}},
	{"cc", []string{"-O2"}},
	{"clang-19", nil},
}

// harness builds testdata/harness.c with the shim.
func harness(t *testing.T, compiler string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skipf("%s is not installed: make tools does it", compiler)
	}
	path := filepath.Join(t.TempDir(), "harness")
	require.NoError(t, build.Compile(compiler, path, flags, "testdata/harness.c"))
	return path
}

func run(t *testing.T, told, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), fake.Variable+"="+told)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %q: %s", told, args, out)
	return string(out)
}

func library(t *testing.T, flags ...string) string {
	t.Helper()
	path, err := fake.Build(t.TempDir(), flags...)
	require.NoError(t, err)
	return path
}

// Every function on both kinds of engines, on every runtime whose interface the shim
// knows; then with every creation of an object failing, every execution, and the device lost
// at every execution: each is an error of its class, and nothing is left.
func TestLifeAndFaults(t *testing.T) {
	for _, b := range builds {
		t.Run(b.compiler+strings.Join(b.flags, ""), func(t *testing.T) {
			program := harness(t, b.compiler, b.flags...)
			sanitized := strings.Contains(strings.Join(b.flags, ""), "sanitize")
			lib := library(t)
			if sanitized {
				lib = library(t, b.flags...)
			}
			for kind, runtimes := range map[int][]int{1: {512, 2}, 2: {512, 256, 1024}} {
				for _, runtime := range runtimes {
					told := fmt.Sprintf("cpu=%d,gpu=%d", runtime, runtime)
					require.Equal(t, "life: 0, 0 alive\n", run(t, told, program, lib, "life", fmt.Sprint(kind)), told)
				}
				if !sanitized {
					continue // faults are many
				}
				for _, fault := range []string{"oom", "execute", "lost"} {
					require.Equal(t, fault+": many faults\n", run(t, "", program, lib, "faults", fmt.Sprint(kind), fault))
				}
			}
		})
	}
}

// What is wrong with a library has a class and a text of its own.
func TestStates(t *testing.T) {
	program := harness(t, "cc")
	working, incomplete := library(t), library(t, "-DFAKE_WITHOUT_DETERMINISTIC")
	dependent := filepath.Join(t.TempDir(), fake.Name)
	missing := filepath.Join(t.TempDir(), "libbitlane_none.so")
	sh := exec.Command("sh", "-c", "echo | cc -shared -fPIC -x c - -o "+missing+" && echo | cc -shared -fPIC -x c - -o "+dependent+" -Wl,--no-as-needed -x none "+missing+" && rm "+missing)
	out, err := sh.CombinedOutput()
	require.NoError(t, err, "%s", out)
	broken := filepath.Join(t.TempDir(), fake.Name)
	require.NoError(t, os.WriteFile(broken, []byte("no library"), 0o644))

	const cpu, gpu = "1", "2"
	for _, c := range []struct {
		name, told, lib string
		args            []string
		want            string
	}{
		{"working", "", working, []string{"open"}, "oneDNN 3.13.2 (stand-in), runtimes 512 and 512, wraps 1\n"},
		{"least", "version=3007000", working, []string{"open"}, "oneDNN 3.7.0 (stand-in), runtimes 512 and 512, wraps 1\n"},
		{"no GPU runtime", "gpu=0,cpu=2", working, []string{"open"}, "oneDNN 3.13.2 (stand-in), runtimes 2 and 0, wraps 0\n"},
		{"3.1", "version=3001001", working, []string{"open"}, "library_open: class 2, " + working + " is oneDNN 3.1.1; bitlane needs 3.7 or later of 3.x, and recommends 3.10 or later\n"},
		{"3.6", "version=3006002", working, []string{"open"}, "library_open: class 2, " + working + " is oneDNN 3.6.2; bitlane"},
		{"4.0", "version=4000000", working, []string{"open"}, "library_open: class 2, "},
		{"old and incomplete", "version=3001000", incomplete, []string{"open"}, "library_open: class 2, "},
		{"symbol", "", incomplete, []string{"open"}, "library_open: class 3, " + incomplete + " (oneDNN 3.13.2) lacks dnnl_primitive_attr_set_deterministic\n"},
		{"another library", "", "libc.so.6", []string{"open"}, "library_open: class 3, libc.so.6 has no symbol dnnl_version: is it oneDNN?\n"},
		{"no file", "", "/none/" + fake.Name, []string{"open"}, "library_open: class 1, /none/libdnnl.so.3: cannot open shared object file: No such file or directory\n"},
		{"no library in the file", "", broken, []string{"open"}, "library_open: class 1, " + broken + ": "},
		{"dependency", "", dependent, []string{"open"}, "library_open: class 1, " + dependent + ": " + missing + ": cannot open shared object file: No such file or directory\n"},

		{"two GPUs", "gpus=2", working, []string{"engines", gpu}, "engine 0\nengine 1\nengine_create: class 4, no Intel GPU 2 (SYCL, status 2)\n"},
		{"no GPU", "gpus=0", working, []string{"engines", gpu}, "engine_create: class 4, no usable Intel GPU 0 through SYCL (status 2): wants Intel's compute runtime "},
		{"no GPU runtime, engine", "gpu=0", working, []string{"engines", gpu}, "engine_create: class 4, this oneDNN was built without a runtime for GPUs\n"},
		{"driver fails", "driver=5", working, []string{"engines", gpu}, "engine_create: class 8, no usable Intel GPU 0 through SYCL (status 5): "},
		{"driver without memory", "driver=1", working, []string{"engines", gpu}, "engine_create: class 5, dnnl_engine_create: oneDNN: out of memory (status 1)\n"},
		{"no CPU driver", "cpus=0", working, []string{"engines", cpu}, "engine_create: class 4, no CPU engine 0: this oneDNN runs on CPUs through SYCL, which needs Intel's OpenCL driver for CPUs: set OCL_ICD_FILENAMES to its libintelocl.so (it is "},
		{"OpenMP", "cpus=0,cpu=2", working, []string{"engines", cpu}, "engine_create: class 4, no CPU engine 0 (OpenMP, status 2)\n"},

		{"reference", "ref=1", working, []string{"life", gpu}, "layer_prepare: class 9, oneDNN 3.13.2 has only \"ocl:ref:any\" for 1 x 64 by 6: correct, but hundreds of times slower\nlife: 9, 0 alive\n"},
		{"unimplemented", "unimplemented=1", working, []string{"life", gpu}, "layer_prepare: class 7, a product of 1 x 64 s8 by 64 x 6 s8 in groups of 32 to f32: oneDNN: not implemented (status 3)\nlife: 7, 0 alive\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := run(t, c.told, program, append([]string{c.lib}, c.args...)...)
			if strings.HasSuffix(c.want, "\n") {
				require.Equal(t, c.want, got)
			} else {
				require.True(t, strings.HasPrefix(got, c.want), "%s", got)
			}
		})
	}
}

// The shim's library shows its interface and nothing else, and needs no oneDNN.
func TestLibrary(t *testing.T) {
	path, err := build.Library(t.TempDir())
	require.NoError(t, err)
	out, err := exec.Command("nm", "-D", "--defined-only", "-j", path).Output()
	require.NoError(t, err)
	for _, name := range strings.Fields(string(out)) {
		require.True(t, strings.HasPrefix(name, "bitlane_xpu_"), name)
	}
	header, err := os.ReadFile("bitlane_xpu.h")
	require.NoError(t, err)
	require.Equal(t, strings.Count(string(header), "\nBITLANE_XPU_API "), len(strings.Fields(string(out))))
	needed, err := exec.Command("sh", "-c", "readelf -d "+path+" | grep NEEDED").Output()
	require.NoError(t, err)
	require.NotContains(t, string(needed), "dnnl")
}
