package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// architectures are those on which kernels are tried: one for each generation
// since that of the PTX, with the sizes of shared memory that there are.
var architectures = []string{"sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"}

// resources are what ptxas gives to one kernel.
type resources struct {
	registers int
	shared    int // static
	stack     int // bytes of local memory
	spills    int // bytes stored and loaded
}

var (
	entryLine = regexp.MustCompile(`Compiling entry function '(\w+)'`)
	stackLine = regexp.MustCompile(`(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads`)
	usedLine  = regexp.MustCompile(`Used (\d+) registers`)
	smemLine  = regexp.MustCompile(`(\d+) bytes smem`)
)

// assemble translates a PTX file for an architecture.
func assemble(ptxas, path, arch string) (map[string]resources, error) {
	out, err := exec.Command(ptxas, "-v", "--warning-as-error", "-arch="+arch, "-o", os.DevNull, path).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ptxas %s for %s: %w\n%s", path, arch, err, out)
	}
	return parse(out)
}

// parse reads what ptxas -v says.
func parse(out []byte) (map[string]resources, error) {
	all := map[string]resources{}
	name := ""
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		line := lines.Text()
		if m := entryLine.FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		r, number := all[name], func(s string) int { n, _ := strconv.Atoi(s); return n }
		if m := stackLine.FindStringSubmatch(line); m != nil {
			r.stack, r.spills = number(m[1]), number(m[2])+number(m[3])
		}
		if m := usedLine.FindStringSubmatch(line); m != nil {
			r.registers = number(m[1])
		}
		if m := smemLine.FindStringSubmatch(line); m != nil {
			r.shared = number(m[1])
		}
		if name != "" {
			all[name] = r
		}
	}
	for name, r := range all {
		if r.registers == 0 {
			return nil, fmt.Errorf("ptxas says nothing of the registers of %s", name)
		}
	}
	return all, lines.Err()
}

var release = regexp.MustCompile(`release \S+, (V\S+)`)

func ptxasVersion(ptxas string) (string, error) {
	out, err := exec.Command(ptxas, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", ptxas, err)
	}
	m := release.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s --version: no release in %q", ptxas, out)
	}
	return string(m[1]), nil
}
