/*
 * The flat ABI between bitlane and oneDNN (libdnnl.so.3), which is loaded at run
 * time. Plain functions; arguments are int32_t, int64_t, size_t and pointers; no
 * structure by value, no callback, no floating point. Go declares the same
 * functions, constants and structures in internal/cabi/xpu, and a test compares
 * the two: keep to the form of what is here.
 *
 * Errors. A function that can fail returns one of the classes BITLANE_XPU_…, 0
 * for success, and writes a text into err[0 … err_bytes), cut to fit and ended
 * by 0. err is written on failure alone; err_bytes may be 0. On failure a result
 * pointer (out) is NULL and nothing is left allocated. Nothing aborts.
 *
 * Threads. Functions may be called from any thread. There is no global state.
 * Calls about one stream, and about bindings to it, must not overlap: the caller
 * has a lock for each stream. Everything else may be called concurrently, but
 * for the destruction of what is in use.
 *
 * Ownership. Every created object is destroyed by the function named with it.
 * What has live children (a library its engines; an engine its streams, memories
 * and layers; a layer and a stream their bindings) refuses with
 * BITLANE_XPU_BUSY and stays as it was. Destroying NULL does nothing.
 *
 * Device pointers. Memory is named by a pointer of the device's address space
 * (USM; with BITLANE_XPU_RUNTIME_LEVEL_ZERO a device allocation) so that
 * pointer + offset names a part of it. On an engine with host_memory the host
 * reads and writes it directly.
 */
#ifndef BITLANE_XPU_H
#define BITLANE_XPU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BITLANE_XPU_API __attribute__((visibility("default")))
#else
#define BITLANE_XPU_API
#endif

/* Grows with every change of this header that the other side can notice. */
enum { BITLANE_XPU_ABI = 1 };

/* Classes of errors. */
enum {
	BITLANE_XPU_OK = 0,
	BITLANE_XPU_NO_LIBRARY = 1,          /* it, or a library that it needs, cannot be loaded: the text is the loader's */
	BITLANE_XPU_TOO_OLD = 2,             /* a version below 3.7: the text has it */
	BITLANE_XPU_MISSING_SYMBOL = 3,      /* the text names every one that is missing */
	BITLANE_XPU_NO_ENGINE = 4,           /* no device of that kind and index */
	BITLANE_XPU_OUT_OF_MEMORY = 5,       /* of the device or the host */
	BITLANE_XPU_INVALID = 6,             /* an argument, refused by the shim or by oneDNN */
	BITLANE_XPU_UNIMPLEMENTED = 7,       /* oneDNN has nothing for this */
	BITLANE_XPU_FAILED = 8,              /* oneDNN's runtime_error: a driver's failure or a lost device */
	BITLANE_XPU_WRONG_IMPLEMENTATION = 9, /* only a reference implementation, and the plan wants none */
	BITLANE_XPU_BUSY = 10,               /* children are alive */
};

/* Kinds of engines: oneDNN's numbers. */
enum {
	BITLANE_XPU_CPU = 1,
	BITLANE_XPU_GPU = 2,
};

/* Types of elements: oneDNN's numbers. */
enum {
	BITLANE_XPU_F16 = 1,
	BITLANE_XPU_BF16 = 2,
	BITLANE_XPU_F32 = 3,
	BITLANE_XPU_S32 = 4,
	BITLANE_XPU_S8 = 5,
	BITLANE_XPU_U8 = 6,
	BITLANE_XPU_S4 = 11,
	BITLANE_XPU_U4 = 12,
};

/* Runtimes, as library_info gives them: oneDNN's numbers. */
enum {
	BITLANE_XPU_RUNTIME_NONE = 0,
	BITLANE_XPU_RUNTIME_SEQ = 1,
	BITLANE_XPU_RUNTIME_OMP = 2,
	BITLANE_XPU_RUNTIME_TBB = 4,
	BITLANE_XPU_RUNTIME_THREADPOOL = 8,
	BITLANE_XPU_RUNTIME_OPENCL = 256,
	BITLANE_XPU_RUNTIME_SYCL = 512,
	BITLANE_XPU_RUNTIME_LEVEL_ZERO = 1024,
};

