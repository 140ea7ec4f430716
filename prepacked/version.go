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
	return versionIn(info)
}

func versionIn(info *debug.BuildInfo) string {
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path != module {
			continue
		}
		if r := m.Replace; r != nil { // what was built is another's, or a directory
			return m.Version + " => " + r.Path + " " + r.Version
		}
		return m.Version
	}
	return ""
}
