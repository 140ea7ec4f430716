/*
 * What the shim calls of oneDNN's C API: its own prototypes, from the documented
 * interface, so that no header of oneDNN is needed. All functions return a
 * status unless the table says otherwise.
 */
#ifndef BITLANE_XPU_ONEDNN_H
#define BITLANE_XPU_ONEDNN_H

#include <stddef.h>
#include <stdint.h>

typedef struct dn_engine_ *dn_engine;
typedef struct dn_stream_ *dn_stream;
typedef struct dn_md_ *dn_md;
typedef struct dn_memory_ *dn_memory;
typedef struct dn_attr_ *dn_attr;
typedef struct dn_postops_ *dn_postops;
typedef struct dn_pd_ *dn_pd;
typedef struct dn_primitive_ *dn_primitive;

typedef struct {
	int major, minor, patch;
	const char *hash;
	unsigned cpu_runtime, gpu_runtime;
} dn_version;

typedef struct {
	int arg;
	dn_memory memory;
} dn_exec_arg;

enum { DN_MAX_DIMS = 12 };

/* Statuses. */
enum { DN_SUCCESS = 0, DN_OUT_OF_MEMORY = 1, DN_INVALID_ARGUMENTS = 2, DN_UNIMPLEMENTED = 3, DN_RUNTIME_ERROR = 5 };

enum { DN_STREAM_IN_ORDER = 1 };
enum { DN_SCRATCHPAD_USER = 1 };
enum { DN_FPMATH_STRICT = 0 };
enum { DN_FORWARD_INFERENCE = 96 };
enum { DN_QUERY_IMPLEMENTATION = 8, DN_QUERY_SCRATCHPAD = 136 };

/* Arguments of a primitive's execution. */
enum {
	DN_SRC = 1,
	DN_SRC_1 = 2,
	DN_DST = 17,
	DN_WEIGHTS = 33,
	DN_BIAS = 41,
	DN_SCRATCHPAD = 80,
	DN_SCALES = 4096,       /* or'ed with the argument that they are of */
	DN_ZERO_POINTS = 8192,  /* the same */
	DN_POST_OP = 32768,     /* times 1 + number, or'ed with DN_SRC_1 */
};

/* Algorithms. */
enum {
	DN_ELTWISE_ABS = 36,
	DN_ELTWISE_LINEAR = 38,
	DN_BINARY_ADD = 0x1fff0,
	DN_BINARY_MUL = 0x1fff1,
	DN_BINARY_MAX = 0x1fff2,
	DN_BINARY_DIV = 0x1fff4,
	DN_BINARY_LT = 0x1fff9,
	DN_BINARY_EQ = 0x1fffa,
	DN_REDUCTION_MAX = 0x2fff2,
	DN_REDUCTION_SUM = 0x2fff4,
};

/* Handles of memory. */
#define DN_MEMORY_NONE NULL
#define DN_MEMORY_ALLOCATE ((void *)(uintptr_t)-1)

/* A kind of memory of the interop functions. */
enum { DN_OCL_USM = 0 };

