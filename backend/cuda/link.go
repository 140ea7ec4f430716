//go:build cuda && cgo && linux

package cuda

// Go's linker takes packages breadth first. Named here, and not only in package
// driver, this one's flags come before those of gorgonia.org/cu: the linker
// finds our empty libcuda.a before a real libcuda.so, which the binary would
// then need to start. A test of csrc/cuda looks at the order.
import _ "github.com/bitlane/bitlane/csrc/cuda/lazy"
