package onednn

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
)

// Env names the oneDNN to load; libdnnl.so.3 where the system's loader looks
// if it is empty.
const Env = "BITLANE_ONEDNN"

const soname = "libdnnl.so.3"

// howToGet says where a oneDNN comes from.
const howToGet = "get oneDNN (3.7 at least, 3.10 or later is better), built for SYCL, OpenCL or Level Zero (Intel oneAPI, your distribution's package, or pip install onednn), and set " +
	Env + " to its libdnnl.so.3, or LD_LIBRARY_PATH to the folder that has it"

// missing finds the library that the loader did not find.
var missing = regexp.MustCompile(`([^/: ]+): cannot open shared object file`)

// absence says why oneDNN could not be loaded. path is what Env said.
func absence(id, path string, err error) error {
	name := soname
	if path != "" {
		name = fmt.Sprintf("%q (%s)", path, Env)
	}
	var e *driver.Error
	why := "no driver: " + err.Error()
	if errors.As(err, &e) {
		switch e.Class {
		case driver.NoLibrary:
			if needs := missing.FindStringSubmatch(e.Text); needs != nil && needs[1] != soname && needs[1] != filepath.Base(path) {
				why = fmt.Sprintf("no driver: %s is there, but not %s, which it needs: %s; set LD_LIBRARY_PATH to the folder that has it, most often that of oneDNN", name, needs[1], e.Text)
				break
			}
			why = fmt.Sprintf("no driver: %s cannot be loaded: %s; %s", name, e.Text, howToGet)
		case driver.TooOld:
			why = fmt.Sprintf("no driver: %s is too old: %s; %s", name, e.Text, howToGet)
		case driver.MissingSymbol:
			why = fmt.Sprintf("no driver: %s is not a oneDNN that can be used: %s; %s", name, e.Text, howToGet)
		}
	}
	return &backend.Absence{Class: backend.ErrNoDevice, Backend: id, Why: why}
}

// unusable says what is wrong with the file that Env names.
func unusable(id, path, wrong string) error {
	return &backend.Absence{Class: backend.ErrNoDevice, Backend: id, Why: fmt.Sprintf("no driver: %q (%s) %s; %s", path, Env, wrong, howToGet)}
}

// noShim says why the shim could not be loaded, which only a build without cgo
// has to.
func noShim(id string, err error) error {
	return &backend.Absence{Class: backend.ErrNoDevice, Backend: id, Why: "no driver: " + err.Error() + "; a program that is built with CGO_ENABLED=1 has it inside; oneDNN is looked for after that"}
}
