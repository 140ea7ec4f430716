//go:build npu

package bitlane

func init() { hasDriver["npu"] = true }
