//go:build !(linux && amd64)

package bf16emu

import "errors"

// Install is for Linux on amd64.
func Install() error { return errors.New("bf16emu: not on this system") }
