package bitlane

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func linear(t testing.TB, bits int, bias bool) *quant.Linear {
	t.Helper()
	g, err := quant.UniformGroups(64, 32)
	require.NoError(t, err)
	l := &quant.Linear{Name: "down_proj"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: 4, K: 64, Bits: bits, Scales: dtype.F32, Groups: g}))
	if bias {
		l.ResizeBias(4)
	}
	return l
}

func spec(t testing.TB, bits int, bias bool) backend.Spec {
	t.Helper()
	s, err := backend.NewSpec(linear(t, bits, bias), backend.Request{X: dtype.F32})
	require.NoError(t, err)
	return s
}

// outcome is a verdict in short: "+" chosen, "." could run it, "-" refused.
// Of the processor's kernels it has those in plain Go, which every machine
// runs; TestMain hides the others.
func outcome(vs []Verdict) (s string) {
	for _, v := range vs {
		if strings.HasPrefix(v.Kernel, "cpu_") && !strings.HasSuffix(v.Kernel, "_go") {
			continue
		}
		switch {
		case v.Chosen:
			s += "+"
		case v.Refusal == nil:
			s += "."
		default:
			s += "-"
		}
	}
	return s
}

func TestChoose(t *testing.T) {
	withGPU(t, oldGPU, newGPU)
	for _, c := range []struct {
		name, device string
		bits         int
		o            ChooseOptions
		env          string
		want         string
		outcome      string
	}{
		{"best", "fakegpu:1", 4, ChooseOptions{}, "", "fakegpu_w4_a16_mma", "+.-"},
		{"capability", "fakegpu:0", 4, ChooseOptions{}, "", "fakegpu_w4_a16_simple", "-+-"},
		{"bits", "fakegpu:1", 8, ChooseOptions{}, "", "fakegpu_w8_a16_simple", "--+"},
		{"forced", "fakegpu:1", 4, ChooseOptions{Kernel: "fakegpu_w4_a16_simple"}, "", "fakegpu_w4_a16_simple", "-+-"},
		{"disabled", "fakegpu:1", 4, ChooseOptions{Disable: []string{" fakegpu_w4_a16_mma "}}, "", "fakegpu_w4_a16_simple", "-+-"},
		{"variable", "fakegpu:1", 4, ChooseOptions{}, " fakegpu_w4_a16_mma, ,cpu_wxg_a16_go ", "fakegpu_w4_a16_simple", "-+-"},
		{"none fits", "fakegpu:1", 3, ChooseOptions{}, "", "", "---"},
		{"forced, does not fit", "fakegpu:0", 4, ChooseOptions{Kernel: "fakegpu_w4_a16_mma"}, "", "", "---"},
		{"forced and disabled", "fakegpu:1", 8, ChooseOptions{Kernel: "fakegpu_w8_a16_simple"}, "fakegpu_w8_a16_simple", "", "---"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(DisableVariable, c.env)
			k, report, err := Choose(open(t, c.device), spec(t, c.bits, false), c.o)
			require.Equal(t, c.outcome, outcome(report.Verdicts))
			require.Equal(t, c.device, report.Device.Backend+":"+report.Device.ID)
			if c.want != "" {
				require.NoError(t, err)
				require.Equal(t, c.want, k.Name())
				return
			}
			require.Nil(t, k)
			var none *NoKernelError
			require.ErrorAs(t, err, &none)
			require.Equal(t, *report, none.Report)
		})
	}
}

