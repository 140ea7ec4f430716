package bitlane

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// DisableVariable is the environment variable that disables kernels: their
// names, separated by commas. Blanks are ignored.
const DisableVariable = "BITLANE_DISABLE"

// ChooseOptions change what Choose picks. The zero value takes the best.
type ChooseOptions struct {
	Kernel  string   // this one or none; "": the best
	Disable []string // never these, beside those of BITLANE_DISABLE
}

// Check reports a kernel name, in o or in BITLANE_DISABLE, that no registered
// backend has. Choose, NewLinear and Explain check as well; a program that
// reads names from its user can do so before it loads anything.
func (o ChooseOptions) Check() error {
	_, err := o.wishes()
	if all := kernelNames(backend.Backends()...); err == nil && o.Kernel != "" && !slices.Contains(all, o.Kernel) {
		err = unknownKernel(o.Kernel, all)
	}
	return err
}

// CheckFor is Check for devices of one backend: it also reports a Kernel of
// another backend, which Choose would refuse for every layer.
func (o ChooseOptions) CheckFor(name string) error {
	b, ok := backend.Lookup(name)
	if !ok {
		return quant.Errorf(backend.ErrNoDevice, "", "backend", "a registered one", "%q", name)
	}
	if _, err := o.wishes(); err != nil {
		return err
	}
	return o.kernelOf(b)
}

// Verdict is what became of one kernel.
type Verdict struct {
	Kernel  string           `json:"kernel"`
	Chosen  bool             `json:"chosen"`
	Refusal *backend.Refusal `json:"refusal,omitempty"` // every reason against it; nil: it can run the layer
	Note    string           `json:"note,omitempty"`    // what the layer would take, or that a better kernel was chosen
}

// String returns "kernel chosen: note", "kernel can run it: note" or "kernel
// refused: reasons".
func (v Verdict) String() string {
	switch {
	case v.Refusal != nil:
		reasons := make([]string, len(v.Refusal.Reasons))
		for i, r := range v.Refusal.Reasons {
			reasons[i] = r.String()
		}
		return v.Kernel + " refused: " + strings.Join(reasons, "; ")
	case v.Chosen:
		return v.Kernel + " chosen: " + v.Note
	}
	return v.Kernel + " can run it: " + v.Note
}

// unasked is what a kernel is that ChooseOptions do not name.
const unasked = "not the one asked for"

func (v Verdict) unasked() bool {
	return v.Refusal != nil && slices.ContainsFunc(v.Refusal.Reasons, func(r backend.Reason) bool { return r.Has == unasked })
}

// Report is what became of every kernel of a device's backend, best first.
// String has a line for each.
type Report struct {
	Device   backend.DeviceInfo `json:"device"`
	Reason   string             `json:"reason,omitempty"` // why there is no such device (Explain only)
	Verdicts []Verdict          `json:"verdicts"`
}

// String returns the device and, on a line of its own, each verdict.
func (r *Report) String() string {
	s := r.Device.String()
	if r.Reason != "" {
		s += ": " + r.Reason
	}
	for _, v := range r.Verdicts {
		s += "\n  " + v.String()
	}
	return s
}

// NoKernelError says that no kernel of a device runs a layer, and why, for
// every kernel. It is of class backend.ErrUnsupported; errors.As finds its
// Refusals too.
type NoKernelError struct {
	Spec   backend.Spec
	Report Report
}

// Error returns one line for the layer and one for each kernel, or for the one
// that was asked for.
func (e *NoKernelError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no kernel of %v runs [%d,%d] %s with x %v and y %v", e.Report.Device, e.Spec.N, e.Spec.K, e.Spec.Scheme(), e.Spec.X, e.Spec.Y)
	others := 0
	for _, v := range e.Report.Verdicts {
		if v.unasked() {
			others++
			continue
		}
		b.WriteString("\n  " + v.String())
	}
	if others > 0 {
		fmt.Fprintf(&b, "\n  %d others were not asked for", others)
	}
	return b.String()
}

// Unwrap returns backend.ErrUnsupported and the Refusals.
func (e *NoKernelError) Unwrap() []error {
	all := []error{backend.ErrUnsupported}
	for _, v := range e.Report.Verdicts {
		if v.Refusal != nil {
			all = append(all, v.Refusal)
		}
	}
	return all
}

