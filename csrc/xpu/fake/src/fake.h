/*
 * A stand-in for libdnnl.so.3, for tests of the shim: the functions of onednn.h,
 * with the documented semantics and none of the speed. See ../doc.go for what it
 * can be told.
 *
 * It is stricter than oneDNN where that helps. A GPU engine's pointers are not
 * the host's: using one as such faults. Work runs when somebody waits for its stream, never
 * before, but on CPU engines that are not SYCL's; a GPU engine takes the handles of memory
 * when work is enqueued, a CPU engine of SYCL's when it runs. Mapping on a GPU engine copies out, unmapping copies
 * back. Memory that was not written holds NaN. Objects are counted.
 */
#ifndef FAKE_H
#define FAKE_H

#include "onednn.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* The functions, with the names that a library exports. */
#define DECLARE(result, name, parameters) result dnnl_##name parameters;
DN_NEEDED(DECLARE)
DN_OPTIONAL(DECLARE)
#undef DECLARE

enum { F16 = 1, BF16 = 2, F32 = 3, S32 = 4, S8 = 5, U8 = 6, S4 = 11, U4 = 12 };
enum { CPU = 1, GPU = 2 };
enum { MAX_OPS = 4, MAX_ARGS = 16 };

/* What is alive; exported as fake_alive. */
enum fake_kind { ENGINES, STREAMS, DESCRIPTORS, MEMORIES, ATTRS, POST_OPS, PDS, PRIMITIVES, FAKE_KINDS };
extern _Atomic int64_t fake_live[FAKE_KINDS];

struct dn_engine_ {
	int kind;
};

struct dn_md_ {
	int ndims;
	int64_t dims[2], strides[2];
	int type;
};

struct dn_memory_ {
	struct dn_md_ md;
	dn_engine engine;
	_Atomic int references; /* the caller's, and one for each piece of work */
	char *handle;           /* as the caller has it */
	bool owned;
	void *mapped;
};

typedef struct {
	int algorithm; /* DN_BINARY_…, 0 for a sum */
	struct dn_md_ md;
} fake_op;

struct dn_postops_ {
	int count;
	fake_op ops[MAX_OPS];
};

struct dn_attr_ {
	struct dn_postops_ ops;
	int scratchpad;
	int64_t scale_type, scale_group, zero_group; /* of weights; 0: none, and -1: one zero for all */
	bool row_scales;
};

enum fake_primitive { MATMUL, ELTWISE, REDUCTION, BINARY, REORDER };

/* A primitive descriptor, and what a primitive keeps of it. */
typedef struct {
	enum fake_primitive kind;
	int algorithm;
	float alpha, beta;
	struct dn_md_ src, other, bias, dst; /* other: weights, or the second source */
	struct dn_md_ scratchpad;
	bool has_bias;
	struct dn_attr_ attr;
	dn_engine engine;
} fake_work;

struct dn_pd_ {
	fake_work work;
};

struct dn_primitive_ {
	fake_work work;
};

/* A tensor at work: where it is for the host, and what it is. */
typedef struct {
	char *at;
	const struct dn_md_ *md;
} fake_tensor;

typedef struct fake_item {
	struct fake_item *next;
	fake_work work;
	int count;
	int args[MAX_ARGS];
	dn_memory memories[MAX_ARGS];
	char *handles[MAX_ARGS]; /* of a GPU engine's */
} fake_item;

struct dn_stream_ {
	dn_engine engine;
	fake_item *first, *last;
};

/* A number that the variable BITLANE_FAKE_ONEDNN gives a name, or standard. */
int64_t fake_told(const char *name, int64_t standard);

/* A status other than success if this creation of an object is to fail. */
int fake_create(enum fake_kind kind, void *out, size_t bytes);
void fake_destroy(enum fake_kind kind, void *object);

/* The host's pointer for a handle of the engine's. */
char *fake_host(dn_engine engine, char *handle);

bool fake_lost(void);
void fake_release(dn_memory memory);
int64_t fake_bytes(const struct dn_md_ *md);

/* Element (i, j) of a tensor; dimensions of 1 are broadcast. */
double fake_get(fake_tensor t, int64_t i, int64_t j);
void fake_set(fake_tensor t, int64_t i, int64_t j, float value);

/* Does the work; args are looked up by number, host pointers in at. */
void fake_run(const fake_work *work, int count, const int *args, char *const *at);

#endif