/* What becomes of x, a field of the plan. Below, INT8_TOKEN means both recipes. */
enum {
	BITLANE_XPU_EXACT = 0,      /* x times weights turned into compute_type: fpmath strict, applied to integers */
	BITLANE_XPU_INT8_TOKEN = 1, /* rows of x to s8 by the recipe int8-token-xpu, on the device */
	BITLANE_XPU_INT8_TOKEN_CT = 2, /* by the recipe int8-token, compressed-tensors'; see quantizer.c for its one difference */
};

/* Where scales of rows are multiplied in, a field of the plan. */
enum {
	BITLANE_XPU_ROW_SCALES_AFTER = 0,  /* behind the sum over k, as an operation of its own, then the bias: nothing overflows that y does not */
	BITLANE_XPU_ROW_SCALES_SOURCE = 1, /* as oneDNN's scales of the source, "mask 3, groups {1, k}": before those of weights */
};

/* Zero points of weights, a field of the plan. */
enum {
	BITLANE_XPU_ZERO_NONE = 0,    /* the codes are the values: s4, s8 */
	BITLANE_XPU_ZERO_SCALAR = 1,  /* zero_value everywhere */
	BITLANE_XPU_ZERO_GROUPED = 2, /* zeros[k / group, n] of zero_type */
};

/* Orders of weights in memory, a field of the plan. */
enum {
	BITLANE_XPU_K_CONTIGUOUS = 0, /* element (k, n) is number n * weight_stride + k */
	BITLANE_XPU_N_CONTIGUOUS = 1, /* element (k, n) is number k * weight_stride + n */
};

typedef struct bitlane_xpu_library bitlane_xpu_library;
typedef struct bitlane_xpu_engine bitlane_xpu_engine;
typedef struct bitlane_xpu_stream bitlane_xpu_stream;
typedef struct bitlane_xpu_memory bitlane_xpu_memory;
typedef struct bitlane_xpu_layer bitlane_xpu_layer;
typedef struct bitlane_xpu_binding bitlane_xpu_binding;

/* What a library says about itself. */
typedef struct {
	int64_t major;
	int64_t minor;
	int64_t patch;
	int64_t cpu_runtime;
	int64_t gpu_runtime;
	int64_t wraps_native; /* 1: engine_wrap and stream_wrap can work with its GPU runtime */
} bitlane_xpu_library_facts;

/* What is alive of a library. */
typedef struct {
	int64_t engines;
	int64_t streams;
	int64_t memories;
	int64_t layers;
	int64_t bindings;
} bitlane_xpu_counts;

typedef struct {
	int64_t kind;
	int64_t index;       /* -1 for a wrapped one */
	int64_t runtime;     /* the one of its kind */
	int64_t host_memory; /* 1: device pointers are the host's, too */
} bitlane_xpu_engine_facts;

/*
 * A linear layer, y[m, n] = Σ_k x[m, k] · (weights[k, n] - zero) · scale + bias[n].
 *
 * weights  k × n codes, or numbers, of weight_type in weight_order. u4 and s4: element e is in
 *          byte e/2, the even one in the low half; weight_stride must be even.
 * scales   [k / group, n] of scale_type, rows without gaps.
 * zeros    [k / group, n] of zero_type, rows without gaps; u4 wants n even.
 * bias     [n] of bias_type.
 * x        [rows, x_cols] of x_type, y [rows, y_cols] of y_type.
 *
 * x_cols < k: the other columns count as zeros of x (their weights must be equal
 * to their zero, so that their product is 0). y_cols < n: other columns are computed
 * and dropped.
 */
