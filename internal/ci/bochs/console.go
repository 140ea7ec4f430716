package main

import (
	"io"
	"strconv"
	"strings"
)

// console takes what comes from the machine's serial port: the kernel's own
// lines, a line "token start", the program's output, and a line with token and
// exit status.
type console struct {
	out     io.Writer
	token   string
	verbose bool // pass on what comes before the program's output, too

	line    []byte // what may still become a line with the token
	started bool
	done    bool
	status  int
}

// Write passes output on as soon as it cannot be a line with the token.
func (c *console) Write(p []byte) (int, error) {
	for i, b := range p {
		if c.done {
			return len(p), nil
		}
		c.line = append(c.line, b)
		if b == '\n' {
			if err := c.take(); err != nil {
				return i, err
			}
		}
	}
	return len(p), nil
}

// take handles a whole line. Each line with the token has an empty line put
// before it, which is not the program's.
func (c *console) take() error {
	line := c.line
	if rest, ok := strings.CutPrefix(strings.TrimSpace(string(line)), c.token+" "); ok {
		status, err := strconv.Atoi(rest)
		if err == nil || rest == "start" {
			c.line, c.started, c.done, c.status = nil, true, err == nil, status
			return nil
		}
	}
	// An end of line may belong to a line with the token: keep one back.
	if c.started || c.verbose {
		if _, err := c.out.Write(line[:len(line)-1]); err != nil {
			return err
		}
	}
	c.line = append(c.line[:0], '\n')
	return nil
}

// rest is what was not passed on.
func (c *console) rest() string { return string(c.line) }
