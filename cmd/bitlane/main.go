// Command bitlane runs, explains and inspects the quantized linear layers of a
// model directory. `bitlane help` lists its commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	_ "github.com/bitlane/bitlane/backend/cuda/emulated" // by name only: cuda-emulated:0
	_ "github.com/bitlane/bitlane/backend/xpu/xpucpu"    // by name only: xpu-cpu:0
)

// The exit statuses.
const (
	exitOK     = 0 // all is well
	exitFailed = 1 // something was refused, wrong or not accepted; stderr says what
	exitUsage  = 2 // the command line is wrong

	exitInterrupted = 130 // stopped by an interrupt, as shells have it
)

// A command is one word of the program.
type command struct {
	name, args, summary string
	run                 func(ctx context.Context, e *env, args []string) error
}

var commands = []command{
	{"devices", "", "every backend and device, or the reason there is none", runDevices},
	{"inspect", "DIR", "the layers of a checkpoint, and what looks wrong with them", runInspect},
	{"run", "DIR", "choose, prepare, apply and time every layer, verified against the float64 reference", runRun},
	{"explain", "DIR LAYER", "every kernel of every backend for one layer: chosen, or all its reasons", runExplain},
	{"quantize", "IN OUT", "write a quantized model directory from a plain one: gptq, gptq_v2 or compressed-tensors", runQuantize},
	{"bench", "", "how fast layers are, beside what this machine's cores could do in the same second", runBench},
	{"conformance", "", "the public conformance suite on a device", runConformance},
	{"version", "", "the version of the program and what it was built with", runVersion},
}

// env is what a command reaches of the world outside.
type env struct {
	stdout, stderr io.Writer // for people, once dispatch has made them visible
	json, draw     io.Writer // the same two as they are: for JSON, and for progress
	terminal       bool      // stderr is a terminal: progress may be drawn
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the process, whatever it is in
	info, err := os.Stderr.Stat()
	e := &env{stdout: os.Stdout, stderr: os.Stderr, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
	code := dispatch(ctx, e, os.Args[1:])
	stop()
	os.Exit(code)
}

// errFailed is returned where the details were printed already.
var errFailed = errors.New("failed")

// usageError is a wrong command line.
type usageError struct{ text string }

func (u *usageError) Error() string { return u.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// stopped is the end of ctx, and how far the command had come.
type stopped struct {
	after string // "after 2 of 5 layers"
	cause error
}

func (s *stopped) Error() string { return s.after + ": " + s.cause.Error() }

func (s *stopped) Unwrap() error { return s.cause }

func stoppedAfter(ctx context.Context, n, of int, what string) error {
	return &stopped{fmt.Sprintf("after %d of %s", n, plural(of, what)), ctx.Err()}
}

// dispatch runs one command line. Standard output that could not be written is
// a failure, whatever the command did.
func dispatch(ctx context.Context, e *env, args []string) int {
	out := &kept{w: e.stdout}
	e.json, e.draw = out, e.stderr
	e.stdout, e.stderr = visible{out}, visible{e.stderr}
	code := e.command(ctx, args)
	if out.err != nil && code == exitOK {
		fmt.Fprintf(e.stderr, "bitlane: %v\n", out.err)
		code = exitFailed
	}
	return code
}

func (e *env) command(ctx context.Context, args []string) int {
	if len(args) > 1 && args[0] == "help" { // help run is run --help
		args = append(slices.Clone(args[1:]), "--help")
	}
	if len(args) == 0 {
		usage(e.stderr)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "--help", "-help":
		usage(e.stdout)
		return exitOK
	case "--version", "-version":
		args = append([]string{"version"}, args[1:]...)
	}
	for _, c := range commands {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, e, args[1:])
		var bad *usageError
		switch {
		case err == nil, errors.Is(err, errHelp):
			return exitOK
		case errors.As(err, &bad):
			fmt.Fprintf(e.stderr, "bitlane %s: %s\nusage: bitlane %s [flags]; bitlane %s --help lists the flags\n", c.name, bad.text, strings.TrimSpace(c.name+" "+c.args), c.name)
			return exitUsage
		case ctx.Err() != nil && errors.Is(err, context.Canceled):
			var at *stopped
			if errors.As(err, &at) {
				fmt.Fprintf(e.stderr, "bitlane %s: interrupted %s\n", c.name, at.after)
			} else {
				fmt.Fprintf(e.stderr, "bitlane %s: interrupted\n", c.name)
			}
			return exitInterrupted
		case !errors.Is(err, errFailed):
			fmt.Fprintf(e.stderr, "bitlane %s: %v\n", c.name, err)
		}
		return exitFailed
	}
	fmt.Fprintf(e.stderr, "bitlane: no command %q\n\n", args[0])
	usage(e.stderr)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "bitlane runs quantized linear layers on whatever the machine has.")
	fmt.Fprintln(w)
	for _, c := range commands {
		fmt.Fprintf(w, "  bitlane %-24s %s\n", c.name+" "+c.args, c.summary)
	}
	fmt.Fprintln(w, "\nEvery command takes --json, and --help for its flags. Exit status: 0 all is well,")
	fmt.Fprintln(w, "1 something was refused, wrong or not accepted, 2 the command line is wrong, 130 interrupted.")
}
