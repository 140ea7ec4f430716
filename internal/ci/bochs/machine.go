package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// speed is the number of instructions that take a second of the machine's own
// time. It is near what Bochs does, so that timeouts mean what they say.
const speed = 20_000_000

// findBochs looks for the emulator itself: the script "bochs" of Debian only
// adds arguments.
func findBochs() (string, error) {
	for _, name := range []string{"bochs-bin", "bochs"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Bochs emulator: install the packages bochs and bochs-term (make tools)")
}

// commandLine is the kernel's: as little as possible to find out and to wait for.
func commandLine(verbose bool) string {
	line := "console=ttyS0,115200 rdinit=/init panic=-1 reboot=t nosmp nolapic noapic acpi=off pci=off nokaslr mitigations=off" +
		" random.trust_cpu=on init_on_alloc=0 init_on_free=0 audit=0 cryptomgr.notests tsc=reliable" +
		// Bochs 2.7 gives wrong sizes for what the first four save, and the
		// kernel then forbids AVX. It also has FSRM without ERMS, which sends the
		// kernel's memmove astray.
		" clearcpuid=pku,ospke,xsavec,xsaves,fsrm" +
		" tsc_early_khz=" + strconv.Itoa(speed/1000) // not what CPUID says
	if !verbose {
		line += " quiet loglevel=1"
	}
	return line
}

// machine is one run of Bochs.
type machine struct {
	program string
	cpu     string
	memory  int // MiB
	verbose bool
}

func (m *machine) config(dir string) string {
	return fmt.Sprintf(`cpu: model=%s, count=1, ips=%d, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=%d, host=%[3]d
romimage: file=%[4]s/rom
optramimage1: file=%[4]s/memory, address=%#[5]x
com1: enabled=1, mode=file, dev=%[4]s/serial
log: %[4]s/log
display_library: term
clock: sync=none
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
speaker: enabled=0
plugin_ctrl: speaker=0, gameport=0, parallel=0, extfpuirq=0
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
`, m.cpu, speed, m.memory, dir, imageStart)
}

// run boots the image and copies the program's output to out until its exit
// status is known.
func (m *machine) run(ctx context.Context, image *memoryImage, token string, out io.Writer) (status int, err error) {
	dir, err := os.MkdirTemp("", "bochs")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	for name, content := range map[string][]byte{
		"memory": image.bytes, "rom": rom(image), "config": []byte(m.config(dir)), "serial": nil,
		"debugger": []byte("continue\n"), // Debian's Bochs has its debugger built in, and waits for a command
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return 0, err
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var screen bytes.Buffer
	cmd := exec.CommandContext(ctx, m.program, "-q", "-f", filepath.Join(dir, "config"), "-rc", filepath.Join(dir, "debugger"))
	cmd.Stdout, cmd.Stderr = &screen, &screen
	cmd.Env = append(os.Environ(), "TERM=linux")
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	serial, err := os.Open(filepath.Join(dir, "serial"))
	if err != nil {
		return 0, err
	}
	defer serial.Close()
	c := &console{out: out, token: token, verbose: m.verbose}
	alive := true
	for alive {
		select {
		case <-ended:
			alive = false
		case <-time.After(20 * time.Millisecond):
		}
		if _, err := io.Copy(c, serial); err != nil {
			return 0, err
		}
		if c.done {
			stop()
			if alive {
				<-ended
			}
			return c.status, nil
		}
	}
	if err := context.Cause(ctx); err != nil {
		return 0, fmt.Errorf("stopped before the program had ended: %w", err)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	return 0, fmt.Errorf("the machine stopped before the program had ended\n%s%s%s", lastLines(&screen), lastLines(bytes.NewBuffer(log)), c.rest())
}

// lastLines is the end of a log, without its control characters.
func lastLines(log *bytes.Buffer) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' {
			return -1
		}
		return r
	}, log.String())
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "") + "\n"
}
