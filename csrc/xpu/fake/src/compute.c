/* The arithmetic of the stand-in: element by element, in float32 as oneDNN's
 * reference implementations, sums of whole numbers exact. */
#include "fake.h"

#include <math.h>
#include <string.h>

static float half_to_float(uint16_t h) {
	int exponent = h >> 10 & 31, fraction = h & 1023;
	float value = exponent == 31 ? (fraction != 0 ? NAN : INFINITY) : exponent == 0 ? ldexpf((float)fraction, -24) : ldexpf((float)(fraction | 1024), exponent - 25);
	return (h & 0x8000) != 0 ? -value : value;
}

/* rint is half to even: the rounding mode is left alone. */
static uint16_t float_to_half(float value) {
	uint16_t sign = signbit(value) ? 0x8000 : 0;
	float a = fabsf(value);
	if (isnan(value)) {
		return sign | 0x7e00;
	}
	if (a >= 65520) {
		return sign | 0x7c00;
	}
	int exponent = 0;
	frexpf(a, &exponent);
	int ulp = a < ldexpf(1, -14) ? -24 : exponent - 11;
	int fraction = (int)rintf(ldexpf(a, -ulp));
	/* A fraction that rounds up to 2048 carries into the exponent. */
	return (uint16_t)(sign | (ulp == -24 ? fraction : ((exponent + 13) << 10) + fraction));
}

