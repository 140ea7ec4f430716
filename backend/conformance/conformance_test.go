package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/conformance"
	"github.com/bitlane/bitlane/backend/cpu"
	"github.com/bitlane/bitlane/quant"
)

func processor(t *testing.T) backend.Backend {
	b, ok := backend.Lookup("cpu")
	require.True(t, ok)
	return b
}

// bare is the processor without any optional interface.
type bare struct {
	backend.Backend
	prepare func(ctx context.Context) error // called first, where it is not nil
}

type bareDevice struct {
	backend.Device
	inner *cpu.Device
}

type bareKernel struct {
	backend.Kernel
	b bare
}

type bareLayer struct{ backend.Layer }

func (b bare) Kernels() (all []backend.Kernel) {
	for _, k := range b.Backend.Kernels() {
		all = append(all, bareKernel{k, b})
	}
	return all
}

func (b bare) Open(ctx context.Context, id string, o backend.OpenOptions) (backend.Device, error) {
	d, err := b.Backend.Open(ctx, id, o)
	if err != nil {
		return nil, err
	}
	out := &bareDevice{d, d.(*cpu.Device)}
	out.inner.Bind(out)
	return out, nil
}

func (k bareKernel) Prepare(ctx context.Context, d backend.Device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
	if k.b.prepare != nil {
		if err := k.b.prepare(ctx); err != nil {
			return nil, err
		}
	}
	layer, err := k.Kernel.Prepare(ctx, d.(*bareDevice).inner, l, s)
	if err != nil {
		return nil, err
	}
	return bareLayer{layer}, nil
}

func result(t *testing.T, r *conformance.Report, name string) conformance.Result {
	for _, c := range r.Results {
		if c.Name == name {
			return c
		}
	}
	require.Fail(t, "no result", name)
	return conformance.Result{}
}

func TestAbsentInterfacesAreShownAsSkipped(t *testing.T) {
	report := conformance.Run(t.Context(), conformance.Target{Backend: bare{Backend: processor(t)}}, conformance.Options{Small: true})
	require.NoError(t, report.Err())
	skipped := map[string]string{}
	for _, c := range report.Results {
		if c.Status == conformance.Skipped {
			skipped[c.Name] = c.Reason
		}
	}
	require.Equal(t, map[string]string{
		"codes":         "no layer implements backend.Coder",
		"group":         "the device does not implement backend.Grouper",
		"out-of-memory": "the device does not implement backend.FaultInjector",
		"restore":       "no kernel implements backend.Restorer",
	}, skipped)
	require.Contains(t, report.Table(), "out-of-memory")
	require.Contains(t, report.Table(), "4 skipped")
}

func TestAPanicIsAFailureOfItsCheck(t *testing.T) {
	b := bare{Backend: processor(t), prepare: func(context.Context) error { panic("no such table") }}
	report := conformance.Run(t.Context(), conformance.Target{Backend: b}, conformance.Options{Small: true, Only: []string{"names", "floor"}})
	require.Equal(t, []string{"floor"}, report.Failed())
	require.ErrorContains(t, report.Err(), "no such table")
	require.ErrorContains(t, report.Err(), result(t, report, "floor").Rule)
	require.False(t, report.Complete)
}

func TestAHangIsAFailureOfItsCheck(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	b := bare{Backend: processor(t), prepare: func(context.Context) error {
		<-release
		return errors.New("too late")
	}}
	report := conformance.Run(t.Context(), conformance.Target{Backend: b},
		conformance.Options{Small: true, Only: []string{"names", "floor"}, Timeout: 50 * time.Millisecond})
	require.Equal(t, []string{"floor"}, report.Failed())
	require.ErrorContains(t, report.Err(), "no answer within 50ms")
}

func TestAnEndedContextIsNoPass(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	report := conformance.Run(ctx, conformance.Target{Backend: processor(t)}, conformance.Options{Small: true})
	require.ErrorContains(t, report.Err(), "context canceled")
	require.Empty(t, report.Failed())
	require.False(t, report.Complete)
	for _, c := range report.Results {
		require.Equal(t, conformance.NotRun, c.Status, c.Name)
	}
	require.Contains(t, report.Table(), fmt.Sprintf("0 passed, 0 failed, 0 skipped, %d not run", len(conformance.Checks())))
}

