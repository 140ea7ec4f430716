/*
 * The functions of cuBLASLt that bitlane calls. A library without one of them
 * cannot be used.
 *
 * A table, included after the macro was defined; it undefines it.
 *
 *   BITLANE_LT(type, name, parameters)
 *
 * Parameters have letters: only their types matter here.
 */
BITLANE_LT(cublasStatus_t, cublasLtGetProperty, (libraryPropertyType a, int *b))
BITLANE_LT(const char *, cublasLtGetStatusName, (cublasStatus_t a))
BITLANE_LT(cublasStatus_t, cublasLtCreate, (cublasLtHandle_t *a))
BITLANE_LT(cublasStatus_t, cublasLtDestroy, (cublasLtHandle_t a))
BITLANE_LT(cublasStatus_t, cublasLtMatrixLayoutInit_internal,
	(cublasLtMatrixLayout_t a, size_t b, cudaDataType c, uint64_t d, uint64_t e, int64_t f))
BITLANE_LT(cublasStatus_t, cublasLtMatmulDescCreate, (cublasLtMatmulDesc_t *a, cublasComputeType_t b, cudaDataType c))
BITLANE_LT(cublasStatus_t, cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t a))
BITLANE_LT(cublasStatus_t, cublasLtMatmulDescSetAttribute,
	(cublasLtMatmulDesc_t a, cublasLtMatmulDescAttributes_t b, const void *c, size_t d))
BITLANE_LT(cublasStatus_t, cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t *a))
BITLANE_LT(cublasStatus_t, cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t a))
BITLANE_LT(cublasStatus_t, cublasLtMatmulPreferenceSetAttribute,
	(cublasLtMatmulPreference_t a, cublasLtMatmulPreferenceAttributes_t b, const void *c, size_t d))
BITLANE_LT(cublasStatus_t, cublasLtMatmulAlgoGetHeuristic,
	(cublasLtHandle_t a, cublasLtMatmulDesc_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
	cublasLtMatrixLayout_t e, cublasLtMatrixLayout_t f, cublasLtMatmulPreference_t g, int h,
	cublasLtMatmulHeuristicResult_t *i, int *j))
BITLANE_LT(cublasStatus_t, cublasLtMatmulAlgoCheck,
	(cublasLtHandle_t a, cublasLtMatmulDesc_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
	cublasLtMatrixLayout_t e, cublasLtMatrixLayout_t f, const cublasLtMatmulAlgo_t *g,
	cublasLtMatmulHeuristicResult_t *h))
BITLANE_LT(cublasStatus_t, cublasLtMatmulAlgoConfigGetAttribute,
	(const cublasLtMatmulAlgo_t *a, cublasLtMatmulAlgoConfigAttributes_t b, void *c, size_t d, size_t *e))
BITLANE_LT(cublasStatus_t, cublasLtMatmul,
	(cublasLtHandle_t a, cublasLtMatmulDesc_t b, const void *c, const void *d, cublasLtMatrixLayout_t e, const void *f,
	cublasLtMatrixLayout_t g, const void *h, const void *i, cublasLtMatrixLayout_t j, void *k,
	cublasLtMatrixLayout_t l, const cublasLtMatmulAlgo_t *m, void *n, size_t o, cudaStream_t p))

#undef BITLANE_LT
