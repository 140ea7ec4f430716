/*
 * The part of the CUDA driver API that gorgonia.org/cu v0.9.6 and bitlane use,
 * as CUDA 12 has it, so that both compile without NVIDIA's toolkit. It was
 * written for bitlane from the public facts of the ABI: names, numbers and
 * types, which the three tables hold. It is no replacement for the toolkit's
 * header of this name, and has nothing for other users of the API.
 *
 * Every function has a symbol of bitlane's own, bitlane_cuMemAlloc_v2, hidden
 * in the binary it is linked into: the trampolines of package lazy. No other
 * code in the process sees one in place of the driver's.
 *
 * A stand-in for the driver's library defines BITLANE_CU_DRIVER before it
 * includes this, and then defines the driver's own symbols.
 */
#ifndef BITLANE_CUDA_H

/* Names this version of the tables; package lazy refuses to be compiled with another one. */
#define BITLANE_CUDA_H 0x99d688bc

#define CUDA_VERSION 12000

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BITLANE_ENUM(type) typedef enum {
#define BITLANE_VALUE(name, value) name = value,
#define BITLANE_ENUM_END(type) } type;
#define BITLANE_FLAG(name, value) enum { name = value };
#include "bitlane_cu_values.h"

#define BITLANE_SCALAR(name, type) typedef type name;
#define BITLANE_HANDLE(name, tag) typedef struct tag *name;
#define BITLANE_CALLBACK(name, type, types) typedef type(*name) types;
#define BITLANE_STRUCT(name) typedef struct {
#define BITLANE_FIELD(name, type, field) type field;
#define BITLANE_ARRAY(name, type, field, n) type field[n];
#define BITLANE_STRUCT_END(name) } name;
#include "bitlane_cu_types.h"

#ifdef BITLANE_CU_DRIVER
#define BITLANE_CU_SYMBOL(symbol) __asm__(symbol)
#else
#define BITLANE_CU_SYMBOL(symbol) __asm__("bitlane_" symbol) __attribute__((visibility("hidden")))
#endif

CUresult cuInit(unsigned int flags) BITLANE_CU_SYMBOL("cuInit");

#define BITLANE_NEEDED(name, version, parameters, arguments) \
	CUresult name parameters BITLANE_CU_SYMBOL(#name #version);
#define BITLANE_OTHER(name, version, parameters, arguments) \
	CUresult name parameters BITLANE_CU_SYMBOL(#name #version);
#include "bitlane_cu_functions.h"

#ifdef __cplusplus
}
#endif

#endif
