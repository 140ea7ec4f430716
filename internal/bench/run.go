package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/internal/peak"
)

// AllKernels, in Options.Kernels, stands for every kernel that can run a layer.
const AllKernels = "all"

// Options say what Run measures.
type Options struct {
	Shapes  []Shape
	Models  []Model // of Sets; Shapes has their layers already
	Rows    []int   // numbers of rows of x
	Forms   []Form
	Kernels []string // by name; empty: the best for each layer; AllKernels
	Threads []int    // each at most one per core
	CPUs    []int    // nil: one of each core that the process may use
	Budget  time.Duration
	Cold    int64 // bytes that no cache holds; 0: four last-level caches, as far as there is memory

	LimitsOnly bool  // no Shapes
	Sets       bool  // layers of Models that share x, grouped and one by one
	SetRows    []int // numbers of rows for Sets
	Callers    int   // of one layer at once, above 1; 0: none
	CallerRows []int // numbers of rows for Callers
}

// Watcher is told what Run does, by one goroutine at a time. Any of it may be
// nil.
type Watcher struct {
	Progress func(text string)
	Begin    func(*Report)
	Limits   func([]Limit)
	Cell     func(*Cell)
	Together func(*Together)
	Crowd    func(*Crowd)
}

// Run measures. Its error says why nothing could be measured, or is the
// context's: the Report then has what was measured before. What goes wrong with
// one layer stands in its Cell.
//
// It uses all CPUs that it is given, raises GOMAXPROCS and holds off garbage
// collections while it measures, so that nothing else should run in the
// process.
func Run(ctx context.Context, o Options, w Watcher) (*Report, error) {
	type result struct {
		r   *Report
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the bound thread ends with the goroutine
		r := &runner{o: o, w: w}
		err := r.run(ctx)
		done <- result{&r.report, err}
	}()
	out := <-done
	return out.r, out.err
}

// runner is one Run.
type runner struct {
	o      Options
	w      Watcher
	report Report
	cold   int64 // bytes that copies of a layer should be together
	done   int
	total  int
}

// unknownCache is taken as the last-level cache where the system does not say.
const unknownCache = 64 << 20

func (r *runner) run(ctx context.Context) (err error) {
	cpus, core := r.o.CPUs, peak.ThisCore()
	if cpus == nil {
		cpus = Cores()
	}
	most := slices.Max(r.o.Threads)
	if most > len(cpus) {
		return fmt.Errorf("%d threads want %d cores; the process may use %d", most, most, len(cpus))
	}
	cpus = cpus[:most]
	cache, known := lastLevelCache(os.DirFS("/"), cpus[0])
	_, probe := peak.Loops()
	r.report = Report{
		Core: CoreInfo{core.Vendor.String(), core.Family, core.Model, core.Design()}, CPUs: cpus, Cache: cache, Probe: probe, Budget: r.o.Budget.Seconds(),
		Limits: []Limit{}, Cells: []Cell{}, Together: []Together{}, Crowds: []Crowd{}, Warnings: []string{},
	}
	if !known {
		cache = unknownCache
		r.warn("the size of the last-level cache is not known: taken as %d MiB", cache>>20)
	}
	if r.cold = r.o.Cold; r.cold == 0 {
		if r.cold, err = r.coldBytes(ctx, cache); err != nil {
			return err
		}
	}
	// A device's threads, those that measure limits, and callers: all may be
	// awake at once.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 2*most+r.o.Callers+2)))
	mem, err := newArenas(int(r.cold) + most<<22)
	if err != nil {
		return err
	}
	defer mem.close()
	r.plan()
	for i, threads := range r.o.Threads {
		if err := r.threads(ctx, mem, cpus[:threads], i == 0); err != nil {
			return err
		}
	}
	r.report.Complete = true
	return nil
}

// coldBytes is how much memory no cache holds: a few caches, and at most an
// eighth of what is free.
func (r *runner) coldBytes(ctx context.Context, cache int) (int64, error) {
	want := int64(coldCaches) * int64(cache)
	dev, err := bitlane.Open(ctx, "cpu", backend.OpenOptions{Threads: 1})
	if err != nil {
		return 0, err
	}
	if free, _, err := dev.Mem(); err == nil && free/8 < want {
		want = max(free/8, 1<<20)
		r.warn("memory for %d MiB, not for %d last-level caches: what should be cold may be warm", want>>20, coldCaches)
	}
	return want, dev.Close()
}

func (r *runner) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(r.report.Warnings, text) {
		r.report.Warnings = append(r.report.Warnings, text)
	}
}

// plan counts the steps for the progress.
func (r *runner) plan() {
	kernels := max(1, len(r.o.Kernels))
	steps := 1
	if !r.o.LimitsOnly {
		steps += len(r.o.Shapes) * len(r.o.Forms) * kernels * len(r.o.Rows)
	}
	if r.o.Sets {
		steps += 2 * len(r.o.Models) * len(r.o.Forms) * kernels * len(r.o.SetRows)
	}
	if r.o.Callers > 1 {
		steps += len(r.o.Shapes) * len(r.o.Forms) * kernels * len(r.o.CallerRows)
	}
	r.total = steps * len(r.o.Threads)
}

func (r *runner) step(format string, args ...any) {
	r.done++
	if r.w.Progress != nil {
		r.w.Progress(fmt.Sprintf("%d/%d ", r.done, max(r.done, r.total)) + fmt.Sprintf(format, args...))
	}
}

// threads measures everything on so many CPUs.
func (r *runner) threads(ctx context.Context, mem *arenas, cpus []int, first bool) (err error) {
	m, bound := newMachine(cpus, mem)
	defer m.close()
	dev, err := bitlane.Open(ctx, "cpu", backend.OpenOptions{Threads: len(cpus), CPUs: given(cpus, bound)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	if !bound {
		r.warn("threads could not be bound to CPUs: the system moves them as it likes")
	}
	r.report.Bound = bound && (first || r.report.Bound)
	r.report.Device = dev.Info()
	if first && r.w.Begin != nil {
		r.w.Begin(&r.report)
	}
	r.step("limits of %d threads", len(cpus))
	limits, err := m.limits(ctx, r.o.Budget*5/2)
	if err != nil {
		return err
	}
	r.report.Limits = append(r.report.Limits, limits...)
	if r.w.Limits != nil {
		r.w.Limits(limits)
	}
	b := &batch{runner: r, machine: m, dev: dev}
	if !r.o.LimitsOnly {
		if err := b.layers(ctx); err != nil {
			return err
		}
	}
	if r.o.Sets {
		if err := b.sets(ctx); err != nil {
			return err
		}
	}
	if r.o.Callers > 1 {
		return b.crowds(ctx, cpus)
	}
	return nil
}

// given is the CPUs to bind a device's threads to: none where threads cannot
// be bound.
func given(cpus []int, bound bool) []int {
	if !bound {
		return nil
	}
	return cpus
}
