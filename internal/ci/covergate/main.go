// Command covergate reads a coverage profile and fails unless each of the
// named folders, everything below it included, has enough of its statements
// covered.
//
//	covergate -profile FILE -min 90 FOLDER...
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"sort"
	"strings"
)

func main() {
	profile := flag.String("profile", "", "file written by go test -coverprofile")
	least := flag.Float64("min", 90, "per cent of statements")
	module := flag.String("module", "github.com/bitlane/bitlane", "module path")
	flag.Parse()
	f, err := os.Open(*profile)
	if err == nil {
		defer f.Close()
		err = gate(os.Stdout, f, *module, *least, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "covergate:", err)
		os.Exit(1)
	}
}

// block is a run of statements that are covered together.
type block struct {
	statements int
	covered    bool
}

// share counts statements.
type share struct{ covered, all int }

func (s share) percent() float64 {
	if s.all == 0 {
		return 0
	}
	return 100 * float64(s.covered) / float64(s.all)
}

// gate prints the coverage of each package and of each folder.
func gate(w io.Writer, profile io.Reader, module string, least float64, folders []string) error {
	blocks, err := read(profile)
	if err != nil {
		return err
	}
	packages := map[string]share{}
	for at, b := range blocks {
		file, _, _ := strings.Cut(at, ":")
		pkg := strings.TrimPrefix(path.Dir(file), module+"/")
		s := packages[pkg]
		s.all += b.statements
		if b.covered {
			s.covered += b.statements
		}
		packages[pkg] = s
	}
	var names []string
	for name := range packages {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(w, "  %5.1f %%  %s\n", packages[name].percent(), name)
	}
	var low []string
	for _, folder := range folders {
		var s share
		for name, p := range packages {
			if name == folder || strings.HasPrefix(name, folder+"/") {
				s.covered += p.covered
				s.all += p.all
			}
		}
		fmt.Fprintf(w, "%7.1f %%  %s, %d statements\n", s.percent(), folder, s.all)
		if s.percent() < least {
			low = append(low, fmt.Sprintf("%s %.1f %%", folder, s.percent()))
		}
	}
	if len(low) > 0 {
		return fmt.Errorf("below %g %%: %s", least, strings.Join(low, ", "))
	}
	return nil
}

// read merges the lines of all test binaries: a block counts as covered when
// any of them ran it.
func read(profile io.Reader) (map[string]block, error) {
	blocks := map[string]block{}
	lines := bufio.NewScanner(profile)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "mode:") {
			continue
		}
		at, rest, _ := strings.Cut(line, " ")
		var statements, times int
		if _, err := fmt.Sscan(rest, &statements, &times); err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		b := blocks[at]
		blocks[at] = block{statements, b.covered || times > 0}
	}
	return blocks, lines.Err()
}
