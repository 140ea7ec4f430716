// Package counts adds up test results over the parts of one run of the gate:
// each part appends a line to a file, and the last one reads them all.
package counts

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// Counts are the results of one part.
type Counts struct {
	Part                    string // one word
	Passed, Failed, Skipped int
	Seconds                 float64
}

// String returns "12 passed, 0 failed", with the skipped ones where there are.
func (c Counts) String() string {
	s := fmt.Sprintf("%d passed, %d failed", c.Passed, c.Failed)
	if c.Skipped > 0 {
		s += fmt.Sprintf(", %d skipped", c.Skipped)
	}
	return s
}

// Append adds c to the file, which is made where it is missing. An empty path
// does nothing. A line is one write, so that parts may run at the same time.
func Append(path string, c Counts) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if strings.ContainsAny(c.Part, " \n") || c.Part == "" {
		c.Part = "unnamed"
	}
	_, err = fmt.Fprintf(f, "%s %d %d %d %.1f\n", c.Part, c.Passed, c.Failed, c.Skipped, c.Seconds)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// Read returns the lines of the file in order.
func Read(path string) ([]Counts, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Counts
	for s := bufio.NewScanner(f); s.Scan(); {
		var c Counts
		if _, err := fmt.Sscan(s.Text(), &c.Part, &c.Passed, &c.Failed, &c.Skipped, &c.Seconds); err != nil {
			return nil, fmt.Errorf("%s: line %q: %w", path, s.Text(), err)
		}
		all = append(all, c)
	}
	return all, nil
}

// Sum adds up all parts.
func Sum(all []Counts) Counts {
	sum := Counts{Part: "all"}
	for _, c := range all {
		sum.Passed += c.Passed
		sum.Failed += c.Failed
		sum.Skipped += c.Skipped
		sum.Seconds += c.Seconds
	}
	return sum
}
