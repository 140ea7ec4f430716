package bench

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bitlane/bitlane/internal/topology"
)

// Cores returns one logical CPU of each core that the process may use.
func Cores() []int { return onePerCore(os.DirFS("/"), topology.Here().CPUs) }

// onePerCore returns those of cpus that share their core with none before
// them. root holds /sys; what it does not say is taken as a core of its own.
func onePerCore(root fs.FS, cpus []int) []int {
	var picked []int
	var seen []string
	for _, c := range cpus {
		siblings, err := fs.ReadFile(root, fmt.Sprintf("sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", c))
		if core := strings.TrimSpace(string(siblings)); err == nil && core != "" {
			if slices.Contains(seen, core) {
				continue
			}
			seen = append(seen, core)
		}
		picked = append(picked, c)
	}
	return picked
}

// lastLevelCache returns the bytes of the largest cache of a CPU, false where
// root does not say.
func lastLevelCache(root fs.FS, cpu int) (bytes int, ok bool) {
	dirs, err := fs.Glob(root, fmt.Sprintf("sys/devices/system/cpu/cpu%d/cache/index[0-9]*", cpu))
	if err != nil {
		return 0, false
	}
	for _, d := range dirs {
		text, err := fs.ReadFile(root, path.Join(d, "size"))
		if err != nil {
			continue
		}
		number, kib := strings.CutSuffix(strings.TrimSpace(string(text)), "K")
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			continue
		}
		if kib {
			n <<= 10
		}
		bytes = max(bytes, n)
	}
	return bytes, bytes > 0
}
