//go:build xpu

package bitlane

func init() { hasDriver["xpu"] = true }
