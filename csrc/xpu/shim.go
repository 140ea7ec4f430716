//go:build xpu && cgo && linux

package xpu

/*
#cgo CFLAGS: -std=c11
#cgo LDFLAGS: -ldl
#include "bitlane_xpu.h"
*/
import "C"

import "unsafe"

// Addresses are the functions of bitlane_xpu.h, linked into the binary.
func Addresses() map[string]unsafe.Pointer {
	return map[string]unsafe.Pointer{
		"bitlane_xpu_abi":             unsafe.Pointer(C.bitlane_xpu_abi),
		"bitlane_xpu_library_open":    unsafe.Pointer(C.bitlane_xpu_library_open),
		"bitlane_xpu_library_close":   unsafe.Pointer(C.bitlane_xpu_library_close),
		"bitlane_xpu_library_info":    unsafe.Pointer(C.bitlane_xpu_library_info),
		"bitlane_xpu_library_alive":   unsafe.Pointer(C.bitlane_xpu_library_alive),
		"bitlane_xpu_needed_symbol":   unsafe.Pointer(C.bitlane_xpu_needed_symbol),
		"bitlane_xpu_engine_create":   unsafe.Pointer(C.bitlane_xpu_engine_create),
		"bitlane_xpu_engine_wrap":     unsafe.Pointer(C.bitlane_xpu_engine_wrap),
		"bitlane_xpu_engine_destroy":  unsafe.Pointer(C.bitlane_xpu_engine_destroy),
		"bitlane_xpu_engine_info":     unsafe.Pointer(C.bitlane_xpu_engine_info),
		"bitlane_xpu_stream_create":   unsafe.Pointer(C.bitlane_xpu_stream_create),
		"bitlane_xpu_stream_wrap":     unsafe.Pointer(C.bitlane_xpu_stream_wrap),
		"bitlane_xpu_stream_queue":    unsafe.Pointer(C.bitlane_xpu_stream_queue),
		"bitlane_xpu_stream_wait":     unsafe.Pointer(C.bitlane_xpu_stream_wait),
		"bitlane_xpu_stream_destroy":  unsafe.Pointer(C.bitlane_xpu_stream_destroy),
		"bitlane_xpu_memory_alloc":    unsafe.Pointer(C.bitlane_xpu_memory_alloc),
		"bitlane_xpu_memory_free":     unsafe.Pointer(C.bitlane_xpu_memory_free),
		"bitlane_xpu_pointer_check":   unsafe.Pointer(C.bitlane_xpu_pointer_check),
		"bitlane_xpu_upload":          unsafe.Pointer(C.bitlane_xpu_upload),
		"bitlane_xpu_download":        unsafe.Pointer(C.bitlane_xpu_download),
		"bitlane_xpu_copy":            unsafe.Pointer(C.bitlane_xpu_copy),
		"bitlane_xpu_layer_prepare":   unsafe.Pointer(C.bitlane_xpu_layer_prepare),
		"bitlane_xpu_layer_destroy":   unsafe.Pointer(C.bitlane_xpu_layer_destroy),
		"bitlane_xpu_layer_workspace": unsafe.Pointer(C.bitlane_xpu_layer_workspace),
		"bitlane_xpu_layer_bucket":    unsafe.Pointer(C.bitlane_xpu_layer_bucket),
		"bitlane_xpu_bind":            unsafe.Pointer(C.bitlane_xpu_bind),
		"bitlane_xpu_unbind":          unsafe.Pointer(C.bitlane_xpu_unbind),
		"bitlane_xpu_apply":           unsafe.Pointer(C.bitlane_xpu_apply),
		"bitlane_xpu_quantize":        unsafe.Pointer(C.bitlane_xpu_quantize),
		"bitlane_xpu_apply_codes":     unsafe.Pointer(C.bitlane_xpu_apply_codes),
	}
}
