//go:build xpu && linux

package onednn

import (
	"os"
	"strings"
	"sync"

	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/internal/cabi"
	"github.com/bitlane/bitlane/internal/cabi/xpu"
)

// System returns what loads oneDNN for the backend id: once it is loaded, it stays.
// A failure is tried again at the next call.
func System(id string) func() (driver.Library, error) {
	var mu sync.Mutex
	var loaded *library
	return func() (driver.Library, error) {
		mu.Lock()
		defer mu.Unlock()
		if loaded != nil {
			return loaded, nil
		}
		shim, err := xpu.Open()
		if err != nil {
			return nil, noShim(id, err)
		}
		path := os.Getenv(Env)
		if path != "" && strings.Contains(path, "/") { // a plain name is the loader's to find
			if wrong := look(path); wrong != "" {
				return nil, unusable(id, path, wrong)
			}
		}
		f := cabi.NewFrame()
		handle, err := shim.LibraryOpen(f, path)
		if err != nil {
			return nil, absence(id, path, failure("library_open", err))
		}
		loaded = newLibrary(shim, handle, path)
		return loaded, nil
	}
}

// failure is an error of the shim as one of package driver.
func failure(call string, err error) error {
	if err == nil {
		return nil
	}
	e, ok := err.(*xpu.Error)
	if !ok {
		return err
	}
	return &driver.Error{Call: call, Class: driver.Class(e.Class), Text: e.Error()}
}
