// Command bochs runs a program, such as a Go test binary, on an emulated x86
// CPU: kernels for instructions that the machine at hand lacks can be tested
// on it. Nothing can be timed this way.
//
//	bochs [flags] PROGRAM [ARGUMENTS]
//	CGO_ENABLED=0 go test -exec 'bochs -cpu corei7_icelake_u' ./backend/cpu/...
//
// It starts the Bochs emulator with a Linux kernel from /boot and with a RAM
// disk that holds PROGRAM, the files of the working directory, its testdata
// and what -with names, each at the path it has here. The program runs as root
// with the environment of this process; its output (both streams as one) is
// printed as it comes and its exit status is passed on. Files that it writes
// are lost. "bochs --help cpu" lists the CPU models.
//
// From Debian: bochs, bochs-term, linux-image-cloud-amd64.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if isGuest() {
		guestMain()
		return
	}
	var o options
	flag.StringVar(&o.cpu, "cpu", "corei7_icelake_u", "CPU model of Bochs")
	flag.StringVar(&o.kernel, "kernel", "", "bzImage to boot (default: the newest /boot/vmlinuz-*-cloud-amd64)")
	flag.IntVar(&o.memory, "memory", 512, "memory of the machine in MiB")
	flag.DurationVar(&o.timeout, "timeout", 30*time.Minute, "time after which the machine is stopped")
	flag.BoolVar(&o.verbose, "v", false, "print the kernel's messages, too")
	flag.Func("with", "a further file or directory for the machine (repeatable)", func(path string) error {
		o.with = append(o.with, path)
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	status, err := run(ctx, &o, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bochs: %v\n", err)
		os.Exit(1)
	}
	os.Exit(status)
}

type options struct {
	cpu, kernel string
	memory      int // MiB
	timeout     time.Duration
	verbose     bool
	with        []string
}

// run boots a machine for the program args[0] and returns its exit status.
func run(ctx context.Context, o *options, args []string) (int, error) {
	if len(args) == 0 {
		return 0, errors.New("no program given")
	}
	program, err := findBochs()
	if err != nil {
		return 0, err
	}
	kernel, err := readKernel(o.kernel)
	if err != nil {
		return 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	disk, token, err := ramDisk(self, args, o.with)
	if err != nil {
		return 0, err
	}
	image, err := kernel.load(disk, commandLine(o.verbose), o.memory<<20)
	if err != nil {
		return 0, err
	}
	ctx, stop := context.WithTimeout(ctx, o.timeout)
	defer stop()
	m := machine{program: program, cpu: o.cpu, memory: o.memory, verbose: o.verbose}
	return m.run(ctx, image, token, os.Stdout)
}
