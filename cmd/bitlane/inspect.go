package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

type inspectReport struct {
	Directory string             `json:"directory"`
	Format    string             `json:"format"`
	DType     string             `json:"dtype,omitempty"`
	Verified  bool               `json:"verified"` // every layer was read and checked
	Read      *inspectRead       `json:"read,omitempty"`
	Modules   []module.Module    `json:"layers"`
	Fused     []checkpoint.Fused `json:"fused"`    // layers that can take the place of several
	Skipped   []module.Refused   `json:"skipped"`  // tensors that are no layers, and why
	Refused   []module.Refused   `json:"refused"`  // layers that are not read, and why
	Unread    []module.Refused   `json:"unread"`   // layers that --verify could not read, and why
	Findings  []module.Finding   `json:"findings"` // what looks wrong
	Warnings  []string           `json:"warnings"`
}

// inspectRead is how fast the layers were read, decoded and checked, one after the other by
// one thread.
type inspectRead struct {
	Bytes   int64   `json:"bytes"` // of their tensors in the files
	Seconds float64 `json:"seconds"`
}

func (r *inspectRead) String() string {
	return fmt.Sprintf("read and decoded %s in %s, %s/s on one thread", humanBytes(r.Bytes), humanTime(time.Duration(r.Seconds*1e9)), humanBytes(int64(float64(r.Bytes)/r.Seconds)))
}

func runInspect(ctx context.Context, e *env, args []string) error {
	f := newFlags(e, "inspect")
	var dense denseFlags
	dense.register(f)
	verify := f.Bool("verify", false, "read and check every layer: zero points, scales, group indices")
	pos, err := f.parse(args, "DIR")
	if err != nil {
		return err
	}
	m, err := dense.open(ctx, pos[0])
	if err != nil {
		return err
	}
	defer m.Close()
	r := inspectReport{
		Directory: pos[0], Format: m.Format(), Verified: *verify, Modules: orEmpty(m.Modules()),
		Fused: orEmpty(m.Fused()), Skipped: orEmpty(m.Skipped()), Refused: orEmpty(m.Refused()), Warnings: dense.warnings(m), Findings: []module.Finding{}, Unread: []module.Refused{},
	}
	if m.DType().Valid() {
		r.DType = m.DType().String()
	}
	if *verify {
		var l quant.Linear
		read := &inspectRead{}
		for i, mod := range r.Modules {
			e.progress("%d/%d %s", i+1, len(r.Modules), mod.Name)
			begin := time.Now()
			found, err := m.Load(ctx, &l, mod.Name)
			read.Seconds += time.Since(begin).Seconds()
			read.Bytes += mod.Bytes
			if ctx.Err() != nil {
				e.progress("")
				return stoppedAfter(ctx, i, len(r.Modules), "layer")
			}
			r.Findings = append(r.Findings, found...)
			if err != nil {
				r.Unread = append(r.Unread, module.Refused{Name: mod.Name, Why: err.Error()})
			}
		}
		if read.Bytes > 0 && read.Seconds > 0 {
			r.Read = read
		}
		e.progress("")
	}
	if f.json {
		err = e.printJSON(r)
	} else {
		err = e.printInspect(&r)
	}
	if err == nil && r.wrong() > 0 {
		return errFailed
	}
	return err
}

// wrong counts what makes the program fail.
func (r *inspectReport) wrong() int { return len(r.Findings) + len(r.Refused) + len(r.Unread) }

func (e *env) printInspect(r *inspectReport) error {
	fmt.Fprintf(e.stdout, "%s: %s, %s\n\n", r.Directory, r.Format, plural(len(r.Modules), "linear layer"))
	w := e.table()
	fmt.Fprintln(w, "layer\tN x K\tscheme\tzeros\tscales\tactivations\tsize")
	for _, m := range r.Modules {
		scales, zeros := "-", "-"
		if m.Scales.Valid() {
			scales, zeros = m.Scales.String(), "asymmetric"
			if m.Symmetric {
				zeros = "symmetric"
			}
		}
		fmt.Fprintf(w, "%s\t%d x %d\t%s\t%s\t%s\t%s\t%s\n", m.Name, m.N, m.K, schemeOf(&m), zeros, scales, m.Recipe, humanBytes(m.Bytes))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := e.printFused(r.Fused); err != nil {
		return err
	}
	if n := len(r.Skipped); n > 0 {
		fmt.Fprintf(e.stdout, "\nnot linear layers, or left out:\n")
		w := e.table()
		for _, s := range r.Skipped {
			fmt.Fprintf(w, "  %s\t%s\n", s.Name, s.Why)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	for _, s := range r.Refused {
		fmt.Fprintf(e.stdout, "\nrefused: %s", aboutLayer(s))
	}
	for _, s := range r.Warnings {
		fmt.Fprintf(e.stdout, "\nwarning: %s", s)
	}
	for _, s := range r.Unread {
		fmt.Fprintf(e.stdout, "\ncannot be read: %s", aboutLayer(s))
	}
	var same alike
	for _, s := range r.Findings {
		if same.shown(s) {
			fmt.Fprintf(e.stdout, "\nlooks wrong: %s", findingText(s))
		}
	}
	for _, line := range same.rest() {
		fmt.Fprintf(e.stdout, "\nlooks wrong: %s", line)
	}
	if r.wrong()+len(r.Warnings) > 0 {
		fmt.Fprintln(e.stdout)
	}
	if r.Read != nil {
		fmt.Fprintf(e.stdout, "\n%v\n", r.Read)
	}
	switch {
	case r.wrong() > 0:
		fmt.Fprintf(e.stdout, "\n%s, %s refused, %s that cannot be read\n", plural(len(r.Findings), "finding"), plural(len(r.Refused), "layer"), plural(len(r.Unread), "layer"))
	case r.Verified && len(r.Warnings) > 0:
		fmt.Fprintf(e.stdout, "\nevery layer was read and checked: nothing looks wrong in them; %s above\n", plural(len(r.Warnings), "warning"))
	case r.Verified:
		fmt.Fprintf(e.stdout, "\nevery layer was read and checked: nothing looks wrong\n")
	default:
		fmt.Fprintf(e.stdout, "\nonly configuration and shapes were read; --verify reads and checks every layer\n")
	}
	return nil
}

// aboutLayer is a reason with the layer's name before it, once.
func aboutLayer(r module.Refused) string {
	if strings.HasPrefix(r.Why, r.Name) {
		return r.Why
	}
	return r.Name + ": " + r.Why
}

// schemeOf writes a module's weights in short: "w4 g128 act-order (v1)".
func schemeOf(m *module.Module) string {
	if m.Plain.Valid() && !m.Quantized {
		return m.Plain.String()
	}
	s := fmt.Sprintf("w%d", m.Bits)
	switch {
	case m.GroupSize < 0 || m.GroupSize > 0 && m.GroupSize >= m.K:
		s += " channel"
	case m.GroupSize > 0:
		s += fmt.Sprintf(" g%d", m.GroupSize)
	}
	if m.ActOrder {
		s += " act-order"
	}
	if m.Detail != "" {
		s += " (" + m.Detail + ")"
	}
	return s
}
