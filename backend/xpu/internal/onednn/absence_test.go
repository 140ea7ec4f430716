package onednn

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
)

// TestAbsencesAreToldApart: what is missing, and how to get it.
func TestAbsencesAreToldApart(t *testing.T) {
	of := func(c driver.Class, text string) error {
		return &driver.Error{Call: "library_open", Class: c, Text: text}
	}
	for _, c := range []struct {
		path string
		err  error
		want []string
	}{
		{"", of(driver.NoLibrary, "libdnnl.so.3: cannot open shared object file: No such file or directory"),
			[]string{"no driver: libdnnl.so.3 cannot be loaded: libdnnl.so.3: cannot open", "pip install onednn", "LD_LIBRARY_PATH"}},
		{"/opt/libdnnl.so.3", of(driver.NoLibrary, "/opt/libdnnl.so.3: libsycl.so.9: cannot open shared object file"),
			[]string{`"/opt/libdnnl.so.3" (BITLANE_ONEDNN) is there, but not libsycl.so.9, which it needs: `, "set LD_LIBRARY_PATH"}},
		{"/opt/libdnnl.so.3", of(driver.NoLibrary, "/opt/libdnnl.so.3: cannot open shared object file"),
			[]string{`"/opt/libdnnl.so.3" (BITLANE_ONEDNN) cannot be loaded: /opt/libdnnl.so.3: cannot open`}},
		{"foo.so", of(driver.NoLibrary, "foo.so: cannot open shared object file"), []string{`"foo.so" (BITLANE_ONEDNN) cannot be loaded: foo.so: cannot open`}},
		{"", of(driver.TooOld, "it is 3.1.1, and 3.7 is the least"), []string{"libdnnl.so.3 is too old: it is 3.1.1, and 3.7 is the least; get oneDNN (3.7 at least"}},
		{"", of(driver.MissingSymbol, "it has no dnnl_primitive_attr_set_scales"), []string{"not a oneDNN that can be used: it has no dnnl_primitive_attr_set_scales"}},
		{"", errors.New("another"), []string{"no driver: another"}},
	} {
		err := absence("xpu", c.path, c.err)
		require.ErrorIs(t, err, backend.ErrNoDevice)
		for _, want := range c.want {
			require.ErrorContains(t, err, want)
		}
	}
	shim := noShim("xpu", errors.New("libbitlane_xpu.so is not in /a, /b"))
	require.ErrorIs(t, shim, backend.ErrNoDevice)
	require.EqualError(t, shim, "no driver: libbitlane_xpu.so is not in /a, /b; a program that is built with CGO_ENABLED=1 has it inside; oneDNN is looked for after that")
}
