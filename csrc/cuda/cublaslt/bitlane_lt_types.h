/*
 * The types of cuBLASLt that are no enumerations.
 *
 * A table, included after the macros were defined; it undefines them.
 *
 *   BITLANE_HANDLE(name, tag)               a pointer to what only the library knows
 *   BITLANE_STRUCT(name)                    begins a struct
 *   BITLANE_FIELD(struct, type, field)      one of its fields, in order
 *   BITLANE_ARRAY(struct, type, field, n)   an array in it
 *   BITLANE_STRUCT_END(name)                ends it
 *
 * What is behind the handles of descriptors has another size in each version, so
 * the library allocates them; of a layout the caller says how much room there is.
 */
BITLANE_HANDLE(cublasLtHandle_t, cublasLtContext)
BITLANE_HANDLE(cublasLtMatmulDesc_t, bitlane_lt_matmul)
BITLANE_HANDLE(cublasLtMatmulPreference_t, bitlane_lt_preference)
BITLANE_HANDLE(cublasLtMatrixLayout_t, bitlane_lt_layout)

BITLANE_STRUCT(cublasLtMatmulAlgo_t)
BITLANE_ARRAY(cublasLtMatmulAlgo_t, uint64_t, data, 8)
BITLANE_STRUCT_END(cublasLtMatmulAlgo_t)

BITLANE_STRUCT(cublasLtMatmulHeuristicResult_t)
BITLANE_FIELD(cublasLtMatmulHeuristicResult_t, cublasLtMatmulAlgo_t, algo)
BITLANE_FIELD(cublasLtMatmulHeuristicResult_t, size_t, workspaceSize)
BITLANE_FIELD(cublasLtMatmulHeuristicResult_t, cublasStatus_t, state)
BITLANE_FIELD(cublasLtMatmulHeuristicResult_t, float, wavesCount)
BITLANE_ARRAY(cublasLtMatmulHeuristicResult_t, int, reserved, 4)
BITLANE_STRUCT_END(cublasLtMatmulHeuristicResult_t)

#undef BITLANE_HANDLE
#undef BITLANE_STRUCT
#undef BITLANE_FIELD
#undef BITLANE_ARRAY
#undef BITLANE_STRUCT_END
