package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

func runVersion(_ context.Context, e *env, args []string) error {
	f := newFlags(e, "version")
	if _, err := f.parse(args); err != nil {
		return err
	}
	v := map[string]string{"version": "unknown", "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "tags": "", "cgo": ""}
	if info, ok := debug.ReadBuildInfo(); ok {
		v["version"] = info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "-tags":
				v["tags"] = s.Value
			case "CGO_ENABLED":
				v["cgo"] = s.Value
			}
		}
	}
	if f.json {
		return e.printJSON(v)
	}
	fmt.Fprintf(e.stdout, "bitlane %s, %s %s/%s, tags %q, cgo %s\n", v["version"], v["go"], v["os"], v["arch"], v["tags"], v["cgo"])
	return nil
}