func TestNoKernelErrorHoldsEveryReason(t *testing.T) {
	withGPU(t, oldGPU)
	t.Setenv(DisableVariable, "fakegpu_w8_a16_simple")
	_, _, err := Choose(open(t, "fakegpu"), spec(t, 3, true), ChooseOptions{})
	require.ErrorIs(t, err, backend.ErrUnsupported)
	var r *backend.Refusal
	require.ErrorAs(t, err, &r)
	require.EqualError(t, err, `no kernel of fakegpu:0 (old) runs [4,64] w3 g32 sym, exact with x float32 and y float32
  fakegpu_w4_a16_mma refused: bits is 3, wants [4]: quantize to other bits; bias is there, wants none; capability is 80, wants at least 90
  fakegpu_w4_a16_simple refused: bits is 3, wants [4]: quantize to other bits; bias is there, wants none
  fakegpu_w8_a16_simple refused: bits is 3, wants [8]: quantize to other bits; bias is there, wants none; kernel is disabled by BITLANE_DISABLE, wants an enabled one: take it out of BITLANE_DISABLE`)
}

func TestNoKernelErrorOfTheOneAskedFor(t *testing.T) {
	withGPU(t, oldGPU)
	_, report, err := Choose(open(t, "fakegpu"), spec(t, 3, false), ChooseOptions{Kernel: "fakegpu_w8_a16_simple"})
	require.EqualError(t, err, `no kernel of fakegpu:0 (old) runs [4,64] w3 g32 sym, exact with x float32 and y float32
  fakegpu_w8_a16_simple refused: bits is 3, wants [8]: quantize to other bits
  2 others were not asked for`)
	require.Contains(t, report.String(), "fakegpu_w4_a16_simple refused: bits is 3, wants [4]: quantize to other bits; kernel is not the one asked for, wants fakegpu_w8_a16_simple")
}

func TestUnknownNames(t *testing.T) {
	withGPU(t, newGPU)
	dev, s := open(t, "fakegpu"), spec(t, 4, false)
	for _, c := range []struct {
		o    ChooseOptions
		env  string
		want []string
	}{
		{ChooseOptions{Kernel: "cpu_wxg_a16_go"}, "", []string{`"cpu_wxg_a16_go", a kernel of cpu, want one of fakegpu's 3 kernels: fakegpu_w4_a16_mma, fakegpu_w4_a16_simple, fakegpu_w8_a16_simple`}},
		{ChooseOptions{Kernel: "fakegpu_w4_a16_mm"}, "", []string{`"fakegpu_w4_a16_mm", want fakegpu_w4_a16_mma (bitlane devices --json lists all 3)`}},
		{ChooseOptions{Disable: []string{"fakegpu_w5_a16_mma"}}, "", []string{"disabled by the caller", `"fakegpu_w5_a16_mma", want fakegpu_w4_a16_mma`}},
		{ChooseOptions{Disable: []string{"fakegpu_w8"}}, "", []string{`"fakegpu_w8", want fakegpu_w8_a16_simple`}},
		{ChooseOptions{}, "nonsense", []string{"BITLANE_DISABLE", `"nonsense", want one of `, " kernels, which bitlane devices --json lists, such as cpu_w"}},
		{ChooseOptions{Disable: []string{"cpu_wxg_a16_magic"}}, "", []string{" kernels, which bitlane devices --json lists; the nearest are cpu_wxg_a16_go, "}},
	} {
		t.Setenv(DisableVariable, c.env)
		k, report, err := Choose(dev, s, c.o)
		require.Nil(t, k)
		require.Nil(t, report)
		require.ErrorIs(t, err, backend.ErrUnsupported)
		for _, w := range c.want {
			require.ErrorContains(t, err, w)
		}
	}
	t.Setenv(DisableVariable, "")
	_, _, err := Choose(open(t, "fakegpu-emulated"), s, ChooseOptions{Kernel: "any"})
	require.ErrorContains(t, err, "has no kernels")
	_, _, err = Choose(hostmem.New(backend.DeviceInfo{Backend: "unregistered"}, backend.OpenOptions{}), s, ChooseOptions{})
	require.ErrorIs(t, err, backend.ErrNoDevice)
	require.ErrorContains(t, err, "unregistered")
}