/* result, name without dnnl_, parameters: what every library must have, */
#define DN_NEEDED(F) \
	F(const dn_version *, version, (void)) \
	F(size_t, engine_get_count, (int kind)) \
	F(int, engine_create, (dn_engine *, int kind, size_t index)) \
	F(int, engine_destroy, (dn_engine)) \
	F(int, stream_create, (dn_stream *, dn_engine, unsigned flags)) \
	F(int, stream_wait, (dn_stream)) \
	F(int, stream_destroy, (dn_stream)) \
	F(int, memory_desc_create_with_strides, (dn_md *, int ndims, const int64_t *dims, int type, const int64_t *strides)) \
	F(size_t, memory_desc_get_size, (dn_md)) \
	F(int, memory_desc_destroy, (dn_md)) \
	F(int, memory_create, (dn_memory *, dn_md, dn_engine, void *handle)) \
	F(int, memory_get_data_handle, (dn_memory, void **handle)) \
	F(int, memory_set_data_handle, (dn_memory, void *handle)) \
	F(int, memory_map_data, (dn_memory, void **pointer)) \
	F(int, memory_unmap_data, (dn_memory, void *pointer)) \
	F(int, memory_destroy, (dn_memory)) \
	F(int, primitive_attr_create, (dn_attr *)) \
	F(int, primitive_attr_destroy, (dn_attr)) \
	F(int, primitive_attr_set_scratchpad_mode, (dn_attr, int mode)) \
	F(int, primitive_attr_set_deterministic, (dn_attr, int value)) \
	F(int, primitive_attr_set_fpmath_mode_v2, (dn_attr, int mode, int apply_to_int)) \
	F(int, primitive_attr_set_scales, (dn_attr, int arg, int mask, int ndims, const int64_t *group, int type)) \
	F(int, primitive_attr_set_zero_points, (dn_attr, int arg, int mask, int ndims, const int64_t *group, int type)) \
	F(int, primitive_attr_set_post_ops, (dn_attr, dn_postops)) \
	F(int, post_ops_create, (dn_postops *)) \
	F(int, post_ops_destroy, (dn_postops)) \
	F(int, post_ops_append_binary, (dn_postops, int algorithm, dn_md)) \
	F(int, post_ops_append_sum, (dn_postops, float scale, int32_t zero_point, int type)) \
	F(int, matmul_primitive_desc_create, (dn_pd *, dn_engine, dn_md src, dn_md weights, dn_md bias, dn_md dst, dn_attr)) \
	F(int, eltwise_forward_primitive_desc_create, (dn_pd *, dn_engine, int prop, int algorithm, dn_md src, dn_md dst, float alpha, float beta, dn_attr)) \
	F(int, reduction_primitive_desc_create, (dn_pd *, dn_engine, int algorithm, dn_md src, dn_md dst, float p, float eps, dn_attr)) \
	F(int, binary_primitive_desc_create, (dn_pd *, dn_engine, int algorithm, dn_md src0, dn_md src1, dn_md dst, dn_attr)) \
	F(int, reorder_primitive_desc_create, (dn_pd *, dn_md src, dn_engine, dn_md dst, dn_engine, dn_attr)) \
	F(int, primitive_desc_query, (dn_pd, int what, int index, void *result)) \
	F(dn_md, primitive_desc_query_md, (dn_pd, int what, int index)) \
	F(int, primitive_desc_destroy, (dn_pd)) \
	F(int, primitive_create, (dn_primitive *, dn_pd)) \
	F(int, primitive_execute, (dn_primitive, dn_stream, int count, const dn_exec_arg *)) \
	F(int, primitive_destroy, (dn_primitive))

/* and what only some have: that one is there does not say that it works. */
#define DN_OPTIONAL(F) \
	F(int, sycl_interop_engine_create, (dn_engine *, const void *device, const void *context)) \
	F(int, sycl_interop_stream_create, (dn_stream *, dn_engine, void *queue)) \
	F(int, sycl_interop_stream_get_queue, (dn_stream, void **queue)) \
	F(int, ocl_interop_engine_create, (dn_engine *, void *device, void *context)) \
	F(int, ocl_interop_stream_create, (dn_stream *, dn_engine, void *queue)) \
	F(int, ocl_interop_stream_get_command_queue, (dn_stream, void **queue)) \
	F(int, ocl_interop_memory_create, (dn_memory *, dn_md, dn_engine, int kind, void *handle)) \
	F(int, ze_interop_engine_create, (dn_engine *, void *driver, void *device, void *context)) \
	F(int, ze_interop_stream_create, (dn_stream *, dn_engine, void *list, int profiling)) \
	F(int, ze_interop_stream_get_list, (dn_stream, void **list))

/* The functions of one library; NULL where it lacks an optional one. */
typedef struct {
#define DN_MEMBER(result, name, parameters) result(*name) parameters;
	DN_NEEDED(DN_MEMBER)
	DN_OPTIONAL(DN_MEMBER)
#undef DN_MEMBER
} dn_functions;

#endif
