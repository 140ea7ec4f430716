package cpu

import (
	"fmt"
	"os"
	"testing"

	"github.com/bitlane/bitlane/internal/bf16emu"
)

// TestMain emulates VDPBF16PS where BITLANE_TEST_BF16 is "emulated", for
// machines that have AVX-512 without it.
func TestMain(m *testing.M) {
	if os.Getenv("BITLANE_TEST_BF16") == "emulated" {
		if err := bf16emu.Install(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
