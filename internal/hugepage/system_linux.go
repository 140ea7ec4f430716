package hugepage

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	transparentDir = "/sys/kernel/mm/transparent_hugepage/"
	nodesFile      = "/sys/devices/system/node/has_memory"
)

// mostSize bounds a huge page: no layer fills one of 512 MiB, which kernels
// with pages of 64 KiB have.
const mostSize = 32 << 20

// obtain returns bytes > 0 of memory and the bytes to unmap.
func obtain(bytes int) (mem []byte, mapped int, err error) { return Available().obtain(bytes) }

func (p Pages) obtain(bytes int) (mem []byte, mapped int, err error) {
	if p.Size == 0 || bytes < p.Size {
		return mapMemory(bytes, Align)
	}
	if p.Kind == Reserved {
		if mem, mapped, err = fromPool(bytes, p.Size); err == nil {
			return mem, mapped, nil
		}
	}
	return wishHuge(bytes, p.Size)
}

// wishHuge returns untouched memory at a multiple of size, for which the system
// is told that huge pages of that size are wanted. It may not have any.
func wishHuge(bytes, size int) (mem []byte, mapped int, err error) {
	mem, mapped, err = mapMemory(bytes, size)
	if err == nil {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE)
	}
	return mem, mapped, err
}

// fromPool returns bytes ≥ size whose whole huge pages are of the reserved pool
// and touched. Nothing is left where it fails.
func fromPool(bytes, size int) (mem []byte, mapped int, err error) {
	whole := bytes / size * size
	tail := roundUp(bytes-whole, os.Getpagesize())
	taken := whole
	if tail > 0 {
		taken += size // keeps the address of the tail free for the moment
	}
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANON
	start, err := unix.MmapPtr(-1, 0, nil, uintptr(taken), prot, flags|unix.MAP_HUGETLB|bits.TrailingZeros(uint(size))<<unix.MAP_HUGE_SHIFT)
	if err != nil {
		return nil, 0, err
	}
	if tail > 0 {
		end := unsafe.Add(start, whole)
		if err := unmap(end, size); err != nil {
			return nil, 0, errors.Join(err, unmap(start, taken))
		}
		at, err := unix.MmapPtr(-1, 0, end, uintptr(tail), prot, flags|unix.MAP_FIXED_NOREPLACE)
		if err == nil && at != end { // a kernel that does not know the flag
			err = errors.Join(unix.EEXIST, unmap(at, tail))
		}
		if err != nil {
			return nil, 0, errors.Join(err, unmap(start, whole))
		}
	}
	mem, mapped = unsafe.Slice((*byte)(start), bytes), whole+tail
	err = unix.Madvise(mem[:whole], unix.MADV_POPULATE_WRITE)
	if err == nil && !resident(mem[:whole]) {
		err = errors.New("the pages are not there") // an emulator that ignores the advice
	}
	if err != nil {
		return nil, 0, errors.Join(err, unmap(start, mapped))
	}
	return mem, mapped, nil
}

// resident reports whether all pages of mem, which starts with a page, are in
// memory.
func resident(mem []byte) bool {
	page := os.Getpagesize()
	state := make([]byte, roundUp(len(mem), page)/page)
	_, _, failed := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), uintptr(unsafe.Pointer(&state[0])))
	if failed != 0 {
		return false
	}
	for _, s := range state {
		if s&1 == 0 {
			return false
		}
	}
	return true
}

// probe asks for a huge page, writes one byte and looks how much came.
func probe() Pages {
	f := lookUp()
	if f.size > 0 && f.size <= mostSize {
		if came(wishHuge(f.size, f.size)) {
			return Pages{Kind: Transparent, Size: f.size}
		}
		if f.oneNode && came(fromPool(f.size, f.size)) {
			return Pages{Kind: Reserved, Size: f.size}
		}
		return Pages{Size: f.size, Reason: f.reason()}
	}
	return Pages{Reason: f.reason()}
}

// came reports whether the first write of mem brings all of it, and unmaps it.
func came(mem []byte, mapped int, err error) bool {
	if err != nil {
		return false
	}
	mem[0] = 1
	all := resident(mem)
	return unmap(unsafe.Pointer(&mem[0]), mapped) == nil && all
}

// facts is what the system says of huge pages.
type facts struct {
	size     int    // bytes of a huge page; 0: not known
	enabled  string // "always [madvise] never"; empty: the kernel has none
	ofSize   string // the same for this size, "[inherit]" among the choices
	disabled int    // of PR_GET_THP_DISABLE
	oneNode  bool   // all memory is equally far
}

func lookUp() facts {
	read := func(path string) string {
		text, _ := os.ReadFile(path) // what is absent is empty
		return strings.TrimSpace(string(text))
	}
	f := facts{enabled: read(transparentDir + "enabled")}
	f.size, _ = strconv.Atoi(read(transparentDir + "hpage_pmd_size"))
	if f.size&(f.size-1) != 0 || f.size < os.Getpagesize() {
		f.size = 0
	}
	f.ofSize = read(fmt.Sprintf("%shugepages-%dkB/enabled", transparentDir, f.size>>10))
	f.disabled, _ = unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0)
	f.oneNode = !strings.ContainsAny(read(nodesFile), "-,")
	return f
}

// reason says why no huge page came.
func (f facts) reason() string {
	switch {
	case f.enabled == "" || f.size == 0:
		return "the kernel has no transparent huge pages"
	case f.size > mostSize:
		return fmt.Sprintf("huge pages have %d MiB here", f.size>>20)
	case strings.Contains(f.enabled, "[never]"):
		return transparentDir + "enabled is never"
	case strings.Contains(f.ofSize, "[never]"):
		return fmt.Sprintf("%shugepages-%dkB/enabled is never", transparentDir, f.size>>10)
	case f.disabled&1 != 0:
		return "transparent huge pages are switched off for this process"
	}
	return "the system had no huge page when asked"
}
