package quantize

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
)

// machine names the machine that this process runs on, in a line; empty where it has no
// name of its own. Lock files have it, since some file systems keep locks within a
// machine: one that is free here may be held on another.
//
// It is the host name with the identity that the system was given when it was installed,
// and both must be the same: many machines may be copies of one image, or have the same
// name. The identity of the running kernel would be surer, but after a restart nothing
// of before it would be this machine's, and a restart is what leaves things behind. A
// container that runs under another name than the one before is another machine: what
// that left is named and stays, which is the safe side.
func machine() string {
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	id, _ := os.ReadFile("/etc/machine-id") // of Linux and the BSDs; elsewhere the name alone
	id = bytes.TrimSpace(id)
	if name, _, _ := strings.Cut(host, "."); len(id) == 0 && (name == "" || name == "localhost" || name == "(none)") {
		return ""
	}
	// machine-id(5) wants the identity kept from others, who may read the lock file.
	return fmt.Sprintf("%s %x\n", host, sha256.Sum256(fmt.Appendf(nil, "bitlane quantize\n%s\n%s", host, id)))
}
