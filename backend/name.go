package backend

import (
	"regexp"

	"github.com/bitlane/bitlane/quant"
)

// The grammar of kernel names: <family>_<weights>_<activations>_<unit>[_<variant>].
//
//	family       cpu, cuda, rocm, npu, xpu, or a user's own word
//	weights      w<bits>[g|c]  bits 2..8, 16, or x for any; g: per group, c: per channel only
//	activations  a<bits>       16: exact (x as it is), 8, 4
//	unit         the instruction, library or language that does the work
//	variant      anything more
var kernelName = regexp.MustCompile(`^[a-z][a-z0-9]*_w([2-8]|16|x)[gc]?_a(16|8|4)_[a-z][a-z0-9]*(_[a-z0-9]+)?$`)

// CheckKernelName reports a kernel name that breaks the grammar.
func CheckKernelName(name string) error {
	if !kernelName.MatchString(name) {
		return quant.Errorf(ErrFormat, "kernel", "name", "<family>_<weights>_<activations>_<unit>[_<variant>]", "%q", name)
	}
	return nil
}
