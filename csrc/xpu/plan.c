//go:build xpu && cgo && linux

/* What a plan may say. oneDNN refuses the rest. */
#include "shim.h"

/* Bounds all products of sizes: rows × columns × 4 bytes stay below 2⁶². */
enum { LARGEST = 1 << 30 };

int64_t bx_size(int64_t type) {
	switch (type) {
	case BITLANE_XPU_F32:
	case BITLANE_XPU_S32: return 4;
	case BITLANE_XPU_F16:
	case BITLANE_XPU_BF16: return 2;
	case BITLANE_XPU_S8:
	case BITLANE_XPU_U8: return 1;
	}
	return 0;
}

const char *bx_type_name(int64_t type) {
	switch (type) {
	case BITLANE_XPU_F16: return "f16";
	case BITLANE_XPU_BF16: return "bf16";
	case BITLANE_XPU_F32: return "f32";
	case BITLANE_XPU_S32: return "s32";
	case BITLANE_XPU_S8: return "s8";
	case BITLANE_XPU_U8: return "u8";
	case BITLANE_XPU_S4: return "s4";
	case BITLANE_XPU_U4: return "u4";
	}
	return "no type";
}

static int is_float(int64_t type) { return type == BITLANE_XPU_F32 || type == BITLANE_XPU_F16 || type == BITLANE_XPU_BF16; }

static int is_half_byte(int64_t type) { return type == BITLANE_XPU_U4 || type == BITLANE_XPU_S4; }

/* Whether value is one of type, a type of zero points. */
static int holds(int64_t type, int64_t value) {
	switch (type) {
	case BITLANE_XPU_S8: return value >= INT8_MIN && value <= INT8_MAX;
	case BITLANE_XPU_U8: return value >= 0 && value <= UINT8_MAX;
	case BITLANE_XPU_S32: return value >= INT32_MIN && value <= INT32_MAX;
	}
	return 0;
}

#define WANT(condition, ...) \
	do { \
		if (!(condition)) { \
			return bx_fail(err, BITLANE_XPU_INVALID, "plan: " __VA_ARGS__); \
		} \
	} while (0)

static int32_t check_zeros(const bitlane_xpu_plan *p, bx_err err) {
	switch (p->zero_kind) {
	case BITLANE_XPU_ZERO_NONE:
		WANT(p->zero_type == 0 && p->zero_value == 0, "zero_type %lld and zero_value %lld without zeros", (long long)p->zero_type, (long long)p->zero_value);
		return BITLANE_XPU_OK;
	case BITLANE_XPU_ZERO_SCALAR:
		WANT(holds(p->zero_type, p->zero_value), "zero_value %lld of zero_type %lld", (long long)p->zero_value, (long long)p->zero_type);
		return BITLANE_XPU_OK;
	case BITLANE_XPU_ZERO_GROUPED:
		WANT(p->zero_type == BITLANE_XPU_U4 || holds(p->zero_type, 0), "zero_type %lld", (long long)p->zero_type);
		WANT(p->zero_type != BITLANE_XPU_U4 || p->n % 2 == 0, "n %lld is odd, and zeros are u4", (long long)p->n);
		WANT(p->zero_value == 0, "zero_value %lld with grouped zeros", (long long)p->zero_value);
		return BITLANE_XPU_OK;
	}
	WANT(0, "zero_kind %lld", (long long)p->zero_kind);
}

/* Weights that are numbers have no scales. */
static int32_t check_plain(const bitlane_xpu_plan *p, bx_err err) {
	if (!is_float(p->weight_type)) {
		WANT(is_float(p->scale_type), "scale_type %lld", (long long)p->scale_type);
		return BITLANE_XPU_OK;
	}
	WANT(p->activations == BITLANE_XPU_EXACT, "weight_type %s with activations %lld", bx_type_name(p->weight_type), (long long)p->activations);
	WANT(p->scale_type == 0 && p->zero_kind == BITLANE_XPU_ZERO_NONE && p->group == p->k, "weight_type %s with scale_type %lld, zero_kind %lld, group %lld",
		bx_type_name(p->weight_type), (long long)p->scale_type, (long long)p->zero_kind, (long long)p->group);
	return BITLANE_XPU_OK;
}

