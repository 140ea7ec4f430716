package prepacked

import (
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
)

// castagnoli is CRC-32C, for which processors have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mostRecord bounds a record, in bytes: group boundaries of a layer are the most of it.
const mostRecord = 64 << 20

// writeRecord keeps a short text behind its checksum.
func (c *Cache) writeRecord(path, text string) error {
	return c.write(path, func(f *os.File) error {
		_, err := fmt.Fprintf(f, "%s\n%s", recordSum(path, text), text)
		return err
	})
}

// recordSum is the checksum of a text with the name that it is kept under, which is a digest: a
// record that was moved says nothing of what is called so.
func recordSum(path, text string) string {
	dir, file := filepath.Split(path)
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(filepath.Base(dir)+file+"\n"+text), castagnoli))
}

// readRecord returns a text that was kept, fs.ErrNotExist where there is none.
func readRecord(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > mostRecord {
		return "", damage(path, "file", fmt.Sprintf("a regular one of at most %d bytes", mostRecord), "%v of %d", info.Mode().Type(), info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	sum, text, _ := strings.Cut(string(b), "\n")
	if want := recordSum(path, text); sum != want {
		return "", damage(path, "checksum", want, "%.8q", sum)
	}
	return text, nil
}