// Two backends may have the same kernels, as cuda and its emulator do; a list
// of names has each of them once.
func TestANameIsListedOnce(t *testing.T) {
	model.kernels = gpu.kernels
	t.Cleanup(func() { model.kernels = nil })
	err := ChooseOptions{Kernel: "fakegpu_w4_a16_magic"}.Check()
	require.ErrorContains(t, err, "; the nearest are fakegpu_w4_a16_mma, fakegpu_w4_a16_simple, fakegpu_w8_a16_simple, cpu_")
	err = ChooseOptions{Kernel: "cuda_w4g_a16_mma"}.CheckFor("cpu") // those of units differ between architectures
	require.ErrorContains(t, err, "a kernel of cuda, want one of cpu's ")
	require.ErrorContains(t, err, " kernels, which bitlane devices --json lists; the nearest are cpu_w")
	require.Less(t, strings.Count(err.Error(), "cpu_"), 5, "some of them: %v", err)
}

func TestCheckFor(t *testing.T) {
	o := ChooseOptions{Kernel: "fakegpu_w8_a16_simple"}
	require.NoError(t, o.CheckFor("fakegpu"))
	require.NoError(t, ChooseOptions{}.CheckFor("cpu"))
	require.ErrorIs(t, o.CheckFor("cpu"), backend.ErrUnsupported)
	require.ErrorIs(t, o.CheckFor("tpu"), backend.ErrNoDevice)
	require.ErrorContains(t, ChooseOptions{Disable: []string{"cpu_w9"}}.CheckFor("cpu"), `"cpu_w9"`)
}

// TestRefusalsAreNotShared: adding the caller's reasons must not change what
// the kernel returned.
func TestRefusalsAreNotShared(t *testing.T) {
	shared := fakeKernel{name: "fakegpu_w4_a16_simple"}.Supports(oldGPU, spec(t, 3, false))
	k := fixed{fakeKernel{name: "fakegpu_w4_a16_simple"}, shared}
	w := wishes{kernel: "another"}
	require.Len(t, w.refuse(k, oldGPU, spec(t, 3, false)).Reasons, 2)
	require.Len(t, shared.Reasons, 1)
}

// fixed always returns the same refusal.
type fixed struct {
	fakeKernel
	refusal *backend.Refusal
}

func (f fixed) Supports(backend.DeviceInfo, backend.Spec) *backend.Refusal { return f.refusal }

func TestNewLinear(t *testing.T) {
	ctx := context.Background()
	dev := open(t, "cpu")
	layer, report, err := NewLinear(ctx, dev, linear(t, 4, true), backend.Request{X: dtype.BF16, MaxRows: 2}, ChooseOptions{})
	require.NoError(t, err)
	require.Equal(t, "+---", outcome(report.Verdicts))
	require.Equal(t, 2, layer.Spec().MaxRows)
	require.NoError(t, layer.Close())

	_, report, err = NewLinear(ctx, dev, linear(t, 4, true), backend.Request{}, ChooseOptions{})
	require.ErrorIs(t, err, backend.ErrDType)
	require.Nil(t, report)

	_, report, err = NewLinear(ctx, dev, linear(t, 4, true), backend.Request{X: dtype.F32}, ChooseOptions{Kernel: "cpu_wx_a16_go"})
	require.ErrorContains(t, err, "down_proj")
	require.Equal(t, "----", outcome(report.Verdicts))
	var none *NoKernelError
	require.ErrorAs(t, err, &none)

	withGPU(t, oldGPU)
	_, report, err = NewLinear(ctx, open(t, "fakegpu"), linear(t, 4, false), backend.Request{X: dtype.F32}, ChooseOptions{})
	require.ErrorIs(t, err, errBroken)
	require.ErrorContains(t, err, "down_proj: fakegpu_w4_a16_simple")
	require.Equal(t, "-+-", outcome(report.Verdicts))
}

func TestNewLinearOfNothing(t *testing.T) {
	_, _, err := NewLinear(t.Context(), nil, &quant.Linear{}, backend.Request{}, ChooseOptions{})
	require.Error(t, err)
	_, _, err = NewLinear(t.Context(), nil, nil, backend.Request{}, ChooseOptions{})
	require.ErrorIs(t, err, backend.ErrShape)
	_, _, err = Choose(nil, backend.Spec{}, ChooseOptions{})
	require.ErrorIs(t, err, backend.ErrNoDevice)
}

