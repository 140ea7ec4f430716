package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	kernels "github.com/bitlane/bitlane/kernels/cuda"
)

// judge compares what ptxas gives with the table: the same kernels, no more
// registers than each may have, nothing in local memory.
func judge(table []kernels.Kernel, all map[string]map[string]resources) error {
	var wrong []error
	for _, k := range table {
		of := all[k.Module+"/"+k.Name]
		for _, arch := range architectures {
			r, ok := of[arch]
			switch {
			case !ok:
				wrong = append(wrong, fmt.Errorf("%s of %s: ptxas made no such kernel for %s", k.Name, k.Module, arch))
			case r.spills > 0 || r.stack > 0:
				wrong = append(wrong, fmt.Errorf("%s of %s on %s: %d bytes of spills, %d of local memory; want none", k.Name, k.Module, arch, r.spills, r.stack))
			case r.registers > k.Registers:
				wrong = append(wrong, fmt.Errorf("%s of %s on %s: %d registers, at most %d", k.Name, k.Module, arch, r.registers, k.Registers))
			case r.shared > 0:
				wrong = append(wrong, fmt.Errorf("%s of %s on %s: %d bytes of static shared memory; all should be dynamic", k.Name, k.Module, arch, r.shared))
			}
		}
	}
	return errors.Join(wrong...)
}

var entryText = regexp.MustCompile(`(?s)\.visible \.entry (\w+)\(.*?\)\s*\.maxntid (\d+), 1, 1`)

// sameEntries compares a module's entries, and how many threads each may have,
// with the table.
func sameEntries(module string, text []byte, table []kernels.Kernel) error {
	var have, want []string
	for _, m := range entryText.FindAllSubmatch(text, -1) {
		have = append(have, fmt.Sprintf("%s of %s threads", m[1], m[2]))
	}
	for _, k := range table {
		if k.Module == module {
			want = append(want, fmt.Sprintf("%s of %d threads", k.Name, k.Threads))
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		return fmt.Errorf("%s.ptx has %s; the table %s", module, strings.Join(have, ", "), strings.Join(want, ", "))
	}
	return nil
}

// table is the text of RESOURCES.md.
func table(version string, list []kernels.Kernel, all map[string]map[string]resources) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Resources of the CUDA kernels\n\nWritten by `make kernels` from what ptxas %s says, checked by `make kernels-check`. No kernel spills a register\n"+
		"or has local memory on any of these. Shared memory is dynamic: of a block, or of each warp (/warp).\n\n", version)
	fmt.Fprintf(&b, "| module | kernel | threads | shared, bytes | budget | %s |\n", strings.Join(architectures, " | "))
	fmt.Fprintf(&b, "|---|---|--:|--:|--:|%s\n", strings.Repeat("--:|", len(architectures)))
	for _, k := range list {
		shared := fmt.Sprint(k.Shared)
		if k.SharedPerWarp > 0 {
			shared = fmt.Sprintf("%d/warp", k.SharedPerWarp)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %d |", k.Module, k.Name, k.Threads, shared, k.Registers)
		for _, arch := range architectures {
			fmt.Fprintf(&b, " %d |", all[k.Module+"/"+k.Name][arch].registers)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}
