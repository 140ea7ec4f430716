//go:build cuda && cgo && linux

package driver

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/csrc/cuda/cublaslt"
	"github.com/bitlane/bitlane/csrc/cuda/fake"
	"github.com/bitlane/bitlane/csrc/cuda/fakelt"
	"github.com/bitlane/bitlane/dtype"
)

// needsDense skips a test where the machine has no library.
func needsDense(t *testing.T) {
	t.Helper()
	name, err := denseLibrary(cublaslt.Load())
	if *device && err != nil {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Log(name)
}

// plannedFor returns a plan of ctx that the test need not close.
func plannedFor(t *testing.T, ctx Context, p Product) Plan {
	t.Helper()
	plan, err := ctx.Plan(p)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plan.Close()) })
	return plan
}

// matrices are a product's on the device, with small integers, so that every sum
// is exact, and NaN between the rows.
type matrices struct {
	p                Product
	x, w             []float32 // rows by K and N by K
	xAt, wAt, yAt    Ptr
	workspace        Ptr
	yBytes, yElement int
}

func newMatrices(t *testing.T, ctx Context, s Stream, plan Plan, p Product) *matrices {
	t.Helper()
	m := &matrices{p: p, yElement: p.Y.Size(), yBytes: p.MaxRows * p.YStride * p.Y.Size()}
	random := rand.New(rand.NewPCG(1, uint64(p.N*p.K)))
	place := func(rows, cols, stride int) ([]float32, Ptr) {
		values := make([]float32, rows*cols)
		bytes := make([]byte, rows*stride*p.Type.Size())
		for i := range rows * stride {
			p.Type.Put(bytes, i, float32(math.NaN()))
		}
		for i := range values {
			values[i] = float32(random.IntN(7) - 3)
			p.Type.Put(bytes, i/cols*stride+i%cols, values[i])
		}
		at := alloc(t, ctx, int64(len(bytes)))
		require.NoError(t, s.Upload(at, bytes))
		return values, at
	}
	m.x, m.xAt = place(p.MaxRows, p.K, p.XStride)
	m.w, m.wAt = place(p.N, p.K, p.WStride)
	m.yAt = alloc(t, ctx, int64(m.yBytes))
	m.workspace = alloc(t, ctx, plan.Workspace())
	return m
}

// clear marks all of y.
func (m *matrices) clear(t *testing.T, s Stream) {
	t.Helper()
	require.NoError(t, s.Fill8(m.yAt, 0x55, int64(m.yBytes)))
}

// check compares y with the product of so many rows, and all else with what clear
// wrote.
func (m *matrices) check(t *testing.T, s Stream, rows int) {
	t.Helper()
	got := make([]byte, m.yBytes)
	require.NoError(t, s.Download(got, m.yAt))
	want := make([]byte, m.yBytes)
	for i := range want {
		want[i] = 0x55
	}
	for r := range rows {
		for n := range m.p.N {
			var sum float32
			for k := range m.p.K {
				sum += m.x[r*m.p.K+k] * m.w[n*m.p.K+k]
			}
			m.p.Y.Put(want, r*m.p.YStride+n, m.p.Alpha*sum)
		}
	}
	require.Equal(t, want, got, "%d rows", rows)
}

func TestDenseLibrary(t *testing.T) {
	needsStandIn(t)
	name, err := denseLibrary(cublaslt.Load())
	require.NoError(t, err)
	require.Equal(t, "cuBLASLt 12.9.3", name)
}

// What a user reads where there is no library, or one that cannot be used.
func TestUnusableDenseLibraries(t *testing.T) {
	needsStandIn(t)
	run := func() {
		system, err := System()
		must(err)
		_, err = denseLibrary(cublaslt.Load())
		fmt.Println(err, errors.Is(err, backend.ErrUnsupported))
		ctx, err := system.Open(0, 0)
		must(err)
		_, err = ctx.Plan(small)
		fmt.Println(err)
		must(ctx.Close())
	}
	inChild(t, run)
	none, broken, less := t.TempDir(), t.TempDir(), t.TempDir()
	for _, dir := range []string{none, broken, less} {
		require.NoError(t, fake.Build(dir))
	}
	require.NoError(t, os.WriteFile(filepath.Join(broken, fakelt.Name), []byte("no library"), 0o644))
	require.NoError(t, fakelt.Build(less, fakelt.Name, "-DcublasLtMatmul=absent"))
	for _, c := range []struct{ dir, driver, library, want string }{
		{none, "", "", "libcublasLt.so.12 not found"},
		{none, "version=13010", "", "libcublasLt.so.13 or libcublasLt.so.12 not found"},
		{broken, "version=13010", "", filepath.Join(broken, fakelt.Name) + ": file too short"},
		{less, "", "", "libcublasLt.so.12, version 12.9.3, has no cublasLtMatmul"},
		{os.Getenv(standIn), "", "version=110501", "libcublasLt.so.12 is too old: version 11.5.1, wants 12.0 or newer"},
		{os.Getenv(standIn), "version=11080", "", "cuBLASLt 12 needs a driver of CUDA 12.0 or newer, this one is of 11.8"},
	} {
		out := child(t, run, "LD_LIBRARY_PATH="+c.dir, "BITLANE_FAKE_CUDA="+c.driver, "BITLANE_FAKE_CUBLASLT="+c.library)
		if c.dir == none && !strings.Contains(out, "not found") {
			t.Log("this machine has a library: ", out)
			continue
		}
		require.Equal(t, c.want+" true\n"+c.want+"\n", out)
	}
	require.Equal(t, "libcublasLt.so.13: text; libcublasLt.so.12: cannot be loaded",
		untaken([]cublaslt.Tried{{File: "libcublasLt.so.13", Text: "libcublasLt.so.13: text"}, {File: "libcublasLt.so.12"}}))
}

