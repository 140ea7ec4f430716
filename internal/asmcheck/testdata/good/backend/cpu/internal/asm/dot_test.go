package asm

import (
	"testing"

	"github.com/klauspost/cpuid/v2"
)

type kernel struct {
	name  string
	needs []cpuid.FeatureID
	run   func(*Call)
}

var kernels []kernel

func (k kernel) require(t *testing.T) {
	for _, id := range k.needs {
		if !cpuid.CPU.Supports(id) {
			t.Skip(k.name)
		}
	}
}

func TestKernels(t *testing.T) {
	for _, k := range kernels {
		t.Run(k.name, func(t *testing.T) {
			k.require(t)
			k.run(&Call{})
		})
	}
}
