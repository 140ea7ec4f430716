//go:build cuda && cgo && linux

package driver

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/csrc/cuda/cublaslt"
	"github.com/bitlane/bitlane/dtype"
)

// The oldest major version of cuBLASLt, and a driver's, that is taken.
const oldestDense, oldestDenseDriver = 12, 12000

// The numbers here and in the tables of the ABI are the same.
var (
	_ = [1]struct{}{}[statusNotInitialized-cublaslt.NotInitialized]
	_ = [1]struct{}{}[statusAllocFailed-cublaslt.AllocFailed]
	_ = [1]struct{}{}[statusArchMismatch-cublaslt.ArchMismatch]
	_ = [1]struct{}{}[statusNotSupported-cublaslt.NotSupported]
)

// denseLibrary names the library, or says why it cannot be used.
func denseLibrary(s cublaslt.State) (string, error) {
	if why := noDense(s); why != "" {
		return "", &backend.Absence{Class: backend.ErrUnsupported, Backend: "cuda", Why: why}
	}
	return "cuBLASLt " + release(s), nil
}

func release(s cublaslt.State) string {
	return fmt.Sprintf("%d.%d.%d", s.Version[0], s.Version[1], s.Version[2])
}

func noDense(s cublaslt.State) string {
	switch {
	case s.Driver < oldestDenseDriver:
		return fmt.Sprintf("cuBLASLt %d needs a driver of CUDA %s or newer, this one is of %s", oldestDense, version(oldestDenseDriver), version(s.Driver))
	case s.File == "":
		return untaken(s.Tried)
	case s.Missing != "":
		return fmt.Sprintf("%s, version %s, has no %s", s.File, release(s), s.Missing)
	case s.Version[0] < oldestDense:
		return fmt.Sprintf("%s is too old: version %s, wants %d.0 or newer", s.File, release(s), oldestDense)
	}
	return ""
}

// untaken says why no file was loaded: the loader's words, but for files that are
// not there.
func untaken(all []cublaslt.Tried) string {
	var absent, broken []string
	for _, t := range all {
		if strings.HasPrefix(t.Text, t.File+": ") && strings.Contains(t.Text, "No such file") {
			absent = append(absent, t.File)
		} else if t.Text == "" {
			broken = append(broken, t.File+": cannot be loaded")
		} else {
			broken = append(broken, t.Text)
		}
	}
	if len(broken) > 0 {
		return strings.Join(broken, "; ")
	}
	return strings.Join(absent, " or ") + " not found"
}

// denseError is the error of a call that returned code, nil for success.
func denseError(what string, code cublaslt.Code) error {
	switch {
	case code == 0:
		return nil
	case code > 0:
		return newError(what, int(code))
	}
	return &LibraryError{What: what, Status: code.Status(), Name: cublaslt.StatusName(code.Status())}
}

// dense is a context's handle of the library, which is opened by the first Plan.
type dense struct {
	mu     sync.Mutex
	handle uintptr
	opened bool
}

func (d *dense) open(ctx uintptr) (uintptr, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opened {
		return d.handle, nil
	}
	handle, code := cublaslt.Open(ctx)
	if code != 0 {
		return 0, denseError("cublasLtCreate", code)
	}
	d.handle, d.opened = handle, true
	return handle, nil
}

func (d *dense) close(ctx uintptr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.opened {
		return nil
	}
	d.opened = false
	return denseError("cublasLtDestroy", cublaslt.Close(ctx, d.handle))
}

type plan struct {
	context   *context
	product   Product
	name      string
	workspace int64
	handle    atomic.Uintptr // 0 after Close
}

var denseTypes = map[dtype.DType]cublaslt.Type{dtype.F16: cublaslt.F16, dtype.BF16: cublaslt.BF16, dtype.F32: cublaslt.F32}

func (c *context) Plan(p Product) (Plan, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	library, err := denseLibrary(cublaslt.Load())
	if err != nil {
		return nil, err
	}
	handle, err := c.dense.open(c.handle)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", library, err)
	}
	planned, a, what, code := cublaslt.Plan(c.handle, handle, &cublaslt.Product{
		Type: denseTypes[p.Type], Out: denseTypes[p.Y], N: p.N, K: p.K, XStride: p.XStride, WStride: p.WStride,
		YStride: p.YStride, Alpha: p.Alpha, MaxRows: p.MaxRows, MaxWorkspace: MaxWorkspace,
	})
	if code != 0 {
		return nil, fmt.Errorf("%s: product of %s: %w", library, p.String(), denseError(what, code))
	}
	own := &plan{context: c, product: p, workspace: a.Workspace}
	own.name = fmt.Sprintf("%s algorithm %d, tile %d, stages %d, swizzling %d, option %d, inner shape %d, cluster %d",
		library, a.ID, a.Tile, a.Stages, a.Swizzling, a.Option, a.Inner, a.Cluster)
	own.handle.Store(planned)
	return own, nil
}

func (p *plan) Workspace() int64 { return p.workspace }

func (p *plan) Name() string { return p.name }

func (p *plan) Close() error {
	if p.handle.Load() == 0 {
		return nil
	}
	if err := p.context.open(); err != nil {
		return err
	}
	handle := p.handle.Swap(0)
	if handle == 0 {
		return nil
	}
	return denseError("cublasLtMatmulDescDestroy", cublaslt.Free(p.context.handle, handle))
}

func (s *stream) Multiply(p Plan, rows int, x, w, y, workspace Ptr) error {
	own, ok := p.(*plan)
	if !ok || !s.context.same(own.context) {
		return fmt.Errorf("%w: product of a plan of another context", backend.ErrDevice)
	}
	if err := s.open(); err != nil {
		return err
	}
	handle := own.handle.Load()
	if handle == 0 {
		return backend.ErrClosed
	}
	if err := own.context.open(); err != nil { // with it went the library's handle
		return err
	}
	if err := own.product.CheckCall(rows, x, w, y, workspace, own.workspace); err != nil || rows == 0 {
		return err
	}
	code := cublaslt.Multiply(s.context.handle, s.handle, handle, rows, uint64(x), uint64(w), uint64(y), uint64(workspace))
	if code == 0 {
		return nil
	}
	return denseError(fmt.Sprintf("cublasLtMatmul of %d rows of %s with %s", rows, own.product.String(), own.name), code)
}