// One plan, any number of rows, odd sizes and strides.
func TestMultiply(t *testing.T) {
	needsDense(t)
	ctx := open(t)
	s := newStream(t, ctx)
	for _, p := range []Product{
		{Type: dtype.F16, Y: dtype.F16, N: 24, K: 40, XStride: 40, WStride: 40, YStride: 24, Alpha: 1, MaxRows: 21},
		{Type: dtype.BF16, Y: dtype.BF16, N: 19, K: 8, XStride: 24, WStride: 16, YStride: 32, Alpha: 0.5, MaxRows: 9},
		{Type: dtype.F16, Y: dtype.F32, N: 33, K: 72, XStride: 80, WStride: 88, YStride: 40, Alpha: -2, MaxRows: 16},
		{Type: dtype.BF16, Y: dtype.F32, N: 1, K: 64, XStride: 64, WStride: 64, YStride: 8, Alpha: 1, MaxRows: 64},
	} {
		t.Run(p.String(), func(t *testing.T) {
			plan := plannedFor(t, ctx, p)
			t.Log(plan.Name(), plan.Workspace())
			require.Zero(t, plan.Workspace()%256)
			require.LessOrEqual(t, plan.Workspace(), int64(MaxWorkspace))
			m := newMatrices(t, ctx, s, plan, p)
			for _, rows := range []int{p.MaxRows, 1, 0, 7, 3, p.MaxRows - 1} {
				m.clear(t, s)
				require.NoError(t, s.Multiply(plan, rows, m.xAt, m.wAt, m.yAt, m.workspace))
				m.check(t, s, rows)
			}
			again := plannedFor(t, ctx, p)
			require.Equal(t, plan.Name(), again.Name())
			require.Equal(t, plan.Workspace(), again.Workspace())
		})
	}
}

var small = Product{Type: dtype.F16, Y: dtype.F16, N: 16, K: 32, XStride: 32, WStride: 32, YStride: 16, Alpha: 1, MaxRows: 12}

// The stand-in's first offer splits K, and the second does not take one row.
func TestChosenAlgorithm(t *testing.T) {
	needsStandIn(t)
	plan := plannedFor(t, open(t), small)
	require.Equal(t, "cuBLASLt 12.9.3 algorithm 2, tile 20, stages 15, swizzling 1, option 3, inner shape 4, cluster 5", plan.Name())
	require.Equal(t, int64(1280), plan.Workspace())
}

func TestMultiplyAllocatesNothing(t *testing.T) {
	needsDense(t)
	ctx := open(t)
	s := newStream(t, ctx)
	plan := plannedFor(t, ctx, small)
	m := newMatrices(t, ctx, s, plan, small)
	require.Zero(t, testing.AllocsPerRun(50, func() {
		if s.Multiply(plan, 5, m.xAt, m.wAt, m.yAt, m.workspace) != nil || s.Sync() != nil {
			panic("failed")
		}
	}))
}

// A product is recorded as any work: nothing runs before the graph does, and then
// it reads what is there at the time.
func TestMultiplyInGraph(t *testing.T) {
	needsDense(t)
	ctx := open(t)
	s := newStream(t, ctx)
	plan, err := ctx.Plan(small)
	require.NoError(t, err)
	m := newMatrices(t, ctx, s, plan, small)
	m.clear(t, s)
	require.NoError(t, s.Sync())
	require.NoError(t, s.BeginCapture())
	require.NoError(t, s.Multiply(plan, 5, m.xAt, m.wAt, m.yAt, m.workspace))
	require.Error(t, s.Multiply(plan, small.MaxRows+1, m.xAt, m.wAt, m.yAt, m.workspace))
	g, err := s.EndCapture()
	require.NoError(t, err)
	require.NoError(t, plan.Close()) // the graph does not need it
	m.check(t, s, 0)
	for range 2 {
		m.clear(t, s)
		require.NoError(t, g.Launch(s))
		m.check(t, s, 5)
	}
	require.NoError(t, g.Close())
}

