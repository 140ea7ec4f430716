package prepacked

import "runtime/debug"

const module = "github.com/bitlane/bitlane"

// version is the bitlane in this program as its build says: a release, or nothing that
// would tell two builds apart.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if info.Main.Path == module {
		return info.Main.Version
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return ""
}
