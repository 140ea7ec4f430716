/*
 * Compiles where the tables say what NVIDIA's header says, which is the
 * cublasLt.h that is found. Every message names what differs.
 */
#include <cublasLt.h>

#include <stddef.h>
#include <stdint.h>

#ifdef BITLANE_CUBLASLT_H
#error "this is our header, not NVIDIA's"
#endif

#define SAME(a, b) __builtin_types_compatible_p(a, b)

#define BITLANE_ENUM(type) \
	_Static_assert(sizeof(type) == sizeof(unsigned int) && (type)-1 > 0, "enumeration " #type);
#define BITLANE_VALUE(name, value) _Static_assert((long long)(name) == (value), "value of " #name);
#define BITLANE_ENUM_END(type)
#include "bitlane_lt_values.h"

/* Types once as declarations of our own, */
#define BITLANE_HANDLE(name, tag) _Static_assert(SAME(name, __typeof__(&*(name)0)), "handle " #name);
#define BITLANE_STRUCT(name) typedef struct {
#define BITLANE_FIELD(name, type, field) type field;
#define BITLANE_ARRAY(name, type, field, n) type field[n];
#define BITLANE_STRUCT_END(name) } our_##name; _Static_assert(sizeof(name) == sizeof(our_##name), "size of " #name);
#include "bitlane_lt_types.h"

/* and once field by field against NVIDIA's. */
#define BITLANE_HANDLE(name, tag)
#define BITLANE_STRUCT(name)
#define BITLANE_FIELD(name, type, field)                                                                  \
	_Static_assert(offsetof(name, field) == offsetof(our_##name, field), "offset of " #name "." #field);  \
	_Static_assert(SAME(__typeof__(((name *)0)->field), __typeof__(((our_##name *)0)->field)), "type of " #name "." #field);
#define BITLANE_ARRAY(name, type, field, n) BITLANE_FIELD(name, type, field)
#define BITLANE_STRUCT_END(name)
#include "bitlane_lt_types.h"

#define BITLANE_LT(type, name, parameters)                                             \
	type our_##name parameters;                                                        \
	_Static_assert(SAME(__typeof__(our_##name), __typeof__(name)), "prototype of " #name);
#include "bitlane_lt_functions.h"

/* product.c gives a layout 512 bytes. */
_Static_assert(sizeof(cublasLtMatrixLayoutOpaque_t) <= 512, "room for a layout");