typedef struct {
	int64_t bytes;          /* of this structure, checked */
	int64_t activations;    /* BITLANE_XPU_EXACT, BITLANE_XPU_INT8_TOKEN, …_CT */
	int64_t x_type;         /* F32, F16, BF16: also what scales of rows are rounded to */
	int64_t x_cols;         /* 1 … k */
	int64_t compute_type;   /* EXACT: F32, F16 or BF16, what x is turned into if it differs. INT8_TOKEN: 0 */
	int64_t weight_type;    /* U4, S4, S8; EXACT without scales and zeros, group k: F32, F16, BF16, which oneDNN may want to be compute_type */
	int64_t weight_order;   /* BITLANE_XPU_K_CONTIGUOUS, BITLANE_XPU_N_CONTIGUOUS */
	int64_t weight_stride;  /* elements, ≥ the contiguous dimension */
	int64_t k;
	int64_t n;
	int64_t group;          /* divides k; k itself for one group */
	int64_t scale_type;     /* F32, F16, BF16; 0 with weights that are numbers */
	int64_t zero_kind;      /* BITLANE_XPU_ZERO_… */
	int64_t zero_type;      /* GROUPED: U4, S8, U8 or S32; SCALAR: S8, U8 or S32; else 0 */
	int64_t zero_value;     /* SCALAR, in the range of zero_type; else 0 */
	int64_t bias_type;      /* 0: none; F32; with BITLANE_XPU_ROW_SCALES_SOURCE F16 and BF16, too */
	int64_t y_type;         /* F32, F16, BF16 */
	int64_t y_cols;         /* 1 … n */
	int64_t max_rows;       /* ≥ 1 */
	int64_t deterministic;  /* 1: the same bits on every run, where oneDNN has a choice */
	int64_t refuse_reference; /* 1: BITLANE_XPU_WRONG_IMPLEMENTATION instead of a matmul whose implementation is called "ref" */
	int64_t codes;          /* INT8_TOKEN, 1: makes what quantize and apply_codes need, too; else 0 */
	int64_t row_scales;     /* INT8_TOKEN: BITLANE_XPU_ROW_SCALES_…; else 0 */
	int64_t slice;          /* EXACT: k is summed in slices of so many, the last one may be shorter, and their sums are
	                           added in float32 from the first to the last, before the bias. A divisor or a multiple
	                           of group, any where there are no scales. 0: in one piece */
} bitlane_xpu_plan;

/* What was made for one number of rows. */
typedef struct {
	int64_t rows;       /* calls with up to so many rows, and more than the bucket before, use it */
	int64_t workspace;  /* bytes of a call in it, scratchpad included */
	int64_t scratchpad; /* bytes that oneDNN wants of it */
	int64_t reference;  /* 1: the matmul is a reference implementation, slow */
} bitlane_xpu_bucket_facts;

/* ---- the library ---- */

/* BITLANE_XPU_ABI of this shim. */
BITLANE_XPU_API int32_t bitlane_xpu_abi(void);

/* Loads oneDNN: path, or libdnnl.so.3 where the system's loader looks if path is
 * NULL. It stays in the process after library_close, since its runtimes have
 * threads. Several may be open, also of one file. */
BITLANE_XPU_API int32_t bitlane_xpu_library_open(const char *path, bitlane_xpu_library **out, char *err, size_t err_bytes);
BITLANE_XPU_API int32_t bitlane_xpu_library_close(bitlane_xpu_library *library, char *err, size_t err_bytes);

/* hash gets the library's commit, "" if it has none, cut to fit. */
BITLANE_XPU_API void bitlane_xpu_library_info(const bitlane_xpu_library *library, bitlane_xpu_library_facts *out, char *hash, size_t hash_bytes);
BITLANE_XPU_API void bitlane_xpu_library_alive(const bitlane_xpu_library *library, bitlane_xpu_counts *out);

/* The name of needed symbol number index, NULL behind the last one. */
BITLANE_XPU_API const char *bitlane_xpu_needed_symbol(int64_t index);

/* ---- engines and streams ---- */

/* kind is BITLANE_XPU_CPU or BITLANE_XPU_GPU. To list devices, try 0, 1, … until
 * BITLANE_XPU_NO_ENGINE: oneDNN's count of them may be an error's number.
 * BITLANE_XPU_FAILED: a driver is there, or should be, and fails. */
