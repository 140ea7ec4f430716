/*
 * The part of cuBLASLt that bitlane uses, as versions 12 and 13 have it. It was
 * written for bitlane from the public facts of the ABI: names, numbers and types,
 * which the three tables hold. It is no replacement for NVIDIA's cublasLt.h.
 *
 * Functions are declared for a library that defines them, a stand-in, which
 * defines BITLANE_LT_LIBRARY first. Everybody else has pointers to them, in a
 * bitlane_lt.
 */
#ifndef BITLANE_CUBLASLT_H
#define BITLANE_CUBLASLT_H

#if !__has_include(<cuda.h>)
#error "cuda.h is not found. Set CGO_CPPFLAGS=-I$(go list -tags cuda -f '{{.Dir}}' github.com/bitlane/bitlane/csrc/cuda)"
#endif
#include <cuda.h>

#include <stddef.h>
#include <stdint.h>

typedef CUstream cudaStream_t;

#define BITLANE_ENUM(type) typedef enum {
#define BITLANE_VALUE(name, value) name = value,
#define BITLANE_ENUM_END(type) } type;
#include "bitlane_lt_values.h"

#define BITLANE_HANDLE(name, tag) typedef struct tag *name;
#define BITLANE_STRUCT(name) typedef struct {
#define BITLANE_FIELD(name, type, field) type field;
#define BITLANE_ARRAY(name, type, field, n) type field[n];
#define BITLANE_STRUCT_END(name) } name;
#include "bitlane_lt_types.h"

#ifdef BITLANE_LT_LIBRARY
#define BITLANE_LT(type, name, parameters) type name parameters;
#include "bitlane_lt_functions.h"
#endif

typedef struct {
#define BITLANE_LT(type, name, parameters) type(*name) parameters;
#include "bitlane_lt_functions.h"
} bitlane_lt;

#endif
