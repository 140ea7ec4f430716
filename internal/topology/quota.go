package topology

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// quota is the smallest limit of processor time on the way from the control
// group of the process to the root, in CPUs; 0: none. Both versions of control
// groups may be mounted at once.
func quota(root fs.FS) float64 {
	least := 0.0
	for _, h := range hierarchies(root) {
		for dir := h.dir; ; dir = path.Dir(dir) {
			if q := h.limit(root, dir); q > 0 && (least == 0 || q < least) {
				least = q
			}
			if dir == h.mount || dir == "." {
				break
			}
		}
	}
	return least
}

// hierarchy is one mounted tree of control groups that limits the CPU.
type hierarchy struct {
	mount string // directory of the tree
	dir   string // directory of the group of the process; mount or below it
	limit func(root fs.FS, dir string) float64
}

// hierarchies finds the trees by the mount points and the groups of the
// process.
func hierarchies(root fs.FS) []hierarchy {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	mounts, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var found []hierarchy
	for line := range strings.Lines(string(groups)) {
		// hierarchy-ID:controllers:path
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		h := hierarchy{limit: limit2}
		kind, controller := "cgroup2", ""
		if f[1] != "" {
			if !hasWord(f[1], "cpu") {
				continue
			}
			h.limit = limit1
			kind, controller = "cgroup", "cpu"
		}
		if h.locate(string(mounts), kind, controller, f[2]) {
			found = append(found, h)
		}
	}
	return found
}

// locate finds where a kind of control group is mounted and in it the group
// with the given path.
func (h *hierarchy) locate(mounts, kind, controller, group string) bool {
	for line := range strings.Lines(mounts) {
		// ID parent device root mount-point options… - kind source options
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 || r[0] != kind || controller != "" && !hasWord(r[2], controller) {
			continue
		}
		h.mount = inFS(unescape(l[4]))
		h.dir = h.mount
		top := strings.TrimSuffix(unescape(l[3]), "/")
		// A group outside the mounted part, as a container may see its own,
		// is looked for at the mount point.
		if below, ok := strings.CutPrefix(group, top+"/"); ok && !hasParent(below) {
			h.dir = path.Join(h.mount, below)
		}
		return true
	}
	return false
}

// limit2 reads version 2: "max 100000" or "150000 100000", in microseconds.
func limit2(root fs.FS, dir string) float64 {
	text, err := fs.ReadFile(root, path.Join(dir, "cpu.max"))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text))
	if len(f) != 2 {
		return 0
	}
	return ratio(f[0], f[1])
}

// limit1 reads version 1: two files of microseconds, the first −1 without a
// limit.
func limit1(root fs.FS, dir string) float64 {
	time, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_quota_us"))
	if err != nil {
		return 0
	}
	period, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_period_us"))
	if err != nil {
		return 0
	}
	return ratio(strings.TrimSpace(string(time)), strings.TrimSpace(string(period)))
}

func ratio(time, period string) float64 {
	t, errT := strconv.ParseInt(time, 10, 64)
	p, errP := strconv.ParseInt(period, 10, 64)
	if errT != nil || errP != nil || t <= 0 || p <= 0 {
		return 0
	}
	return float64(t) / float64(p)
}

func hasWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

func hasParent(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// inFS turns an absolute path into one of an fs.FS.
func inFS(p string) string {
	if p = strings.TrimPrefix(path.Clean(p), "/"); p == "" {
		return "."
	}
	return p
}

// unescape undoes the kernel's \ooo for spaces and the like in mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
