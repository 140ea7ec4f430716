package xpu

import "github.com/bitlane/bitlane/internal/cabi"

// ABI is the number of the interface that this package declares.
const ABI = 1

// Class is a class of errors.
type Class int32

// The classes of errors.
const (
	OK                  Class = 0
	NoLibrary           Class = 1
	TooOld              Class = 2
	MissingSymbol       Class = 3
	NoEngine            Class = 4
	OutOfMemory         Class = 5
	Invalid             Class = 6
	Unimplemented       Class = 7
	Failed              Class = 8
	WrongImplementation Class = 9
	Busy                Class = 10
)

// Kinds of engines.
const (
	CPU = 1
	GPU = 2
)

// Types of elements.
const (
	F16  = 1
	BF16 = 2
	F32  = 3
	S32  = 4
	S8   = 5
	U8   = 6
	S4   = 11
	U4   = 12
)

// Runtimes.
const (
	RuntimeNone       = 0
	RuntimeSeq        = 1
	RuntimeOMP        = 2
	RuntimeTBB        = 4
	RuntimeThreadpool = 8
	RuntimeOpenCL     = 256
	RuntimeSYCL       = 512
	RuntimeLevelZero  = 1024
)

// What becomes of x.
const (
	Exact       = 0
	Int8Token   = 1
	Int8TokenCT = 2
)

// Where scales of rows are multiplied in.
const (
	RowScalesAfter  = 0
	RowScalesSource = 1
)

// Zero points of weights.
const (
	ZeroNone    = 0
	ZeroScalar  = 1
	ZeroGrouped = 2
)

// Orders of weights.
const (
	KContiguous = 0
	NContiguous = 1
)

// Constants are all of them by their names in C.
var Constants = map[string]int64{
	"BITLANE_XPU_ABI": ABI,

	"BITLANE_XPU_OK":                   int64(OK),
	"BITLANE_XPU_NO_LIBRARY":           int64(NoLibrary),
	"BITLANE_XPU_TOO_OLD":              int64(TooOld),
	"BITLANE_XPU_MISSING_SYMBOL":       int64(MissingSymbol),
	"BITLANE_XPU_NO_ENGINE":            int64(NoEngine),
	"BITLANE_XPU_OUT_OF_MEMORY":        int64(OutOfMemory),
	"BITLANE_XPU_INVALID":              int64(Invalid),
	"BITLANE_XPU_UNIMPLEMENTED":        int64(Unimplemented),
	"BITLANE_XPU_FAILED":               int64(Failed),
	"BITLANE_XPU_WRONG_IMPLEMENTATION": int64(WrongImplementation),
	"BITLANE_XPU_BUSY":                 int64(Busy),

	"BITLANE_XPU_CPU": CPU,
	"BITLANE_XPU_GPU": GPU,

	"BITLANE_XPU_F16":  F16,
	"BITLANE_XPU_BF16": BF16,
	"BITLANE_XPU_F32":  F32,
	"BITLANE_XPU_S32":  S32,
	"BITLANE_XPU_S8":   S8,
	"BITLANE_XPU_U8":   U8,
	"BITLANE_XPU_S4":   S4,
	"BITLANE_XPU_U4":   U4,

	"BITLANE_XPU_RUNTIME_NONE":       RuntimeNone,
	"BITLANE_XPU_RUNTIME_SEQ":        RuntimeSeq,
	"BITLANE_XPU_RUNTIME_OMP":        RuntimeOMP,
	"BITLANE_XPU_RUNTIME_TBB":        RuntimeTBB,
	"BITLANE_XPU_RUNTIME_THREADPOOL": RuntimeThreadpool,
	"BITLANE_XPU_RUNTIME_OPENCL":     RuntimeOpenCL,
	"BITLANE_XPU_RUNTIME_SYCL":       RuntimeSYCL,
	"BITLANE_XPU_RUNTIME_LEVEL_ZERO": RuntimeLevelZero,

	"BITLANE_XPU_EXACT":         Exact,
	"BITLANE_XPU_INT8_TOKEN":    Int8Token,
	"BITLANE_XPU_INT8_TOKEN_CT": Int8TokenCT,

	"BITLANE_XPU_ROW_SCALES_AFTER":  RowScalesAfter,
	"BITLANE_XPU_ROW_SCALES_SOURCE": RowScalesSource,

	"BITLANE_XPU_ZERO_NONE":    ZeroNone,
	"BITLANE_XPU_ZERO_SCALAR":  ZeroScalar,
	"BITLANE_XPU_ZERO_GROUPED": ZeroGrouped,

	"BITLANE_XPU_K_CONTIGUOUS": KContiguous,
	"BITLANE_XPU_N_CONTIGUOUS": NContiguous,
}

