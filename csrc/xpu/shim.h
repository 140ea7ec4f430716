/*
 * What the files of the shim share. Names that begin with bx_ are the shim's own
 * and hidden; those that begin with dn_ are oneDNN's.
 */
#ifndef BITLANE_XPU_SHIM_H
#define BITLANE_XPU_SHIM_H

#include "bitlane_xpu.h"
#include "onednn.h"

#include <stdatomic.h>

#if defined(__GNUC__)
#define BX_HIDDEN __attribute__((visibility("hidden")))
#define BX_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define BX_HIDDEN
#define BX_PRINTF(text, first)
#endif

/* ---- errors ---- */

/* Where a function's caller wants the text of an error. */
typedef struct {
	char *text;
	size_t bytes;
} bx_err;

/* Writes the text and returns class. */
BX_HIDDEN int32_t bx_fail(bx_err err, int32_t class_, const char *format, ...) BX_PRINTF(3, 4);

/* A status of oneDNN's as a class, with the text "what: …"; 0 for success. */
BX_HIDDEN int32_t bx_status(bx_err err, int status, const char *format, ...) BX_PRINTF(3, 4);

/* Returns from a function that has nothing to undo. */
#define TRY(call) \
	do { \
		int32_t try_class_ = (call); \
		if (try_class_ != BITLANE_XPU_OK) { \
			return try_class_; \
		} \
	} while (0)

/* ---- libraries, engines, streams, memory ---- */

enum bx_kind { BX_ENGINES, BX_STREAMS, BX_MEMORIES, BX_LAYERS, BX_BINDINGS, BX_KINDS };

struct bitlane_xpu_library {
	void *handle;
	dn_functions dn;
	bitlane_xpu_library_facts facts;
	char hash[64];
	atomic_llong alive[BX_KINDS];
};

struct bitlane_xpu_engine {
	bitlane_xpu_library *library;
	dn_engine engine;
	bitlane_xpu_engine_facts facts;
	int late;      /* reads handles of memory when work runs, not when it is enqueued */
	int opencl;    /* memory is made by the interop function, which knows USM */
	atomic_llong children;
};

struct bitlane_xpu_stream {
	bitlane_xpu_engine *engine;
	dn_stream stream;
	uint64_t enqueued, waited; /* primitives: how many, and how many are surely done */
	atomic_llong children;
};

struct bitlane_xpu_memory {
	bitlane_xpu_engine *engine;
	dn_memory memory;
};

/* Counts an object that begins (+1) or ends (-1) to live. */
BX_HIDDEN void bx_count(bitlane_xpu_library *library, enum bx_kind kind, int change);

BX_HIDDEN int32_t bx_wait(bitlane_xpu_stream *stream, bx_err err);

/* A descriptor of rows × cols elements of type, row_stride and col_stride apart. */
BX_HIDDEN int32_t bx_matrix(const dn_functions *dn, int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride, int64_t type, dn_md *out, bx_err err);

/* Bytes as a descriptor of one dimension. */
BX_HIDDEN int32_t bx_bytes(const dn_functions *dn, int64_t bytes, dn_md *out, bx_err err);

/* A memory object of the engine over handle, which may be DN_MEMORY_ALLOCATE or _NONE. */
BX_HIDDEN int32_t bx_memory(bitlane_xpu_engine *engine, dn_md md, void *handle, dn_memory *out, bx_err err);

/* The same with memory of its own that holds what is at value. */
BX_HIDDEN int32_t bx_constant(bitlane_xpu_engine *engine, dn_md md, const void *value, size_t bytes, dn_memory *out, bx_err err);

/* ---- layers ---- */

