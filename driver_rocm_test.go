//go:build rocm

package bitlane

func init() { hasDriver["rocm"] = true }