// LibraryFacts is what a library says about itself.
type LibraryFacts struct {
	Major       int64
	Minor       int64
	Patch       int64
	CPURuntime  int64 `c:"cpu_runtime"`
	GPURuntime  int64 `c:"gpu_runtime"`
	WrapsNative int64
}

// Counts is what is alive of a library.
type Counts struct {
	Engines  int64
	Streams  int64
	Memories int64
	Layers   int64
	Bindings int64
}

// EngineFacts is what an engine says about itself.
type EngineFacts struct {
	Kind       int64
	Index      int64
	Runtime    int64
	HostMemory int64
}

// Plan is a linear layer; see bitlane_xpu.h. LayerPrepare sets Bytes.
type Plan struct {
	Bytes           int64
	Activations     int64
	XType           int64
	XCols           int64
	ComputeType     int64
	WeightType      int64
	WeightOrder     int64
	WeightStride    int64
	K               int64
	N               int64
	Group           int64
	ScaleType       int64
	ZeroKind        int64
	ZeroType        int64
	ZeroValue       int64
	BiasType        int64
	YType           int64
	YCols           int64
	MaxRows         int64
	Deterministic   int64
	RefuseReference int64
	Codes           int64
	RowScales       int64
	Slice           int64
}

// BucketFacts is what was made for one number of rows.
type BucketFacts struct {
	Rows       int64
	Workspace  int64
	Scratchpad int64
	Reference  int64
}

// Structs are all structures by their names in C.
var Structs = map[string]any{
	"bitlane_xpu_library_facts": LibraryFacts{},
	"bitlane_xpu_counts":        Counts{},
	"bitlane_xpu_engine_facts":  EngineFacts{},
	"bitlane_xpu_plan":          Plan{},
	"bitlane_xpu_bucket_facts":  BucketFacts{},
}

// Numbers of functions in Functions.
const (
	fnABI = iota
	fnLibraryOpen
	fnLibraryClose
	fnLibraryInfo
	fnLibraryAlive
	fnNeededSymbol
	fnEngineCreate
	fnEngineWrap
	fnEngineDestroy
	fnEngineInfo
	fnStreamCreate
	fnStreamWrap
	fnStreamQueue
	fnStreamWait
	fnStreamDestroy
	fnMemoryAlloc
	fnMemoryFree
	fnPointerCheck
	fnUpload
	fnDownload
	fnCopy
	fnLayerPrepare
	fnLayerDestroy
	fnLayerWorkspace
	fnLayerBucket
	fnBind
	fnUnbind
	fnApply
	fnQuantize
	fnApplyCodes
)

const (
	void = cabi.Void
	i32  = cabi.I32
	i64  = cabi.I64
	size = cabi.Size
	ptr  = cabi.Ptr
)

