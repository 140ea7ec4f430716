package cuda

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the number of the tables into cuda.h and lazy/lazy.c")

var number = map[string]*regexp.Regexp{
	"cuda.h":      regexp.MustCompile(`(?m)^(#define BITLANE_CUDA_H )0x[0-9a-f]{8}$`),
	"lazy/lazy.c": regexp.MustCompile(`(?m)^(#define TABLES )0x[0-9a-f]{8}$`),
}

// The number names the contents of the header and its tables. It is in lazy.c
// too: so that file changes with them, is compiled anew with them, and is not
// compiled with those of another version.
func TestNumberOfTables(t *testing.T) {
	hash := sha256.New()
	for _, name := range []string{"cuda.h", "bitlane_cu_values.h", "bitlane_cu_types.h", "bitlane_cu_functions.h"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		if re := number[name]; re != nil {
			text = re.ReplaceAll(text, []byte("${1}"))
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(text), text)
	}
	want := fmt.Sprintf("0x%x", hash.Sum(nil)[:4])
	for name, re := range number {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Len(t, re.FindAll(text, -1), 1, name)
		line := re.ReplaceAll(re.Find(text), []byte("${1}"+want))
		if *update {
			require.NoError(t, os.WriteFile(name, re.ReplaceAll(text, line), 0o644))
		} else if string(re.Find(text)) != string(line) {
			t.Errorf("%s must say %q: go test ./csrc/cuda -run %s -update writes it", name, line, t.Name())
		}
	}
}
