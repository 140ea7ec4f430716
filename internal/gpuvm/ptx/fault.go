package ptx

import (
	"errors"
	"fmt"
	"strings"
)

// ErrOutOfMemory is in the chain of Alloc's error when Config.MemoryLimit is
// reached.
var ErrOutOfMemory = errors.New("out of device memory")

// ErrAddress is in the chain of the error of a host operation on memory that is
// not, or no longer, allocated.
var ErrAddress = errors.New("not an allocated device address")

// A ParseError is what Parse and ParseFile say of source that is malformed or
// uses what the interpreter does not know.
type ParseError struct {
	Name string // as given to Parse
	Line int    // from 1
	Text string // the statement or token at fault, shortened
	Msg  string
}

// Error gives name:line: message: text.
func (e *ParseError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.Name, e.Line, e.Msg, e.Text)
}

// A LaunchError is a launch that a driver would refuse.
type LaunchError struct {
	Kernel string
	Msg    string
}

// Error names the kernel and the rule that was broken.
func (e *LaunchError) Error() string { return "ptx: launch of " + e.Kernel + ": " + e.Msg }

// A Kind is the class of a Fault.
type Kind uint8

// The classes of faults.
const (
	Bounds        Kind = iota + 1 // outside every allocation, the block's shared memory, the parameters
	UseAfterFree                  // inside an allocation that was freed
	Misaligned                    // the address is no multiple of the access's size
	ReadOnly                      // a write to constants, or to bytes that the kernel reads with ld.global.nc
	Uninitialised                 // an undefined value decides something
	AsyncPending                  // an access to the destination of a cp.async before its wait
	Race                          // two accesses that nothing orders
	PartialWarp                   // an instruction that needs its whole warp was reached by a part of it
	Deadlock                      // a barrier that can never complete
	NoProgress                    // Config.StepLimit was reached
	Trap                          // trap or brkpt
	Operand                       // an operand whose value PTX forbids
)

var kindNames = [...]string{
	Bounds: "out of bounds", UseAfterFree: "use after free", Misaligned: "misaligned", ReadOnly: "read-only memory",
	Uninitialised: "undefined value", AsyncPending: "cp.async not waited for", Race: "race", PartialWarp: "partial warp",
	Deadlock: "barrier deadlock", NoProgress: "no progress", Trap: "trap", Operand: "forbidden operand",
}

// String names the class.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Access is the earlier side of a Race.
type Access struct {
	Line   int    // PTX line
	Text   string // the statement there
	Block  [3]uint32
	Thread [3]uint32 // one of the threads, where several lanes did it
	Write  bool
}

// A Fault is an error in the kernel's own execution. The machine's memory keeps
// what had been written until then.
type Fault struct {
	Kind    Kind
	Kernel  string
	Line    int // PTX line, from 1
	Text    string
	Block   [3]uint32
	Thread  [3]uint32
	Space   string // "global", "shared", "local", "param", or "" where no address is involved
	Address uint64 // in Space
	Bytes   int    // size of the access
	Detail  string
	Origin  int     // Uninitialised: the line that first brought the value, or 0 for a register never written
	Other   *Access // Race: the access before
}

// Error gives everything on one line.
func (f *Fault) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ptx: %s: %s:%d: block (%d,%d,%d) thread (%d,%d,%d)", f.Kind, f.Kernel, f.Line,
		f.Block[0], f.Block[1], f.Block[2], f.Thread[0], f.Thread[1], f.Thread[2])
	if f.Space != "" {
		fmt.Fprintf(&b, ": %d bytes at %s 0x%x", f.Bytes, f.Space, f.Address)
	}
	if f.Detail != "" {
		b.WriteString(": " + f.Detail)
	}
	if f.Text != "" {
		b.WriteString(": " + f.Text)
	}
	if o := f.Other; o != nil {
		what := "read"
		if o.Write {
			what = "written"
		}
		fmt.Fprintf(&b, "; %s before at line %d by block (%d,%d,%d) thread (%d,%d,%d): %s", what, o.Line,
			o.Block[0], o.Block[1], o.Block[2], o.Thread[0], o.Thread[1], o.Thread[2], o.Text)
	}
	if f.Origin > 0 {
		fmt.Fprintf(&b, "; undefined since line %d", f.Origin)
	}
	return b.String()
}
