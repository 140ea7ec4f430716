//go:build cuda && cgo

package bitlane

func init() { hasDriver["cuda"] = true }
