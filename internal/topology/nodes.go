package topology

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const nodeDir = "sys/devices/system/node"

// nodes groups cpus by memory node. CPUs that no node lists, as all of them on
// a kernel without NUMA, go with the first one.
func nodes(root fs.FS, cpus []int) [][]int {
	var found [][]int
	rest := slices.Clone(cpus)
	for _, dir := range nodeDirs(root) {
		text, err := fs.ReadFile(root, path.Join(dir, "cpulist"))
		if err != nil {
			continue
		}
		list, err := parseList(string(text))
		if err != nil {
			continue
		}
		var node []int
		rest = slices.DeleteFunc(rest, func(cpu int) bool {
			if !slices.Contains(list, cpu) {
				return false
			}
			node = append(node, cpu)
			return true
		})
		if node != nil {
			found = append(found, node)
		}
	}
	if len(found) == 0 {
		return [][]int{cpus}
	}
	found[0] = append(found[0], rest...)
	slices.Sort(found[0])
	return found
}

// nodeDirs are the directories node0, node1, … in the order of their numbers.
func nodeDirs(root fs.FS) []string {
	names, err := fs.Glob(root, nodeDir+"/node[0-9]*")
	if err != nil {
		return nil
	}
	number := func(name string) int {
		n, err := strconv.Atoi(strings.TrimPrefix(path.Base(name), "node"))
		if err != nil {
			return -1
		}
		return n
	}
	names = slices.DeleteFunc(names, func(name string) bool { return number(name) < 0 })
	slices.SortFunc(names, func(a, b string) int { return number(a) - number(b) })
	return names
}

var errList = errors.New("not a list of CPUs")

// maxCPU bounds the numbers that a list may hold.
const maxCPU = 1 << 16

// parseList reads the kernel's form of a set: "0-3,8,10-11".
func parseList(text string) ([]int, error) {
	var all []int
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		if errA != nil || errB != nil || a < 0 || b < a || b > maxCPU {
			return nil, errList
		}
		for c := a; c <= b; c++ {
			all = append(all, c)
		}
	}
	return all, nil
}
