//go:build xpu && cgo && linux

/* Making one primitive of a bucket, and what is common to all of them. */
#include "shim.h"

#include <stdio.h>

dn_md bx_md(const bitlane_xpu_layer *layer, const bx_bucket *bucket, int slot) {
	return slot < BX_SLOTS ? bucket->md[slot] : layer->md[slot - BX_SLOTS];
}

void bx_arg(bx_run *run, int arg, int slot) {
	run->args[run->count] = arg;
	run->slots[run->count] = slot;
	run->count++;
}

int32_t bx_attr(const bitlane_xpu_layer *layer, dn_attr *out, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	*out = NULL;
	int32_t class_ = bx_status(err, dn->primitive_attr_create(out), "dnnl_primitive_attr_create");
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	class_ = bx_status(err, dn->primitive_attr_set_scratchpad_mode(*out, DN_SCRATCHPAD_USER), "dnnl_primitive_attr_set_scratchpad_mode");
	if (class_ == BITLANE_XPU_OK && layer->plan.deterministic) {
		class_ = bx_status(err, dn->primitive_attr_set_deterministic(*out, 1), "dnnl_primitive_attr_set_deterministic");
	}
	if (class_ != BITLANE_XPU_OK) {
		dn->primitive_attr_destroy(*out);
		*out = NULL;
	}
	return class_;
}

/* A copy of the descriptor of the scratchpad, which dies with pd. */
static int32_t scratchpad(const dn_functions *dn, dn_pd pd, bx_run *run, bx_err err) {
	dn_md md = dn->primitive_desc_query_md(pd, DN_QUERY_SCRATCHPAD, 0);
	size_t bytes = md != NULL ? dn->memory_desc_get_size(md) : 0;
	if (bytes == 0) {
		return BITLANE_XPU_OK;
	}
	if (bytes > INT64_MAX / 2) {
		return bx_fail(err, BITLANE_XPU_FAILED, "a scratchpad of %zu bytes", bytes);
	}
	return bx_bytes(dn, (int64_t)bytes, &run->scratchpad, err);
}

int32_t bx_primitive(const bitlane_xpu_layer *layer, bx_run *run, int status, dn_pd pd, const char *what, char *name, size_t name_bytes, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	int32_t class_ = bx_status(err, status, "%s", what);
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	if (name != NULL) {
		const char *implementation = NULL;
		class_ = bx_status(err, dn->primitive_desc_query(pd, DN_QUERY_IMPLEMENTATION, 0, &implementation), "the name of an implementation");
		snprintf(name, name_bytes, "%s", class_ == BITLANE_XPU_OK && implementation != NULL ? implementation : "");
	}
	if (class_ == BITLANE_XPU_OK) {
		class_ = scratchpad(dn, pd, run, err);
	}
	if (class_ == BITLANE_XPU_OK) {
		class_ = bx_status(err, dn->primitive_create(&run->primitive, pd), "%s: its primitive", what);
	}
	if (class_ != BITLANE_XPU_OK) {
		run->primitive = NULL;
	}
	dn->primitive_desc_destroy(pd);
	return class_;
}
