// Package xpucpu registers the backend "xpu-cpu": oneDNN's CPU engine, of a
// build for SYCL, through everything that the backend "xpu" uses for a GPU. It is
// for tests: right, mostly by loops that take 100 ns for a product, and never
// chosen by itself. Name it, xpu-cpu:0.
//
// The package onednn of PyPI has such a build. Its engine is there only where the
// loader of OpenCL finds Intel's CPU run-time: set OCL_ICD_FILENAMES to the
// libintelocl.so that comes with it.
package xpucpu

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/backend/xpu/internal/linear"
	"github.com/bitlane/bitlane/backend/xpu/internal/onednn"
)

func init() {
	backend.Register(linear.Backend("xpu-cpu", driver.CPU, onednn.System("xpu-cpu")))
}