func TestRefusedProducts(t *testing.T) {
	needsDense(t)
	ctx := open(t)
	s := newStream(t, ctx)
	plan := plannedFor(t, ctx, small)
	m := newMatrices(t, ctx, s, plan, small)
	for name, c := range map[string]struct {
		rows        int
		x, w, y, at Ptr
	}{
		"too many rows":       {small.MaxRows + 1, m.xAt, m.wAt, m.yAt, m.workspace},
		"negative":            {-1, m.xAt, m.wAt, m.yAt, m.workspace},
		"x":                   {1, m.xAt + 8, m.wAt, m.yAt, m.workspace},
		"w":                   {1, m.xAt, m.wAt + 2, m.yAt, m.workspace},
		"y":                   {1, m.xAt, m.wAt, m.yAt + 4, m.workspace},
		"no y":                {1, m.xAt, m.wAt, 0, m.workspace},
		"unaligned workspace": {1, m.xAt, m.wAt, m.yAt, m.yAt + 16},
	} {
		if name == "unaligned workspace" && plan.Workspace() == 0 {
			continue
		}
		require.ErrorIs(t, s.Multiply(plan, c.rows, c.x, c.w, c.y, c.at), backend.ErrShape, name)
	}
	require.NoError(t, s.Multiply(plan, 0, 0, 0, 0, 0))
	_, err := ctx.Plan(Product{})
	require.ErrorIs(t, err, backend.ErrDType)
	require.ErrorIs(t, s.Multiply(nil, 1, m.xAt, m.wAt, m.yAt, m.workspace), backend.ErrDevice)
}

// What the library refuses is an error, with nothing left.
func TestLibraryRefuses(t *testing.T) {
	needsStandIn(t)
	for told, want := range map[string]string{
		"create=1":     "cuBLASLt 12.9.3: cublasLtCreate: CUBLAS_STATUS_NOT_INITIALIZED (1) unsupported true",
		"create=3":     "cuBLASLt 12.9.3: cublasLtCreate: CUBLAS_STATUS_ALLOC_FAILED (3) out of memory true",
		"heuristic=15": "cuBLASLt 12.9.3: product of float16, N 16, K 32, up to 12 rows: cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_NOT_SUPPORTED (15) unsupported true",
		"heuristic=14": "cuBLASLt 12.9.3: product of float16, N 16, K 32, up to 12 rows: cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_INTERNAL_ERROR (14) <nil> true",
		"offers=0":     "cuBLASLt 12.9.3: product of float16, N 16, K 32, up to 12 rows: cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_NOT_SUPPORTED (15) unsupported true",
		"offers=2":     "cuBLASLt 12.9.3: product of float16, N 16, K 32, up to 12 rows: none of 2 algorithms will do: 1 split K, the others do not take every number of rows: CUBLAS_STATUS_NOT_SUPPORTED (15) unsupported true",
		"refuse=12":    "cuBLASLt 12.9.3: product of float16, N 16, K 32, up to 12 rows: none of 4 algorithms will do: 0 split K, the others do not take every number of rows: CUBLAS_STATUS_NOT_SUPPORTED (15) unsupported true",
		"refuse=4":     "cuBLASLt 12.9.3: product of float16, N 16, K 32, up to 12 rows: none of 4 algorithms will do: 1 split K, the others do not take every number of rows: CUBLAS_STATUS_NOT_SUPPORTED (15) unsupported true",
	} {
		out := child(t, func() {
			system, err := System()
			must(err)
			ctx, err := system.Open(0, 0)
			must(err)
			_, err = ctx.Plan(small)
			var failed *LibraryError
			if !errors.As(err, &failed) {
				panic(err)
			}
			must(ctx.Close())
			fmt.Println(err, errors.Unwrap(failed), aliveDense(t) == denseCounts{} && alive(t) == counts{})
		}, "BITLANE_FAKE_CUBLASLT="+told)
		require.Equal(t, want+"\n", out)
	}
}