BITLANE_XPU_API int32_t bitlane_xpu_engine_create(bitlane_xpu_library *library, int32_t kind, int64_t index, bitlane_xpu_engine **out, char *err, size_t err_bytes);

/* An engine on the caller's device and context, which must outlive it: SYCL
 * sycl::device * and sycl::context *; OpenCL cl_device_id and cl_context;
 * Level Zero ze_driver_handle_t, ze_device_handle_t and ze_context_handle_t (driver
 * is NULL elsewhere). BITLANE_XPU_UNIMPLEMENTED where the library cannot. */
BITLANE_XPU_API int32_t bitlane_xpu_engine_wrap(bitlane_xpu_library *library, int32_t kind, void *driver, void *device, void *context, bitlane_xpu_engine **out, char *err, size_t err_bytes);
BITLANE_XPU_API int32_t bitlane_xpu_engine_destroy(bitlane_xpu_engine *engine, char *err, size_t err_bytes);
BITLANE_XPU_API void bitlane_xpu_engine_info(const bitlane_xpu_engine *engine, bitlane_xpu_engine_facts *out);

/* Streams do their work in order. */
BITLANE_XPU_API int32_t bitlane_xpu_stream_create(bitlane_xpu_engine *engine, bitlane_xpu_stream **out, char *err, size_t err_bytes);

/* A stream on the caller's queue (sycl::queue *, cl_command_queue, ze_command_list_handle_t)
 * of the engine's device and context. The queue must be in order, stays the
 * caller's and must outlive the stream. */
BITLANE_XPU_API int32_t bitlane_xpu_stream_wrap(bitlane_xpu_engine *engine, void *queue, bitlane_xpu_stream **out, char *err, size_t err_bytes);

/* The queue under a stream; BITLANE_XPU_UNIMPLEMENTED if the runtime has none. It
 * lives as long as the stream. */
BITLANE_XPU_API int32_t bitlane_xpu_stream_queue(bitlane_xpu_stream *stream, void **out, char *err, size_t err_bytes);

/* Returns when all work of the stream is done. Its failures appear here. */
BITLANE_XPU_API int32_t bitlane_xpu_stream_wait(bitlane_xpu_stream *stream, char *err, size_t err_bytes);

/* Waits, then destroys, whether waiting failed or not. */
BITLANE_XPU_API int32_t bitlane_xpu_stream_destroy(bitlane_xpu_stream *stream, char *err, size_t err_bytes);

/* ---- memory ---- */

/* Uninitialised bytes (≥ 1) of the engine's device. *pointer gets the device pointer, a
 * multiple of 256. The caller waits for work that uses it before it frees it. */
BITLANE_XPU_API int32_t bitlane_xpu_memory_alloc(bitlane_xpu_engine *engine, int64_t bytes, bitlane_xpu_memory **out, void **pointer, char *err, size_t err_bytes);
BITLANE_XPU_API void bitlane_xpu_memory_free(bitlane_xpu_memory *memory);

/* Checks that oneDNN takes a pointer of the caller's for bytes of memory of the engine.
 * Nothing is kept: such a pointer is then used like one of memory_alloc. */
BITLANE_XPU_API int32_t bitlane_xpu_pointer_check(bitlane_xpu_engine *engine, void *pointer, int64_t bytes, char *err, size_t err_bytes);

/* Copies bytes (≥ 0) from the host to the device pointer dst, behind the work that is in the
 * stream, and is done when it returns; bytes beside the range are not touched. */
BITLANE_XPU_API int32_t bitlane_xpu_upload(bitlane_xpu_stream *stream, void *dst, const void *src, int64_t bytes, char *err, size_t err_bytes);

/* The other way: dst is the host's, src a device pointer. */
BITLANE_XPU_API int32_t bitlane_xpu_download(bitlane_xpu_stream *stream, void *dst, const void *src, int64_t bytes, char *err, size_t err_bytes);

/* Device to device, in the stream's order; it may return before it is done. The ranges do
 * not overlap, or are the same. It may allocate. */
BITLANE_XPU_API int32_t bitlane_xpu_copy(bitlane_xpu_stream *stream, void *dst, void *src, int64_t bytes, char *err, size_t err_bytes);