// Choose returns the best kernel of dev's backend that can run s, with one
// verdict for every kernel. One that rounds scaled weights, as its Numerics say,
// is chosen by name only. Where there is none the error is a *NoKernelError.
// A kernel name in the options that no backend has is an error, too.
func Choose(dev backend.Device, s backend.Spec, o ChooseOptions) (backend.Kernel, *Report, error) {
	if dev == nil {
		return nil, nil, quant.Errorf(backend.ErrNoDevice, "device", "", "an open one", "none")
	}
	info := dev.Info()
	b, ok := backend.Lookup(info.Backend)
	if !ok {
		return nil, nil, quant.Errorf(backend.ErrNoDevice, info.String(), "backend", "a registered one", "%q", info.Backend)
	}
	w, err := o.wishes()
	if err != nil {
		return nil, nil, err
	}
	if err := o.kernelOf(b); err != nil {
		return nil, nil, err
	}
	report, chosen := w.judge(b, info, s)
	if chosen == nil {
		return nil, &report, &NoKernelError{Spec: s, Report: report}
	}
	return chosen, &report, nil
}

// NewLinear makes the Spec of l for the request, chooses a kernel of dev and
// prepares l with it. It keeps no reference to l. Its errors are those of
// backend.NewSpec, Choose and Kernel.Prepare; the report is there as soon as
// there was something to choose from. Which kernel is best can depend on r.MaxRows: see there.
func NewLinear(ctx context.Context, dev backend.Device, l *quant.Linear, r backend.Request, o ChooseOptions) (backend.Layer, *Report, error) {
	s, err := backend.NewSpec(l, r)
	if err != nil {
		return nil, nil, err
	}
	k, report, err := Choose(dev, s, o)
	if err != nil {
		return nil, report, fmt.Errorf("%s: %w", l.Name, err)
	}
	layer, err := k.Prepare(ctx, dev, l, s)
	if err != nil {
		return nil, report, fmt.Errorf("%s: %s: %w", l.Name, k.Name(), err)
	}
	return layer, report, nil
}

// wishes are ChooseOptions with the environment's, their names checked.
type wishes struct {
	kernel   string
	disabled map[string]string // kernel: who disabled it
}

func (o ChooseOptions) wishes() (wishes, error) {
	w := wishes{kernel: o.Kernel, disabled: map[string]string{}}
	for _, name := range strings.Split(os.Getenv(DisableVariable), ",") {
		if name = strings.TrimSpace(name); name != "" {
			w.disabled[name] = DisableVariable
		}
	}
	for _, name := range o.Disable {
		if name = strings.TrimSpace(name); name != "" {
			w.disabled[name] = "the caller"
		}
	}
	known := kernelNames(backend.Backends()...)
	names := make([]string, 0, len(w.disabled))
	for name := range w.disabled {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(known, name) {
			return w, fmt.Errorf("disabled by %s: %w", w.disabled[name], unknownKernel(name, known))
		}
	}
	return w, nil
}

// judge gives every kernel of b its verdict on a device like info.
func (w wishes) judge(b backend.Backend, info backend.DeviceInfo, s backend.Spec) (report Report, chosen backend.Kernel) {
	report = Report{Device: info, Verdicts: []Verdict{}}
	for _, k := range b.Kernels() {
		v := Verdict{Kernel: k.Name(), Refusal: w.refuse(k, info, s)}
		if v.Refusal == nil {
			f := k.Footprint(info, s)
			rows := "row"
			if s.MaxRows != 1 {
				rows = "rows"
			}
			v.Note = fmt.Sprintf("weights %d bytes, workspace %d bytes for %d %s", f.Weights, f.Workspace, s.MaxRows, rows)
			if v.Chosen = chosen == nil; v.Chosen {
				chosen = k
			} else {
				v.Note += "; " + chosen.Name() + " is better"
			}
		}
		report.Verdicts = append(report.Verdicts, v)
	}
	return report, chosen
}

// refuse adds the caller's wishes and the device's capability to what the
// kernel itself has against s.
func (w wishes) refuse(k backend.Kernel, info backend.DeviceInfo, s backend.Spec) *backend.Refusal {
	var r *backend.Refusal
	if own := k.Supports(info, s); own != nil {
		r = &backend.Refusal{Kernel: own.Kernel, Reasons: slices.Clone(own.Reasons)}
	}
	if c, ok := k.(backend.Capable); ok && info.ID != "" && info.Capability < c.MinCapability() { // no ID: no device
		r = r.Add(k.Name(), "capability", fmt.Sprint(info.Capability), fmt.Sprintf("at least %d", c.MinCapability()), "")
	}
	if by, off := w.disabled[k.Name()]; off {
		fix := "do not disable it"
		if by == DisableVariable {
			fix = "take it out of " + DisableVariable
		}
		r = r.Add(k.Name(), "kernel", "disabled by "+by, "an enabled one", fix)
	}
	if r == nil && w.kernel == "" {
		if e := k.Numerics(s).WeightRound; e > 0 {
			r = r.Add(k.Name(), "weights", fmt.Sprintf("scaled and rounded, each by up to %.2g of it", e), "all that the checkpoint says", "ask for this kernel by name")
		}
	}
	if w.kernel != "" && w.kernel != k.Name() {
		r = r.Add(k.Name(), "kernel", unasked, w.kernel, "")
	}
	return r
}