// An algorithm may turn out not to take a number of rows that nobody asked about:
// an error, and the others work.
func TestNumberOfRowsThatIsNotTaken(t *testing.T) {
	needsStandIn(t)
	out := child(t, func() {
		system, err := System()
		must(err)
		ctx, err := system.Open(0, 0)
		must(err)
		s, err := ctx.NewStream()
		must(err)
		plan, err := ctx.Plan(small)
		must(err)
		p, err := ctx.Alloc(1 << 16)
		must(err)
		must(s.Fill8(p, 0, 1<<16))
		err = s.Multiply(plan, 5, p, p+4096, p+8192, p+16384)
		fmt.Println(err, errors.Is(err, backend.ErrUnsupported))
		must(s.Multiply(plan, 6, p, p+4096, p+8192, p+16384))
		must(s.Sync())
	}, "BITLANE_FAKE_CUBLASLT=refuse=5")
	require.Regexp(t, `^cublasLtMatmul of 5 rows of float16, N 16, K 32, up to 12 rows with cuBLASLt 12.9.3 algorithm 2, .*: CUBLAS_STATUS_NOT_SUPPORTED \(15\) true\n$`, out)
}

// A product that reads what is not there loses the device, and the library's own
// status does not hide it.
func TestDeviceLostInProduct(t *testing.T) {
	out := child(t, func() {
		system, err := System()
		must(err)
		ctx, err := system.Open(0, 0)
		must(err)
		s, err := ctx.NewStream()
		must(err)
		plan, err := ctx.Plan(small)
		must(err)
		p, err := ctx.Alloc(1 << 16)
		must(err)
		must(s.Multiply(plan, 5, 4096, p, p+8192, p+16384))
		err = s.Sync()
		fmt.Println("sync:", errors.Is(err, backend.ErrDeviceLost))
		err = s.Multiply(plan, 5, p, p, p+8192, p+16384)
		fmt.Println("multiply:", errors.Is(err, backend.ErrDeviceLost))
		_, err = ctx.Plan(small)
		fmt.Println("plan:", errors.Is(err, backend.ErrDeviceLost))
	})
	require.Contains(t, out, "sync: true\nmultiply: true\nplan: true\n")
}

// Plans of contexts that are closed, in each order, and of other devices.
func TestClosedPlans(t *testing.T) {
	needsDense(t)
	ctx := open(t)
	s := newStream(t, ctx)
	plan, err := ctx.Plan(small)
	require.NoError(t, err)
	m := newMatrices(t, ctx, s, plan, small)
	require.NoError(t, plan.Close())
	require.NoError(t, plan.Close())
	require.ErrorIs(t, s.Multiply(plan, 1, m.xAt, m.wAt, m.yAt, m.workspace), backend.ErrClosed)

	// Another Context of the same CUcontext: its plans work in streams of this one
	// until it is closed.
	system, err := System()
	require.NoError(t, err)
	second, err := system.Open(0, 0)
	require.NoError(t, err)
	other, err := second.Plan(small)
	require.NoError(t, err)
	m.clear(t, s)
	require.NoError(t, s.Multiply(other, 3, m.xAt, m.wAt, m.yAt, m.workspace))
	m.check(t, s, 3)
	require.NoError(t, other.Close())
	late, err := second.Plan(small)
	require.NoError(t, err)
	require.NoError(t, late.Close())
	require.NoError(t, second.Close())
	require.ErrorIs(t, s.Multiply(other, 1, m.xAt, m.wAt, m.yAt, m.workspace), backend.ErrClosed)
	_, err = second.Plan(small)
	require.ErrorIs(t, err, backend.ErrClosed)

	if all, err := system.Devices(); err == nil && len(all) > 1 {
		elsewhere, err := system.Open(1, 0)
		require.NoError(t, err)
		foreign, err := elsewhere.Plan(small)
		require.NoError(t, err)
		require.ErrorIs(t, s.Multiply(foreign, 1, m.xAt, m.wAt, m.yAt, m.workspace), backend.ErrDevice)
		require.NoError(t, foreign.Close())
		require.NoError(t, elsewhere.Close())
	}
}

// One plan and its context's handle, used by many goroutines with a stream each.
func TestPlanOfManyGoroutines(t *testing.T) {
	needsDense(t)
	ctx := open(t)
	plan := plannedFor(t, ctx, small)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		s := newStream(t, ctx)
		m := newMatrices(t, ctx, s, plan, small)
		wg.Go(func() {
			for rows := 1; rows <= small.MaxRows && errs[i] == nil; rows++ {
				mine, err := ctx.Plan(small)
				if err == nil {
					err = errors.Join(s.Multiply(plan, rows, m.xAt, m.wAt, m.yAt, m.workspace),
						s.Multiply(mine, rows, m.xAt, m.wAt, m.yAt, m.workspace), s.Sync(), mine.Close())
				}
				errs[i] = err
			}
			errs[i] = errors.Join(errs[i], balanced(t))
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}
