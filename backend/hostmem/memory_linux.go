package hostmem

import (
	"bufio"
	"bytes"
	"fmt"
	"os"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// machineMemory reads MemAvailable and MemTotal of /proc/meminfo, in bytes.
func machineMemory() (free, total int64, err error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0, quant.Errorf(backend.ErrUnsupported, "memory size", "", "OpenOptions.MemoryLimit", "not known: %v", err)
	}
	return parseMeminfo(text)
}

func parseMeminfo(text []byte) (free, total int64, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		var kib int64
		if _, err := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kib); err == nil {
			total = kib << 10
		}
		if _, err := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kib); err == nil {
			free = kib << 10
		}
	}
	if total <= 0 {
		return 0, 0, quant.Errorf(backend.ErrUnsupported, "memory size", "", "OpenOptions.MemoryLimit", "not known: no MemTotal in /proc/meminfo")
	}
	return free, total, nil
}