func TestExplain(t *testing.T) {
	ctx, s := context.Background(), spec(t, 4, false)
	reports := Explain(ctx, s, ChooseOptions{})
	got := map[string]string{}
	for _, r := range reports {
		got[r.Device.Backend] = outcome(r.Verdicts)
		if r.Device.Backend == "fakegpu" {
			require.Equal(t, backend.ErrNoDevice.Error(), r.Reason)
			require.Empty(t, r.Device.ID)
		}
	}
	require.Equal(t, map[string]string{"cpu": "+---", "cuda": "------------------", "rocm": "", "npu": "", "xpu": "--.--", "fakegpu": "..-", "fakegpu-emulated": ""}, got)

	withGPU(t, oldGPU, newGPU)
	var devices []string
	for _, r := range Explain(ctx, s, ChooseOptions{}) {
		if r.Device.Backend == "fakegpu" {
			require.Empty(t, r.Reason)
			devices = append(devices, r.Device.ID+outcome(r.Verdicts))
		}
	}
	require.Equal(t, []string{"0-+-", "1+.-"}, devices)
}

func TestExplainWithUnknownNames(t *testing.T) {
	s := spec(t, 4, false)
	for _, r := range Explain(context.Background(), s, ChooseOptions{Kernel: "nonsense"}) {
		require.Contains(t, r.Reason, `"nonsense"`)
	}
	for _, r := range Explain(context.Background(), s, ChooseOptions{Disable: []string{"nonsense"}}) {
		require.Contains(t, r.Reason, `"nonsense"`)
	}
	for _, r := range Explain(context.Background(), s, ChooseOptions{Kernel: "cpu_wxg_a16_go"}) {
		require.NotContains(t, r.Reason, "cpu_wxg_a16_go")
	}
}

func TestVerdictText(t *testing.T) {
	withGPU(t, newGPU)
	_, report, err := Choose(open(t, "fakegpu"), spec(t, 4, false), ChooseOptions{})
	require.NoError(t, err)
	require.Equal(t, "fakegpu_w4_a16_mma chosen: weights 10 bytes, workspace 20 bytes for 1 row", report.Verdicts[0].String())
	require.Equal(t, "fakegpu_w4_a16_simple can run it: weights 10 bytes, workspace 20 bytes for 1 row; fakegpu_w4_a16_mma is better", report.Verdicts[1].String())
	require.Equal(t, "fakegpu_w8_a16_simple refused: bits is 4, wants [8]: quantize to other bits", report.Verdicts[2].String())
	require.False(t, errors.Is(err, backend.ErrUnsupported))
}

func TestCheckNamesBeforeAnythingIsLoaded(t *testing.T) {
	require.NoError(t, ChooseOptions{Kernel: "cpu_wxg_a16_go", Disable: []string{" cpu_wx_a16_go "}}.Check())
	require.ErrorContains(t, ChooseOptions{Kernel: "cpu_w9"}.Check(), `"cpu_w9"`)
	require.ErrorContains(t, ChooseOptions{Disable: []string{"cpu_w9"}}.Check(), `"cpu_w9"`)
	t.Setenv(DisableVariable, "cpu_w9")
	require.ErrorContains(t, ChooseOptions{}.Check(), DisableVariable)
}

func TestReportHasALineForEachKernel(t *testing.T) {
	r := &Report{
		Device: backend.DeviceInfo{Backend: "cpu", ID: "0", Name: "a processor"},
		Verdicts: []Verdict{
			{Kernel: "a", Chosen: true, Note: "weights 1 bytes"},
			{Kernel: "b", Refusal: (*backend.Refusal)(nil).Add("b", "bits", "3", "4", "")},
		},
	}
	require.Equal(t, "cpu:0 (a processor)\n  a chosen: weights 1 bytes\n  b refused: bits is 3, wants 4", r.String())
}