/* Tensors of a bucket; some plans have no use for some of them. */
enum bx_slot {
	BX_X,        /* x as the caller has it                    [rows, x_cols] x_type */
	BX_IN,       /* x staged: compute_type, or float32        [rows, x_cols] */
	BX_PAD,      /* the columns of the staged x behind it     [rows, k - x_cols] */
	BX_TEMP,     /* |x|, and 0·x                              [rows, x_cols] float32 */
	BX_FINITE,   /* 0, or NaN for a row that is not finite    [rows, 1] float32 */
	BX_RAW,      /* scales of rows of recipe int8-token, before 0 is replaced */
	BX_SCALE,    /* scales of rows                            [rows, 1] float32 */
	BX_NARROW,   /* the same in x_type                        [rows, 1] */
	BX_QUOTIENT, /* x / scale of recipe int8-token, in x_type [rows, x_cols] */
	BX_CODES,    /* codes, rows k apart                       [rows, x_cols] s8 */
	BX_MASK,     /* 1, or 0 for a row that is not finite      [rows, 1] float32 */
	BX_SRC,      /* the source of the product, of its last slice [rows, …], rows k apart */
	BX_SRC_PART, /* and of the slices before                  [rows, slice], rows k apart */
	BX_SUM_PART, /* the sum of the slices before              [rows, n] float32 */
	BX_DST,      /* its destination                           [rows, n] y_type */
	BX_PART,     /* the wanted columns of a staged one        [rows, y_cols] y_type */
	BX_Y,        /* y as the caller has it                    [rows, y_cols] y_type */
	BX_USER,     /* the caller's codes                        [rows, x_cols] s8 */
	BX_USER_SCALE, /* the caller's scales                     [rows, 1] float32 */
	BX_SLOTS,
	/* Tensors of the layer, the same for all buckets. */
	BX_WEIGHTS = BX_SLOTS, /* of the last slice */
	BX_SCALES,
	BX_ZEROS,
	BX_WEIGHTS_PART, /* of the slices before, all alike */
	BX_SCALES_PART,
	BX_ZEROS_PART,
	BX_BIAS,
	BX_LARGEST,  /* 127, or 127.5                             [1, 1] float32 */
	BX_LEAST,    /* 1e-5, or what replaces a scale of 0       [1, 1] float32 */
	BX_NULL,     /* 0                                         [1, 1] float32 */
	BX_ALL_SLOTS,
};

enum { BX_OWN = BX_ALL_SLOTS - BX_SLOTS };

/* Primitives of a bucket, in the order in which they run. */
enum bx_step {
	BX_COPY_IN,    /* X → IN */
	BX_FILL,       /* PAD < PAD → PAD: 0, whatever is there */
	BX_ZERO,       /* IN → TEMP, 0·x */
	BX_SUM,        /* TEMP → FINITE */
	BX_ABS,        /* IN → TEMP */
	BX_MAX,        /* TEMP → SCALE: max(max/127, 1e-5) + FINITE; or RAW: max/127.5 + FINITE */
	BX_ROUND,      /* SCALE or RAW → NARROW */
	BX_WIDEN,      /* NARROW → SCALE or RAW */
	BX_REPLACE,    /* RAW → SCALE: (RAW == 0)·LEAST + RAW */
	BX_DIVIDE,     /* IN, SCALE → CODES, or TEMP */
	BX_NARROWED,   /* TEMP → QUOTIENT */
	BX_CONVERT,    /* QUOTIENT → CODES */
	BX_TEST,       /* SCALE → MASK */
	BX_CLEAR,      /* CODES, MASK → CODES */
	BX_CODES_OUT,  /* CODES → USER */
	BX_CODES_IN,   /* USER → CODES */
	BX_SCALES_OUT, /* SCALE → USER_SCALE */
	BX_SCALES_IN,  /* USER_SCALE → SCALE */
	BX_FIRST,      /* SRC_PART, … → SUM_PART */
	BX_MIDDLE,     /* SRC_PART, … added to SUM_PART */
	BX_MATMUL,     /* SRC, … → DST */
	BX_COPY_OUT,   /* PART → Y */
	BX_STEPS,
};

/* BX_PARTS: what of a slice has a memory object for each. */
enum { BX_ARGS = 8, BX_BUCKETS = 48, BX_PARTS = 3 };

/* One primitive and what it is executed with. */
typedef struct {
	dn_primitive primitive; /* NULL: the plan needs none */
	dn_md scratchpad;       /* NULL if it wants none */
	int count;              /* of arguments without the scratchpad */
	int args[BX_ARGS];
	int slots[BX_ARGS];
} bx_run;