/* ---- layers ---- */

/*
 * Makes the primitives of a plan for the buckets 1, 2, 4, … max_rows (the last one is
 * max_rows itself). It needs no weights. BITLANE_XPU_UNIMPLEMENTED and
 * BITLANE_XPU_WRONG_IMPLEMENTATION name what oneDNN refuses. Layers are
 * immutable: any number of threads may use one.
 */
BITLANE_XPU_API int32_t bitlane_xpu_layer_prepare(bitlane_xpu_engine *engine, const bitlane_xpu_plan *plan, bitlane_xpu_layer **out, char *err, size_t err_bytes);
BITLANE_XPU_API int32_t bitlane_xpu_layer_destroy(bitlane_xpu_layer *layer, char *err, size_t err_bytes);

/* Bytes of workspace for a call with so many rows (1 … max_rows; else 0): non-decreasing,
 * O(number of buckets). A workspace begins at a multiple of 256. */
BITLANE_XPU_API int64_t bitlane_xpu_layer_workspace(const bitlane_xpu_layer *layer, int64_t rows);

/* Facts of bucket number index and the name that oneDNN gives its matmul;
 * BITLANE_XPU_INVALID behind the last one. */
BITLANE_XPU_API int32_t bitlane_xpu_layer_bucket(const bitlane_xpu_layer *layer, int64_t index, bitlane_xpu_bucket_facts *out, char *name, size_t name_bytes);

/*
 * Ties a layer to a stream and to device pointers of its weights: scales is NULL where scale_type
 * is 0, zeros unless GROUPED, bias without one. They must outlive the binding. The binding has the memory objects
 * whose handles its calls set, so that calls on different streams do not meet.
 */
BITLANE_XPU_API int32_t bitlane_xpu_bind(bitlane_xpu_layer *layer, bitlane_xpu_stream *stream, void *weights, void *scales, void *zeros, void *bias, bitlane_xpu_binding **out, char *err, size_t err_bytes);

/* The caller has waited for its calls. */
BITLANE_XPU_API void bitlane_xpu_unbind(bitlane_xpu_binding *binding);

/*
 * Enqueues y = layer(x) for rows 1 … max_rows; 0 rows do nothing. Strides are elements between rows,
 * ≥ x_cols and y_cols. Rows beyond rows, and columns beyond y_cols, are neither read nor written.
 * workspace has at least layer_workspace(rows) bytes; it, x and y do not overlap. Contiguous rows
 * are copied, where they must be, in a few pieces, others row by row.
 * It allocates nothing (oneDNN may) and does not wait, but for a CPU engine of SYCL, which reads
 * handles only when work runs and whose queue is kept short. A failure may show only in stream_wait.
 */
BITLANE_XPU_API int32_t bitlane_xpu_apply(bitlane_xpu_binding *binding, void *x, int64_t x_stride, void *y, int64_t y_stride, int64_t rows, void *workspace, int64_t workspace_bytes, char *err, size_t err_bytes);

/*
 * The parts of apply of an INT8_TOKEN layer whose plan has codes. quantize enqueues codes
 * [rows, x_cols] of s8 and scales [rows] of f32, each a value of x_type, both without gaps, out
 * of x, by the plan's recipe: scale NaN and codes 0 for a row that is not finite.
 * apply_codes goes on from such codes and scales, which may be anybody's: it is how
 * a quantizer of the host's comes in. The workspace is that of apply.
 */
BITLANE_XPU_API int32_t bitlane_xpu_quantize(bitlane_xpu_binding *binding, void *x, int64_t x_stride, void *codes, void *scales, int64_t rows, void *workspace, int64_t workspace_bytes, char *err, size_t err_bytes);
BITLANE_XPU_API int32_t bitlane_xpu_apply_codes(bitlane_xpu_binding *binding, void *codes, void *scales, void *y, int64_t y_stride, int64_t rows, void *workspace, int64_t workspace_bytes, char *err, size_t err_bytes);

#ifdef __cplusplus
}
#endif

#endif
