// Command gotest runs go test and reports what it did: a line per package, the
// full output of what failed, a table of what was skipped and why, and the
// number of tests.
//
//	gotest [-part NAME] [-strict] [-excused TEXT]... [-counts FILE] -- [go test arguments]
//
// -strict makes a skipped test a failure, unless the reason it gives begins
// with one of the texts that are excused. The exit status is 0 only when all is well.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/bitlane/bitlane/internal/ci/counts"
)

func main() {
	part := flag.String("part", "test", "name of this run in the sum of all parts")
	strict := flag.Bool("strict", false, "fail when a test is skipped")
	var excused []string
	flag.Func("excused", "begin of a reason for which a test may skip even so; may be given again", func(text string) error {
		excused = append(excused, text)
		return nil
	})
	file := flag.String("counts", "", "file to append the number of tests to")
	flag.Parse()
	if err := run(*part, *strict, excused, *file, flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", *part, err)
		os.Exit(1)
	}
}

func run(part string, strict bool, excused []string, file string, args []string) error {
	start := time.Now()
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r := newReport(os.Stdout)
	readErr := r.read(out)
	if readErr != nil { // let the child end
		_, _ = io.Copy(io.Discard, out)
	}
	waitErr := cmd.Wait()
	r.table(os.Stdout)
	c := r.counts()
	c.Part, c.Seconds = part, time.Since(start).Seconds()
	fmt.Printf("%s: %v in %.0f s\n", part, c, c.Seconds)
	if err := counts.Append(file, c); err != nil {
		return err
	}
	switch {
	case readErr != nil:
		return fmt.Errorf("reading the output of go test: %w", readErr)
	case waitErr != nil:
		return fmt.Errorf("go test: %w", waitErr)
	case c.Failed > 0:
		return fmt.Errorf("%d failed", c.Failed)
	case c.Passed == 0:
		return fmt.Errorf("no test ran")
	case strict && r.unexcused(excused) > 0:
		return fmt.Errorf("%d skipped that may not be", r.unexcused(excused))
	}
	return nil
}
