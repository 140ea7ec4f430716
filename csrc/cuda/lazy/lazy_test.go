//go:build cuda && cgo && linux

package lazy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/csrc/cuda/fake"
)

// harness builds testdata/harness.c with the trampolines.
func harness(t *testing.T, compiler, header string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "harness")
	args := append([]string{"-O1", "-g", "-pthread", "-Wno-deprecated-declarations", "-I" + header}, fake.Warnings...)
	args = append(append(args, flags...), "lazy.c", "testdata/harness.c", "-ldl", "-o", path)
	out, err := exec.Command(compiler, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// headers are the folders of every cuda.h to compile with, by a name.
func headers(t *testing.T) map[string]string {
	found := map[string]string{"ours": fake.Header()}
	if real := os.Getenv("BITLANE_CUDA_INCLUDE"); real != "" {
		found["the toolkit's"] = real
	} else {
		t.Log("without BITLANE_CUDA_INCLUDE only with our header")
	}
	return found
}

// builds are the ways to compile. Debian's clang comes without the sanitizers'
// libraries.
var builds = []struct {
	compiler string
	flags    []string
}{
	{"cc", []string{"-fsanitize=address,undefined", "-fno-sanitize-recover"}},
	{"cc", []string{"-fsanitize=thread"}},
	{"clang-19", nil},
}

func needs(t *testing.T, compiler string) {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skipf("%s is not installed: make tools does it", compiler)
	}
}

// Every state that a driver can be in, asked for by eight threads at once,
// also under the sanitizers.
func TestStates(t *testing.T) {
	working, graphless, broken, empty := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, fake.Build(working))
	require.NoError(t, fake.Build(graphless, "-DFAKE_WITHOUT_GRAPHS"))
	require.NoError(t, os.WriteFile(filepath.Join(broken, fake.Name), []byte("no library"), 0o644))

	const answers = "cuInit 0, cuDeviceGetCount %d: %d, cuDriverGetVersion %d: %d, cuGetErrorName %d, cuArrayDestroy %d\n"
	const state = "loaded %d, code %d, version %d, missing %s, %s\n"
	want := func(code, count, versionCode, version, name, absent int, tail ...any) string {
		return strings.Repeat(fmt.Sprintf(answers, code, count, versionCode, version, name, absent), 8) + fmt.Sprintf(state, tail...)
	}
	cases := []struct{ name, dir, told, want string }{
		{"working", working, "", want(0, 2, 0, 12090, 0, 302, 1, 0, 12090, "nothing", "no text")},
		{"no device", working, "init=100", want(100, 0, 0, 12090, 0, 100, 1, 100, 12090, "nothing", "no text")},
		{"driver mismatch", working, "init=803", want(803, 0, 0, 12090, 0, 803, 1, 803, 12090, "nothing", "no text")},
		{"unknown", working, "init=999", want(999, 0, 0, 12090, 0, 999, 1, 999, 12090, "nothing", "no text")},
		{"old", working, "version=11000", want(0, 2, 0, 11000, 0, 302, 1, 0, 11000, "nothing", "no text")},
		{"symbol missing", graphless, "", want(0, 2, 0, 12090, 0, 302, 1, 0, 12090, "cuGraphInstantiateWithFlags", "no text")},
		{"no library in the file", broken, "", want(303, 0, 303, 0, 303, 303, 0, 0, 0, "nothing", "text")},
		{"no file", empty, "", want(303, 0, 303, 0, 303, 303, 0, 0, 0, "nothing", "text")},
	}
	for _, build := range builds {
		for name, header := range headers(t) {
			t.Run(build.compiler+strings.Join(build.flags, "")+"/"+name, func(t *testing.T) {
				needs(t, build.compiler)
				program := harness(t, build.compiler, header, build.flags...)
				for _, c := range cases {
					cmd := exec.Command(program)
					cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+c.dir, "BITLANE_FAKE_CUDA="+c.told)
					out, err := cmd.CombinedOutput()
					require.NoError(t, err, "%s: %s", c.name, out)
					if c.dir == empty && strings.Contains(string(out), "loaded 1") {
						t.Logf("%s: this machine has a driver", c.name)
						continue
					}
					require.Equal(t, c.want, string(out), c.name)
				}
			})
		}
	}
}

// The same through Go: the test starts itself with each library.
func TestLoad(t *testing.T) {
	if os.Getenv("BITLANE_LAZY_CHILD") != "" {
		fmt.Printf("%+v\n", Load())
		return
	}
	dir := t.TempDir()
	require.NoError(t, fake.Build(dir, "-DFAKE_WITHOUT_GRAPHS"))
	child := func(told string) string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLoad$")
		cmd.Env = append(os.Environ(), "BITLANE_LAZY_CHILD=1", "LD_LIBRARY_PATH="+dir, "BITLANE_FAKE_CUDA="+told)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.SplitN(string(out), "\n", 2)[0]
	}
	require.Equal(t, "{Loaded:true Text: Version:12090 Missing:cuGraphInstantiateWithFlags Code:0}", child(""))
	require.Equal(t, "{Loaded:true Text: Version:11020 Missing:cuGraphInstantiateWithFlags Code:803}", child("init=803,version=11020"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, fake.Name), nil, 0o644))
	require.Contains(t, child(""), "{Loaded:false Text:")
	require.Contains(t, child(""), fake.Name)
}