typedef struct {
	bitlane_xpu_bucket_facts facts;
	char name[64];             /* of the matmul */
	dn_md md[BX_SLOTS];        /* NULL: no such tensor */
	bx_run run[BX_STEPS];
	int64_t offset[BX_SLOTS];  /* in the workspace, of those that are staged there */
	int64_t scratch;           /* the scratchpad's, of all steps */
} bx_bucket;

struct bitlane_xpu_layer {
	bitlane_xpu_engine *engine;
	bitlane_xpu_plan plan;
	int64_t slices;            /* of k, */
	int64_t slice;             /* of so many features; the last has last */
	int64_t last;
	int64_t count;             /* of buckets */
	bx_bucket *buckets;
	dn_md md[BX_OWN];          /* of the layer's own tensors */
	dn_memory constant[BX_OWN]; /* those with values of the layer's, else NULL */
	atomic_llong children;
};

/* Where a plan's scales of rows are before they are final, and its quotients. */
BX_HIDDEN int bx_raw(const bitlane_xpu_plan *plan);
BX_HIDDEN int bx_quotient(const bitlane_xpu_plan *plan);

/* Checks a plan; the text names the field. */
BX_HIDDEN int32_t bx_check_plan(const bitlane_xpu_plan *plan, bx_err err);

/* Bytes of an element; 0 for half bytes. */
BX_HIDDEN int64_t bx_size(int64_t type);
BX_HIDDEN const char *bx_type_name(int64_t type);

/* Makes the descriptors of a bucket, then its primitives, then its workspace. */
BX_HIDDEN int32_t bx_bucket_tensors(bitlane_xpu_layer *layer, bx_bucket *bucket, bx_err err);
BX_HIDDEN int32_t bx_bucket_matmul(bitlane_xpu_layer *layer, bx_bucket *bucket, bx_err err);
BX_HIDDEN int32_t bx_bucket_copies(bitlane_xpu_layer *layer, bx_bucket *bucket, bx_err err);
BX_HIDDEN int32_t bx_bucket_quantizer(bitlane_xpu_layer *layer, bx_bucket *bucket, bx_err err);
BX_HIDDEN void bx_bucket_workspace(bitlane_xpu_layer *layer, bx_bucket *bucket, int64_t scratchpad); /* at least so large: a smaller bucket's */
BX_HIDDEN void bx_bucket_free(bitlane_xpu_layer *layer, bx_bucket *bucket);

/* An attribute with a user's scratchpad. */
BX_HIDDEN int32_t bx_attr(const bitlane_xpu_layer *layer, dn_attr *out, bx_err err);

/* Makes run's primitive out of *pd, which it destroys; status is that of making it.
 * name gets the implementation's, if it is not NULL. */
BX_HIDDEN int32_t bx_primitive(const bitlane_xpu_layer *layer, bx_run *run, int status, dn_pd pd, const char *what, char *name, size_t name_bytes, bx_err err);

/* One more argument of run. */
BX_HIDDEN void bx_arg(bx_run *run, int arg, int slot);

/* A tensor of the bucket or of the layer. */
BX_HIDDEN dn_md bx_md(const bitlane_xpu_layer *layer, const bx_bucket *bucket, int slot);

/* ---- bindings ---- */

/* A memory object and what it was set to last. */
typedef struct {
	dn_memory memory;
	void *handle;
	uint64_t used; /* the stream's count after its last use */
} bx_object;

typedef struct {
	bx_object slots[BX_SLOTS];
	bx_object scratchpad[BX_STEPS];
} bx_bound;

struct bitlane_xpu_binding {
	bitlane_xpu_layer *layer;
	bitlane_xpu_stream *stream;
	bx_object own[BX_OWN];
	bx_object *parts; /* BX_PARTS for each slice but the last */
	bx_bound *buckets;
};

/* Sets what a tensor of a bucket points to. */
BX_HIDDEN int32_t bx_point(bitlane_xpu_binding *binding, int64_t bucket, int slot, void *handle, bx_err err);

/* Enqueues a step of a bucket with what its tensors point to. */
BX_HIDDEN int32_t bx_execute(bitlane_xpu_binding *binding, int64_t bucket, enum bx_step step, void *scratchpad, bx_err err);

#endif