// What was done when the context ended stays; the check that it met and those
// behind it have not failed, but are no passes.
func TestAContextThatEndsKeepsWhatWasRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := bare{Backend: processor(t), prepare: func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}}
	report := conformance.Run(ctx, conformance.Target{Backend: b}, conformance.Options{Small: true})
	require.Equal(t, conformance.Passed, result(t, report, "names").Status)
	require.Empty(t, report.Failed())
	reasons := map[string]int{}
	for _, c := range report.Results {
		if c.Status == conformance.NotRun {
			reasons[c.Reason]++
		}
	}
	require.Len(t, reasons, 2)
	require.Equal(t, 1, reasons["given up: context canceled"], "the one that Prepare was called in")
	require.Positive(t, reasons["not begun: context canceled"])
	require.ErrorContains(t, report.Err(), "floor: not run: ")
}

func TestAFailureBeforeTheContextEndsIsKept(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	b := bare{Backend: processor(t), prepare: func(context.Context) error {
		if calls++; calls == 2 {
			cancel()
		}
		return errors.New("no such table")
	}}
	report := conformance.Run(ctx, conformance.Target{Backend: b}, conformance.Options{Small: true, Only: []string{"floor", "grid"}})
	require.Equal(t, []string{"floor"}, report.Failed())
	require.Len(t, result(t, report, "floor").Failures, 1)
}

func TestADeviceThatDoesNotOpenFails(t *testing.T) {
	target := conformance.Target{Backend: processor(t), Open: func(context.Context, backend.OpenOptions) (backend.Device, func() error, error) {
		return nil, nil, backend.ErrNoDevice
	}}
	report := conformance.Run(t.Context(), target, conformance.Options{Only: []string{"floor"}})
	require.ErrorContains(t, report.Err(), "Open: no device")
}

func TestTargetOpenIsUsed(t *testing.T) {
	opened, stopped := 0, 0
	target := conformance.Target{Backend: processor(t)}
	target.Open = func(ctx context.Context, o backend.OpenOptions) (backend.Device, func() error, error) {
		opened++
		d, err := target.Backend.Open(ctx, "0", o)
		return d, func() error {
			stopped++
			return d.Close()
		}, err
	}
	report := conformance.Run(t.Context(), target, conformance.Options{Small: true, Only: []string{"leaks", "busy"}})
	require.NoError(t, report.Err())
	require.Equal(t, 4, opened, "one for each check and one more inside of each")
	require.Equal(t, opened, stopped)
}

func TestOptions(t *testing.T) {
	for name, c := range map[string]struct {
		o    conformance.Options
		want string
	}{
		"unknown Only":   {conformance.Options{Only: []string{"speed"}}, `no check is called "speed"`},
		"unknown Skip":   {conformance.Options{Skip: []string{"speed"}}, `no check is called "speed"`},
		"floor":          {conformance.Options{Skip: []string{"leaks"}}, "leaks is of the floor and cannot be skipped"},
		"unknown kernel": {conformance.Options{Kernel: "cpu_w4g_a16_best"}, `no kernel "cpu_w4g_a16_best"`},
	} {
		t.Run(name, func(t *testing.T) {
			report := conformance.Run(t.Context(), conformance.Target{Backend: processor(t)}, c.o)
			require.ErrorContains(t, report.Err(), c.want)
			require.Contains(t, report.Table(), c.want)
			require.Empty(t, report.Results)
		})
	}
}

func TestSkipAndKernel(t *testing.T) {
	var begun []string
	report := conformance.Run(t.Context(), conformance.Target{Backend: processor(t)}, conformance.Options{
		Small: true, Only: []string{"grid", "codes", "plain"}, Skip: []string{"grid"}, Kernel: "cpu_wxg_a8_go",
		Before: func(c conformance.Info) { begun = append(begun, c.Name) },
	})
	require.NoError(t, report.Err())
	require.ElementsMatch(t, []string{"codes", "plain"}, begun)
	require.Equal(t, "by Options.Skip", result(t, report, "grid").Reason)
	require.Equal(t, conformance.Passed, result(t, report, "codes").Status)
	plain := result(t, report, "plain")
	require.Equal(t, conformance.Skipped, plain.Status)
	require.Regexp(t, `^every kernel refused all \d+ cells$`, plain.Reason)
	require.Zero(t, plain.Ran)
	require.Positive(t, plain.Refused)

	b, err := json.Marshal(report)
	require.NoError(t, err)
	require.Contains(t, string(b), `"status":"skipped"`)
}

func TestEveryCheckSaysItsRule(t *testing.T) {
	floor := 0
	seen := map[string]bool{}
	for _, c := range conformance.Checks() {
		require.Regexp(t, `^[a-z]+(-[a-z]+)*$`, c.Name)
		require.Regexp(t, `^\S.{20,}\.$`, c.Rule)
		require.False(t, seen[c.Name] || seen[c.Rule], c.Name)
		seen[c.Name], seen[c.Rule] = true, true
		if c.Floor {
			floor++
		}
	}
	require.GreaterOrEqual(t, floor, 10)
}
