//go:build !linux

package bench

import (
	"errors"
	"runtime"
)

var errBind = errors.New("threads are not bound to CPUs on " + runtime.GOOS)

// bind is only known for Linux.
func bind(int) error { return errBind }

// bindTo is only known for Linux.
func bindTo([]int) error { return errBind }

// goFirst is only known for Linux.
func goFirst() {}
