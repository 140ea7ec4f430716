package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/internal/ci/counts"
)

// event is a line of go test -json (go doc test2json; build-output of go help
// buildjson).
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

type skip struct{ pkg, test, why string }

// report collects events. Output is kept only while its test may still fail.
type report struct {
	w       io.Writer
	output  map[string][]string // by package and test
	passed  int
	failed  int
	tests   map[string]int // passed tests of a package
	skipped []skip
}

func newReport(w io.Writer) *report {
	return &report{w: w, output: map[string][]string{}, tests: map[string]int{}}
}

// read takes events until the end of in. A line that is no event is printed.
func (r *report) read(in io.Reader) error {
	b := bufio.NewReader(in)
	for {
		line, err := b.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				fmt.Fprintf(r.w, "%s", line)
			} else {
				r.take(&e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e *event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.w, e.Output)
	case "output":
		if !strings.HasPrefix(e.Output, "=== ") { // RUN, PAUSE and CONT say nothing here
			r.output[key] = append(r.output[key], e.Output)
		}
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
		} else {
			r.endTest(e, key)
		}
		delete(r.output, key)
	}
}

func (r *report) endTest(e *event, key string) {
	switch e.Action {
	case "pass":
		r.passed++
		r.tests[e.Package]++
	case "skip":
		r.skipped = append(r.skipped, skip{e.Package, e.Test, reason(r.output[key])})
	case "fail":
		r.failed++
		for _, line := range r.output[key] {
			fmt.Fprint(r.w, line)
		}
	}
}

func (r *report) endPackage(e *event) {
	switch {
	case e.Action == "skip" || e.Action == "pass" && r.tests[e.Package] == 0:
		fmt.Fprintf(r.w, "-     %s  no tests\n", e.Package)
	case e.Action == "pass":
		fmt.Fprintf(r.w, "ok    %s  %d tests, %.1f s\n", e.Package, r.tests[e.Package], e.Elapsed)
	default:
		for key, lines := range r.output { // a panic or a time-out ends tests without an event
			if strings.HasPrefix(key, e.Package+" ") {
				for _, line := range lines {
					fmt.Fprint(r.w, line)
				}
				delete(r.output, key)
			}
		}
		r.failed++
		fmt.Fprintf(r.w, "FAIL  %s  %.1f s\n", e.Package, e.Elapsed)
	}
}

// reason is what a test said when it skipped: its last line of output before
// the result, without the file and line.
func reason(output []string) string {
	for i := len(output) - 1; i >= 0; i-- {
		line := strings.TrimSpace(output[i])
		if line == "" || strings.HasPrefix(line, "--- SKIP") {
			continue
		}
		if at := strings.Index(line, ".go:"); at > 0 {
			if _, text, ok := strings.Cut(line[at+4:], ": "); ok {
				return text
			}
		}
		return line
	}
	return "no reason given"
}

// unexcused counts the skipped tests whose reason begins with none of the
// texts.
func (r *report) unexcused(texts []string) (n int) {
	for _, s := range r.skipped {
		if !slices.ContainsFunc(texts, func(text string) bool { return strings.HasPrefix(s.why, text) }) {
			n++
		}
	}
	return n
}

// table prints what was skipped and why.
func (r *report) table(w io.Writer) {
	if len(r.skipped) == 0 {
		fmt.Fprintln(w, "skipped: nothing")
		return
	}
	fmt.Fprintf(w, "skipped: %d\n", len(r.skipped))
	name := 0
	for _, s := range r.skipped {
		name = max(name, len(s.pkg)+1+len(s.test))
	}
	for _, s := range r.skipped {
		fmt.Fprintf(w, "  %-*s  %s\n", name, s.pkg+" "+s.test, s.why)
	}
}

func (r *report) counts() counts.Counts {
	return counts.Counts{Passed: r.passed, Failed: r.failed, Skipped: len(r.skipped)}
}