static int32_t check_slice(const bitlane_xpu_plan *p, bx_err err) {
	if (p->slice == 0) {
		return BITLANE_XPU_OK;
	}
	WANT(p->activations == BITLANE_XPU_EXACT, "slice %lld with activations %lld", (long long)p->slice, (long long)p->activations);
	WANT(p->slice >= 1 && p->slice <= p->k, "slice %lld of k %lld", (long long)p->slice, (long long)p->k);
	WANT(p->scale_type == 0 || p->slice % p->group == 0 || p->group % p->slice == 0, "slice %lld is neither a divisor nor a multiple of group %lld", (long long)p->slice, (long long)p->group);
	WANT(!is_half_byte(p->weight_type) || p->slice % 2 == 0, "slice %lld is odd, and weights have 4 bits", (long long)p->slice);
	return BITLANE_XPU_OK;
}

int32_t bx_check_plan(const bitlane_xpu_plan *p, bx_err err) {
	WANT(p->bytes == (int64_t)sizeof *p, "%lld bytes, and the shim's has %zu", (long long)p->bytes, sizeof *p);
	WANT(p->activations >= BITLANE_XPU_EXACT && p->activations <= BITLANE_XPU_INT8_TOKEN_CT, "activations %lld", (long long)p->activations);
	WANT(is_float(p->x_type), "x_type %lld", (long long)p->x_type);
	WANT(p->activations == BITLANE_XPU_EXACT ? is_float(p->compute_type) : p->compute_type == 0, "compute_type %lld", (long long)p->compute_type);
	WANT(is_float(p->weight_type) || is_half_byte(p->weight_type) || p->weight_type == BITLANE_XPU_S8, "weight_type %lld", (long long)p->weight_type);
	WANT(p->weight_order == BITLANE_XPU_K_CONTIGUOUS || p->weight_order == BITLANE_XPU_N_CONTIGUOUS, "weight_order %lld", (long long)p->weight_order);
	WANT(p->k >= 1 && p->k <= LARGEST, "k %lld", (long long)p->k);
	WANT(p->n >= 1 && p->n <= LARGEST, "n %lld", (long long)p->n);
	WANT(p->max_rows >= 1 && p->max_rows <= LARGEST, "max_rows %lld", (long long)p->max_rows);
	int64_t least = p->weight_order == BITLANE_XPU_K_CONTIGUOUS ? p->k : p->n;
	WANT(p->weight_stride >= least && p->weight_stride <= LARGEST, "weight_stride %lld, below %lld", (long long)p->weight_stride, (long long)least);
	WANT(!is_half_byte(p->weight_type) || p->weight_stride % 2 == 0, "weight_stride %lld is odd, and weights have 4 bits", (long long)p->weight_stride);
	WANT(p->x_cols >= 1 && p->x_cols <= p->k, "x_cols %lld of k %lld", (long long)p->x_cols, (long long)p->k);
	WANT(p->y_cols >= 1 && p->y_cols <= p->n, "y_cols %lld of n %lld", (long long)p->y_cols, (long long)p->n);
	WANT(p->group >= 1 && p->k % p->group == 0, "group %lld does not divide k %lld", (long long)p->group, (long long)p->k);
	TRY(check_plain(p, err));
	WANT(p->bias_type == 0 || p->bias_type == BITLANE_XPU_F32 || (is_float(p->bias_type) && p->row_scales == BITLANE_XPU_ROW_SCALES_SOURCE),
		"bias_type %lld is added behind the product, which wants F32", (long long)p->bias_type);
	WANT(is_float(p->y_type), "y_type %lld", (long long)p->y_type);
	WANT(p->deterministic == 0 || p->deterministic == 1, "deterministic %lld", (long long)p->deterministic);
	WANT(p->refuse_reference == 0 || p->refuse_reference == 1, "refuse_reference %lld", (long long)p->refuse_reference);
	WANT(p->codes == 0 || (p->codes == 1 && p->activations != BITLANE_XPU_EXACT), "codes %lld with activations %lld", (long long)p->codes, (long long)p->activations);
	WANT(p->row_scales == 0 || (p->row_scales == BITLANE_XPU_ROW_SCALES_SOURCE && p->activations != BITLANE_XPU_EXACT), "row_scales %lld with activations %lld",
		(long long)p->row_scales, (long long)p->activations);
	TRY(check_slice(p, err));
	return check_zeros(p, err);
}
