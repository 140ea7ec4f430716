package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// isGuest says whether this is the first process of the emulated machine.
func isGuest() bool {
	_, err := os.Stat(taskFile)
	return os.Getpid() == 1 && err == nil
}

// guestMain runs the task and reports its exit status on the serial port. It
// never returns: without a first process the kernel panics.
func guestMain() {
	fail := func(err error) {
		fmt.Fprintf(os.Stderr, "guest: %v\n", err)
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	}
	port, t, err := guestSetup()
	if err != nil {
		fail(err)
	}
	fmt.Fprintf(port, "\n%s start\n", t.Token)
	cmd := exec.Command(t.Args[0], t.Args[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = t.Env, t.Dir, port, port
	status := 0
	var ended *exec.ExitError
	switch err := cmd.Run(); {
	case errors.As(err, &ended) && ended.Exited():
		status = ended.ExitCode()
	case err != nil:
		fmt.Fprintf(port, "%v\n", err)
		status = 2
	}
	fmt.Fprintf(port, "\n%s %d\n", t.Token, status)
	for { // the runner stops the machine
		time.Sleep(time.Hour)
	}
}

func guestSetup() (port *os.File, t task, err error) {
	for _, m := range []struct{ dir, kind string }{{"/proc", "proc"}, {"/sys", "sysfs"}, {"/dev", "devtmpfs"}} {
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			return nil, t, fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	text, err := os.ReadFile(taskFile)
	if err != nil {
		return nil, t, err
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, t, err
	}
	if port, err = os.OpenFile("/dev/ttyS0", os.O_WRONLY|unix.O_NOCTTY, 0); err != nil {
		return nil, t, err
	}
	mode, err := unix.IoctlGetTermios(int(port.Fd()), unix.TCGETS)
	if err != nil {
		return nil, t, err
	}
	mode.Oflag &^= unix.OPOST // line ends as they are
	return port, t, unix.IoctlSetTermios(int(port.Fd()), unix.TCSETS, mode)
}
