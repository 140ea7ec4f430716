/*
 * Compiles where the tables say what the toolkit's header says, which is the
 * cuda.h that is found first. Every message names what differs.
 */
#include <cuda.h>

#include <stddef.h>
#include <stdint.h>

#ifdef BITLANE_CUDA_H
#error "this is our header, not the toolkit's"
#endif

#define SAME(a, b) __builtin_types_compatible_p(a, b)
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

#define BITLANE_ENUM(type) \
	_Static_assert(sizeof(type) == sizeof(unsigned int) && (type)-1 > 0, "enumeration " #type);
#define BITLANE_VALUE(name, value) _Static_assert((long long)(name) == (value), "value of " #name);
#define BITLANE_ENUM_END(type)
#define BITLANE_FLAG(name, value) _Static_assert((long long)(name) == (value), "value of " #name);
#include "bitlane_cu_values.h"

/* Types once as declarations of our own, */
#define BITLANE_SCALAR(name, type) _Static_assert(SAME(name, type), "type " #name);
#define BITLANE_HANDLE(name, tag) _Static_assert(SAME(name, struct tag *), "handle " #name);
#define BITLANE_CALLBACK(name, type, types) \
	typedef type(*our_##name) types;        \
	_Static_assert(SAME(name, our_##name), "callback " #name);
#define BITLANE_STRUCT(name) typedef struct {
#define BITLANE_FIELD(name, type, field) type field;
#define BITLANE_ARRAY(name, type, field, n) type field[n];
#define BITLANE_STRUCT_END(name) } our_##name; _Static_assert(sizeof(name) == sizeof(our_##name), "size of " #name);
#include "bitlane_cu_types.h"

/* and once field by field against the toolkit's. */
#define BITLANE_SCALAR(name, type)
#define BITLANE_HANDLE(name, tag)
#define BITLANE_CALLBACK(name, type, types)
#define BITLANE_STRUCT(name)
#define BITLANE_FIELD(name, type, field)                                                                  \
	_Static_assert(offsetof(name, field) == offsetof(our_##name, field), "offset of " #name "." #field);  \
	_Static_assert(SAME(__typeof__(((name *)0)->field), __typeof__(((our_##name *)0)->field)), "type of " #name "." #field);
#define BITLANE_ARRAY(name, type, field, n) BITLANE_FIELD(name, type, field)
#define BITLANE_STRUCT_END(name)
#include "bitlane_cu_types.h"

/* The name must not be a macro's argument twice: the toolkit's header renames
 * functions by macros, and the second time it would be the renamed one. */
#define BITLANE_NEEDED(name, version, parameters, arguments)                                       \
	CUresult our_##name parameters;                                                                \
	_Static_assert(SAME(__typeof__(our_##name), __typeof__(name)), "prototype of " #name);         \
	_Static_assert(__builtin_strcmp(TEXT(name), #name #version) == 0, "symbol of " #name);
#define BITLANE_OTHER(name, version, parameters, arguments)                                        \
	CUresult our_##name parameters;                                                                \
	_Static_assert(SAME(__typeof__(our_##name), __typeof__(name)), "prototype of " #name);         \
	_Static_assert(__builtin_strcmp(TEXT(name), #name #version) == 0, "symbol of " #name);
BITLANE_NEEDED(cuInit, , (unsigned int a), (a))
#include "bitlane_cu_functions.h"
