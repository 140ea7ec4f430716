package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent lets no emulator go on when this process is killed.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