// Functions are all functions of bitlane_xpu.h.
var Functions = []cabi.Func{
	fnABI:            {Name: "bitlane_xpu_abi", Result: i32},
	fnLibraryOpen:    {Name: "bitlane_xpu_library_open", Result: i32, Args: []cabi.Kind{ptr, ptr, ptr, size}},
	fnLibraryClose:   {Name: "bitlane_xpu_library_close", Result: i32, Args: []cabi.Kind{ptr, ptr, size}},
	fnLibraryInfo:    {Name: "bitlane_xpu_library_info", Result: void, Args: []cabi.Kind{ptr, ptr, ptr, size}},
	fnLibraryAlive:   {Name: "bitlane_xpu_library_alive", Result: void, Args: []cabi.Kind{ptr, ptr}},
	fnNeededSymbol:   {Name: "bitlane_xpu_needed_symbol", Result: ptr, Args: []cabi.Kind{i64}},
	fnEngineCreate:   {Name: "bitlane_xpu_engine_create", Result: i32, Args: []cabi.Kind{ptr, i32, i64, ptr, ptr, size}},
	fnEngineWrap:     {Name: "bitlane_xpu_engine_wrap", Result: i32, Args: []cabi.Kind{ptr, i32, ptr, ptr, ptr, ptr, ptr, size}},
	fnEngineDestroy:  {Name: "bitlane_xpu_engine_destroy", Result: i32, Args: []cabi.Kind{ptr, ptr, size}},
	fnEngineInfo:     {Name: "bitlane_xpu_engine_info", Result: void, Args: []cabi.Kind{ptr, ptr}},
	fnStreamCreate:   {Name: "bitlane_xpu_stream_create", Result: i32, Args: []cabi.Kind{ptr, ptr, ptr, size}},
	fnStreamWrap:     {Name: "bitlane_xpu_stream_wrap", Result: i32, Args: []cabi.Kind{ptr, ptr, ptr, ptr, size}},
	fnStreamQueue:    {Name: "bitlane_xpu_stream_queue", Result: i32, Args: []cabi.Kind{ptr, ptr, ptr, size}},
	fnStreamWait:     {Name: "bitlane_xpu_stream_wait", Result: i32, Args: []cabi.Kind{ptr, ptr, size}},
	fnStreamDestroy:  {Name: "bitlane_xpu_stream_destroy", Result: i32, Args: []cabi.Kind{ptr, ptr, size}},
	fnMemoryAlloc:    {Name: "bitlane_xpu_memory_alloc", Result: i32, Args: []cabi.Kind{ptr, i64, ptr, ptr, ptr, size}},
	fnMemoryFree:     {Name: "bitlane_xpu_memory_free", Result: void, Args: []cabi.Kind{ptr}},
	fnPointerCheck:   {Name: "bitlane_xpu_pointer_check", Result: i32, Args: []cabi.Kind{ptr, ptr, i64, ptr, size}},
	fnUpload:         {Name: "bitlane_xpu_upload", Result: i32, Args: []cabi.Kind{ptr, ptr, ptr, i64, ptr, size}},
	fnDownload:       {Name: "bitlane_xpu_download", Result: i32, Args: []cabi.Kind{ptr, ptr, ptr, i64, ptr, size}},
	fnCopy:           {Name: "bitlane_xpu_copy", Result: i32, Args: []cabi.Kind{ptr, ptr, ptr, i64, ptr, size}},
	fnLayerPrepare:   {Name: "bitlane_xpu_layer_prepare", Result: i32, Args: []cabi.Kind{ptr, ptr, ptr, ptr, size}},
	fnLayerDestroy:   {Name: "bitlane_xpu_layer_destroy", Result: i32, Args: []cabi.Kind{ptr, ptr, size}},
	fnLayerWorkspace: {Name: "bitlane_xpu_layer_workspace", Result: i64, Args: []cabi.Kind{ptr, i64}},
	fnLayerBucket:    {Name: "bitlane_xpu_layer_bucket", Result: i32, Args: []cabi.Kind{ptr, i64, ptr, ptr, size}},
	fnBind:           {Name: "bitlane_xpu_bind", Result: i32, Args: []cabi.Kind{ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, size}},
	fnUnbind:         {Name: "bitlane_xpu_unbind", Result: void, Args: []cabi.Kind{ptr}},
	fnApply:          {Name: "bitlane_xpu_apply", Result: i32, Args: []cabi.Kind{ptr, ptr, i64, ptr, i64, i64, ptr, i64, ptr, size}},
	fnQuantize:       {Name: "bitlane_xpu_quantize", Result: i32, Args: []cabi.Kind{ptr, ptr, i64, ptr, ptr, i64, ptr, i64, ptr, size}},
	fnApplyCodes:     {Name: "bitlane_xpu_apply_codes", Result: i32, Args: []cabi.Kind{ptr, ptr, ptr, ptr, i64, i64, ptr, i64, ptr, size}},
}
