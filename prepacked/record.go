package prepacked

import (
	"fmt"
	"hash/crc32"
	"os"
	"strings"
)

// castagnoli is CRC-32C, for which processors have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mostRecord bounds a record, in bytes: group boundaries of a layer are the most of it.
const mostRecord = 64 << 20

// writeRecord keeps a short text behind its checksum.
func (c *Cache) writeRecord(path, text string) error {
	return c.write(path, func(f *os.File) error {
		_, err := fmt.Fprintf(f, "%08x\n%s", crc32.Checksum([]byte(text), castagnoli), text)
		return err
	})
}

// readRecord returns a text that was kept, false where there is none or it is damaged.
func readRecord(path string) (string, bool) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > mostRecord {
		return "", false
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	sum, text, ok := strings.Cut(string(b), "\n")
	return text, ok && sum == fmt.Sprintf("%08x", crc32.Checksum([]byte(text), castagnoli))
}
