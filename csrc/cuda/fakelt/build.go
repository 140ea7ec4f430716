package fakelt

import (
	"embed"

	"github.com/bitlane/bitlane/csrc/cuda/fake"
)

//go:embed src/*
var source embed.FS

// Name is the file that the driver of package fake is made for.
const Name = "libcublasLt.so.12"

// Build compiles the stand-in into dir as name, with cc and more flags of a
// compiler, -DcublasLtMatmul=absent for one without that function. A process
// that is started with LD_LIBRARY_PATH=dir finds it. The error holds the
// compiler's text.
func Build(dir, name string, flags ...string) error {
	return fake.Compile(source, dir, name, append([]string{"-I" + fake.Header() + "/cublaslt", "-ldl"}, flags...)...)
}
