package bitlane

import (
	_ "github.com/bitlane/bitlane/backend/cpu"
	_ "github.com/bitlane/bitlane/backend/cuda"
	_ "github.com/bitlane/bitlane/backend/npu"
	_ "github.com/bitlane/bitlane/backend/rocm"
	_ "github.com/bitlane/bitlane/backend/xpu"
)
