// Package emulated registers the backend "cuda-emulated": one CUDA device that
// is not there. It runs the kernels of the backend "cuda", the committed PTX, in
// an interpreter in Go that checks every access, barrier and race. It is for
// tests, thousands of times slower than a GPU, and never chosen by itself: name
// it, cuda-emulated:0.
package emulated

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/cuda/internal/emulator"
	"github.com/bitlane/bitlane/backend/cuda/internal/linear"
)

func init() {
	stand := new(emulator.Driver)
	backend.Register(&device.Backend{
		ID: "cuda-emulated", Emulated: true, Table: linear.Kernels(), Points: linear.Points(),
		System: func() (driver.Driver, error) { return stand, nil },
	})
}