static float bits_to_float(uint32_t bits) {
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static uint16_t float_to_bfloat(float value) {
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	return isnan(value) ? 0x7fc0 : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static int64_t offset(fake_tensor t, int64_t i, int64_t j) {
	return (t.md->dims[0] == 1 ? 0 : i) * t.md->strides[0] + (t.md->dims[1] == 1 ? 0 : j) * t.md->strides[1];
}

double fake_get(fake_tensor t, int64_t i, int64_t j) {
	int64_t e = offset(t, i, j);
	float f;
	int32_t s;
	uint16_t h;
	int nibble;
	switch (t.md->type) {
	case F32: memcpy(&f, t.at + 4 * e, 4); return (double)f;
	case S32: memcpy(&s, t.at + 4 * e, 4); return s;
	case F16: memcpy(&h, t.at + 2 * e, 2); return (double)half_to_float(h);
	case BF16: memcpy(&h, t.at + 2 * e, 2); return (double)bits_to_float((uint32_t)h << 16);
	case S8: return (signed char)t.at[e];
	case U8: return (unsigned char)t.at[e];
	}
	nibble = (unsigned char)t.at[e / 2] >> (e % 2 * 4) & 15;
	return t.md->type == S4 && nibble > 7 ? nibble - 16 : nibble;
}

void fake_set(fake_tensor t, int64_t i, int64_t j, float value) {
	int64_t e = offset(t, i, j);
	uint16_t h;
	switch (t.md->type) {
	case F32: memcpy(t.at + 4 * e, &value, 4); return;
	case F16: h = float_to_half(value); memcpy(t.at + 2 * e, &h, 2); return;
	case BF16: h = float_to_bfloat(value); memcpy(t.at + 2 * e, &h, 2); return;
	case S8: t.at[e] = (char)(isnan(value) ? -128 : (int)fmaxf(-128, fminf(rintf(value), 127))); return;
	case U8: t.at[e] = (char)(unsigned char)(isnan(value) ? 0 : fmaxf(0, fminf(rintf(value), 255))); return;
	}
}

typedef struct {
	const fake_work *work;
	int count;
	const int *args;
	char *const *at;
} call;

static fake_tensor tensor(const call *c, int arg, const struct dn_md_ *md) {
	for (int i = 0; i < c->count; i++) {
		if (c->args[i] == arg) {
			return (fake_tensor){c->at[i], md};
		}
	}
	return (fake_tensor){NULL, md}; /* an argument that the caller forgot: a fault */
}

static float operate(int algorithm, float a, float b) {
	switch (algorithm) {
	case DN_BINARY_ADD: return a + b;
	case DN_BINARY_MUL: return a * b;
	case DN_BINARY_MAX: return a > b ? a : b; /* which may lose a NaN */
	case DN_BINARY_DIV: return a / b;
	case DN_BINARY_LT: return a < b;
	case DN_BINARY_EQ: return a == b;
	}
	return NAN;
}

/* Stores a result after the operations behind it. */
static void finish(const call *c, fake_tensor dst, int64_t i, int64_t j, float value) {
	const struct dn_postops_ *ops = &c->work->attr.ops;
	for (int o = 0; o < ops->count; o++) {
		if (ops->ops[o].algorithm == 0) {
			value += (float)fake_get(dst, i, j);
		} else {
			value = operate(ops->ops[o].algorithm, value, (float)fake_get(tensor(c, DN_POST_OP * (o + 1) | DN_SRC_1, &ops->ops[o].md), i, j));
		}
	}
	fake_set(dst, i, j, value);
}

/* Tensors of quantization: rows of n without gaps. Zeros of s8 are enough for the tests' plans. */
static void matmul(const call *c, fake_tensor src, fake_tensor dst) {
	const fake_work *w = c->work;
	int64_t k = w->src.dims[1], n = w->dst.dims[1], group = w->attr.scale_group != 0 ? w->attr.scale_group : k;
	struct dn_md_ scale_md = {2, {k / group, n}, {n, 1}, (int)w->attr.scale_type}, row_md = {2, {w->src.dims[0], 1}, {1, 1}, F32};
	struct dn_md_ zero_md = {2, {k / group, n}, {n, 1}, S8}, one_md = {1, {1, 1}, {1, 1}, S8};
	fake_tensor weights = tensor(c, DN_WEIGHTS, &w->other), scales = tensor(c, DN_SCALES | DN_WEIGHTS, &scale_md);
	fake_tensor zeros = tensor(c, DN_ZERO_POINTS | DN_WEIGHTS, w->attr.zero_group < 0 ? &one_md : &zero_md);
	for (int64_t i = 0; i < w->dst.dims[0]; i++) {
		for (int64_t j = 0; j < n; j++) {
			float sum = 0;
			for (int64_t g = 0; g < k / group; g++) {
				double part = 0;
				double zero = w->attr.zero_group == 0 ? 0 : fake_get(zeros, g, j);
				for (int64_t e = g * group; e < (g + 1) * group; e++) {
					part += fake_get(src, i, e) * (fake_get(weights, e, j) - zero);
				}
				sum += (float)part * (w->attr.scale_group != 0 ? (float)fake_get(scales, g, j) : 1);
			}
			if (w->attr.row_scales) {
				sum *= (float)fake_get(tensor(c, DN_SCALES | DN_SRC, &row_md), i, 0);
			}
			if (w->has_bias) {
				sum += (float)fake_get(tensor(c, DN_BIAS, &w->bias), i, j);
			}
			finish(c, dst, i, j, sum);
		}
	}
}

static void reduction(const call *c, fake_tensor src, fake_tensor dst) {
	for (int64_t i = 0; i < src.md->dims[0]; i++) {
		float value = c->work->algorithm == DN_REDUCTION_SUM ? 0 : -INFINITY;
		for (int64_t j = 0; j < src.md->dims[1]; j++) {
			float next = (float)fake_get(src, i, j);
			value = c->work->algorithm == DN_REDUCTION_SUM ? value + next : operate(DN_BINARY_MAX, value, next);
		}
		finish(c, dst, i, 0, value);
	}
}

static float element(const call *c, fake_tensor src, fake_tensor other, int64_t i, int64_t j) {
	float value = (float)fake_get(src, i, j);
	switch (c->work->kind) {
	case BINARY: return operate(c->work->algorithm, value, (float)fake_get(other, i, j));
	case ELTWISE: return c->work->algorithm == DN_ELTWISE_ABS ? fabsf(value) : c->work->alpha * value + c->work->beta;
	default: return value;
	}
}

void fake_run(const fake_work *work, int count, const int *args, char *const *at) {
	call c = {work, count, args, at};
	fake_tensor src = tensor(&c, DN_SRC, &work->src), dst = tensor(&c, DN_DST, &work->dst);
	fake_tensor other = {NULL, &work->other};
	if (work->scratchpad.ndims != 0) {
		memset(tensor(&c, DN_SCRATCHPAD, &work->scratchpad).at, 0xee, (size_t)fake_bytes(&work->scratchpad));
	}
	switch (work->kind) {
	case MATMUL: matmul(&c, src, dst); return;
	case REDUCTION: reduction(&c, src, dst); return;
	case BINARY: other = tensor(&c, DN_SRC_1, &work->other); break;
	default: break;
	}
	for (int64_t i = 0; i < work->dst.dims[0]; i++) {
		for (int64_t j = 0; j < work->dst.dims[1]; j++) {
			finish(&c, dst, i, j, element(&c, src, other, i, j));
		}
	}
}
