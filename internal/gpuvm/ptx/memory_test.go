package ptx

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// launchBody runs a kernel body on one block and gives its error and output.
func launchBody(t *testing.T, cfg Config, body string, in []byte, outBytes int, threads uint32) ([]uint32, error) {
	t.Helper()
	b := newBench(t, cfg, in, outBytes)
	err := b.launch(mustParse(t, kernel(body)).Entry("k"), 1, threads, 0)
	return b.words(t), err
}

// fault runs a body that must fault.
func faultOf(t *testing.T, k Kind, body string, threads uint32) *Fault {
	t.Helper()
	_, err := launchBody(t, Config{}, body, make([]byte, 64), 64, threads)
	return wantFault(t, err, k)
}

func TestLoadsAndStores(t *testing.T) {
	in := make([]byte, 64)
	for i := range in {
		in[i] = byte(0x80 + i)
	}
	out, err := launchBody(t, Config{}, `
	ld.global.u8 %r1, [%rd1+1];         st.global.u32 [%rd0], %r1;
	ld.global.s8 %r2, [%rd1+1];         st.global.u32 [%rd0+4], %r2;
	ld.global.u16 %h1, [%rd1+2];        cvt.u32.u16 %r3, %h1; st.global.u32 [%rd0+8], %r3;
	ld.global.s16 %r4, [%rd1+2];        st.global.u32 [%rd0+12], %r4;
	ld.global.v4.u32 {%r5, %r6, %r7, _}, [%rd1+16];
	st.global.v2.u32 [%rd0+16], {%r7, %r5};
	ld.global.nc.L1::no_allocate.L2::128B.v2.u64 {%rd5, %rd6}, [%rd1+32];
	st.global.u64 [%rd0+24], %rd6;
	ld.global.s32 %rd7, [%rd1];         st.global.u64 [%rd0+32], %rd7;
	st.global.u8 [%rd0+40], %r5; st.global.u8 [%rd0+41], %r1; st.global.u16 [%rd0+42], %h1;
	ld.volatile.global.u32 %r9, [%rd1+60]; st.volatile.global.u32 [%rd0+44], %r9;
	ld.relaxed.gpu.global.u32 %r10, [%rd1+60]; st.relaxed.sys.global.u32 [%rd0+48], %r10;
	ld.acquire.cta.global.u32 %r10, [%rd1+60]; st.release.gpu.global.u32 [%rd0+52], %r10;
	createpolicy.fractional.L2::evict_first.b64 %rd9, 1.0;
	ld.global.nc.L1::evict_last.L2::cache_hint.u32 %r11, [%rd1], %rd9;
	st.global.L2::cache_hint.u32 [%rd0+56], %r11, %rd9;
	prefetch.global.L2 [%rd1]; prefetch.global.L1 [%rd1+1000000];
	cvta.global.u64 %rd10, %rd1; ld.u32 %r12, [%rd10]; st.global.cg.u32 [%rd0+60], %r12;
`, in, 64, 1)
	require.NoError(t, err)
	require.Equal(t, []uint32{
		0x81, 0xffffff81, 0x8382, 0xffff8382, 0x9b9a9998, 0x93929190, 0xabaaa9a8, 0xafaeadac,
		0x83828180, 0xffffffff, 0x83828190, 0xbfbebdbc, 0xbfbebdbc, 0xbfbebdbc, 0x83828180, 0x83828180,
	}, out)
}

func TestSpacesAndVariables(t *testing.T) {
	src := `.version 7.1
.target sm_80
.address_size 64
.visible .const .align 4 .b8 table[8] = {1, 0, 0, 0, 2};
.global .align 8 .u64 pointer = table+4;
.global .f32 ones[4] = {0f3F800000, 1.0, 1.0};
.extern .shared .align 16 .b8 dyn[];
.shared .align 4 .b32 unused[100];
.shared .align 8 .b8 stat[24];
.visible .entry k(.param .u64 out, .param .align 8 .b8 s[24], .param .u16 h)
{
	.local .align 8 .b8 depot[16];
	.reg .b32 %r<20>; .reg .b64 %rd<20>; .reg .b16 %h<4>;
	ld.param.u64 %rd0, [out];
	mov.b64 %rd1, s;
	ld.param.u32 %r1, [%rd1+20];
	ld.param.v2.u32 {%r2, %r3}, [s+8];
	st.global.v4.u32 [%rd0], {%r1, %r2, %r3, %r3};
	mov.u64 %rd2, table;
	ld.const.u32 %r4, [%rd2+4];
	ld.global.u64 %rd3, [pointer];
	ld.const.u8 %r5, [table];
	ld.u8 %r6, [%rd3];
	ld.global.u32 %r7, [ones+12];
	st.global.v4.u32 [%rd0+16], {%r4, %r5, %r6, %r7};
	mov.u64 %rd4, depot;
	cvta.local.u64 %rd5, %rd4;
	st.u32 [%rd5+4], 77;
	ld.local.u32 %r8, [depot+4];
	mov.u32 %r9, stat;
	mov.u64 %rd6, dyn;
	cvta.shared.u64 %rd7, %rd6;
	st.u32 [%rd7+8], 88;
	ld.shared.u32 %r10, [dyn+8];
	mov.u32 %r12, dyn;
	sub.s32 %r11, %r12, %r9;
	st.shared.u64 [%r9+16], %rd0;
	mov.u32 %r13, %dynamic_smem_size;
	st.global.v4.u32 [%rd0+32], {%r8, %r10, %r11, %r13};
	ld.param.u16 %h1, [h];
	cvt.u32.u16 %r14, %h1;
	st.global.u32 [%rd0+48], %r14;
	ret;
}
`
	m := mustParse(t, src)
	e := m.Entry("k")
	require.Equal(t, 24, e.Shared, "only what the entry uses")
	require.Equal(t, 16, e.Local)
	require.True(t, e.DynShared)
	require.Equal(t, []Param{{"out", 8, 8, 0}, {"s", 24, 8, 8}, {"h", 2, 2, 32}}, e.Params)
	mach := NewMachine(Config{})
	out, err := mach.Alloc(64)
	require.NoError(t, err)
	s := make([]byte, 24)
	for i := range s {
		s[i] = byte(i)
	}
	for range 2 {
		require.NoError(t, mach.Launch(t.Context(), e, Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}, Shared: 16, Bytes: [][]byte{le8(out), s, {0x34, 0x12}}}))
		buf := make([]byte, 52)
		require.NoError(t, mach.Read(buf, out))
		var got []uint32
		for i := 0; i < len(buf); i += 4 {
			got = append(got, uint32(getLE(buf[i:i+4])))
		}
		require.Equal(t, []uint32{0x17161514, 0x0b0a0908, 0x0f0e0d0c, 0x0f0e0d0c, 2, 1, 2, 0, 77, 88, 32, 16, 0x1234}, got)
		mach.Unload(m)
	}
}

func TestMemoryFaults(t *testing.T) {
	cases := []struct {
		kind Kind
		body string
	}{
		{Bounds, "ld.global.u32 %r1, [%rd1+64]; st.global.u32 [%rd0], %r1;"},
		{Bounds, "ld.global.u32 %r1, [%rd1+-4]; st.global.u32 [%rd0], %r1;"},
		{Bounds, "ld.global.v2.u64 {%rd4, %rd5}, [%rd1+64]; st.global.u64 [%rd0], %rd4;"},
		{Bounds, "mov.u64 %rd4, 0; ld.global.u32 %r1, [%rd4];"},
		{Bounds, "mov.u64 %rd4, 0; ld.u32 %r1, [%rd4];"},
		{Bounds, "ld.shared.u32 %r1, [1024];"}, // there is none
		{Bounds, ".shared .b32 s[4]; ld.shared.u32 %r1, [s+16];"},
		{Bounds, ".shared .b32 s[4]; mov.u32 %r2, 0; ld.shared.u32 %r1, [%r2];"}, // a forgotten base
		{Bounds, ".local .b32 s[4]; st.local.u32 [s+-4], 1;"},
		{Bounds, "ld.param.u32 %r1, [n+4];"},
		{Misaligned, "ld.global.u32 %r1, [%rd1+2];"},
		{Misaligned, "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1+8];"},
		{Misaligned, "st.global.v2.u16 [%rd0+2], {%h1, %h2};"},
		{Misaligned, "ld.param.u64 %rd4, [n+-4];"},
		{Misaligned, ".shared .align 16 .b8 s[64]; mov.u32 %r1, s; cp.async.ca.shared.global [%r1+4], [%rd1], 8;"},
		{Misaligned, ".shared .align 16 .b8 s[64]; mov.u32 %r1, s; cp.async.ca.shared.global [%r1], [%rd1+4], 16, 4;"},
		{Operand, "mov.u64 %rd4, 5; ld.global.L2::cache_hint.u32 %r1, [%rd1], %rd4;"},
		{Operand, ".shared .align 16 .b8 s[64]; mov.u32 %r1, s; mov.u32 %r2, 5; cp.async.ca.shared.global [%r1], [%rd1], 4, %r2;"},
		{Trap, "trap;"},
	}
	for _, c := range cases {
		f := faultOf(t, c.kind, c.body, 1)
		require.Contains(t, c.body, f.Text, "the statement is named")
		require.Contains(t, f.Error(), "thread (0,0,0)")
	}
	f := faultOf(t, Bounds, "mul.wide.u32 %rd4, %r0, 4; add.s64 %rd4, %rd0, %rd4; st.global.u32 [%rd4], %r0;", 17)
	require.Equal(t, [3]uint32{16, 0, 0}, f.Thread)
	require.Contains(t, f.Error(), "0 bytes behind the end of 64 bytes")
}

func TestDeviceMemory(t *testing.T) {
	m := NewMachine(Config{MemoryLimit: 1000})
	a, err := m.Alloc(600)
	require.NoError(t, err)
	require.Zero(t, a%256)
	_, err = m.Alloc(401)
	require.ErrorIs(t, err, ErrOutOfMemory)
	b, err := m.Alloc(400)
	require.NoError(t, err)
	require.Greater(t, b, a+600+64<<10-1)
	require.EqualValues(t, 1000, m.Used())
	_, err = m.Alloc(0)
	require.Error(t, err)

	off, err := m.Undefined(a, 600)
	require.NoError(t, err)
	require.Zero(t, off)
	require.NoError(t, m.Write(a, make([]byte, 100)))
	require.NoError(t, m.Fill(a+100, 100, 7))
	off, err = m.Undefined(a, 600)
	require.NoError(t, err)
	require.Equal(t, 200, off)
	require.NoError(t, m.Copy(b, a+150, 60)) // 10 undefined bytes travel
	off, err = m.Undefined(b, 60)
	require.NoError(t, err)
	require.Equal(t, 50, off)
	require.NoError(t, m.Poison(a, 4))
	off, err = m.Undefined(a+1, 600-1)
	require.NoError(t, err)
	require.Zero(t, off)
	got := make([]byte, 2)
	require.NoError(t, m.Read(got, a+199))
	require.Equal(t, byte(7), got[0])

	require.ErrorIs(t, m.Write(a+599, []byte{1, 2}), ErrAddress)
	require.ErrorIs(t, m.Read(got, a-1), ErrAddress)
	require.ErrorIs(t, m.Fill(0, 1, 0), ErrAddress)
	require.ErrorIs(t, m.Free(a+1), ErrAddress)
	require.NoError(t, m.Free(a))
	require.ErrorIs(t, m.Free(a), ErrAddress)
	require.ErrorIs(t, m.Read(got, a), ErrAddress)

	e := mustParse(t, kernel("ld.global.u32 %r1, [%rd1]; st.global.u32 [%rd0], %r1;")).Entry("k")
	err = m.Launch(context.Background(), e, Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}, Args: []uint64{b, a, 0}})
	wantFault(t, err, UseAfterFree)
}

func TestReadOnlyMemory(t *testing.T) {
	m := mustParse(t, header+`
.const .align 4 .b32 table[2] = {1, 2};
.visible .entry k() { .reg .b64 %rd<2>; .reg .b32 %r<4>; mov.u64 %rd0, table; st.global.u32 [%rd0], 5; ret; }
.visible .entry a() { .reg .b64 %rd<2>; .reg .b32 %r<4>; mov.u64 %rd0, table; atom.global.add.u32 %r0, [%rd0], 5; ret; }
`)
	for _, e := range m.Entries {
		err := NewMachine(Config{}).Launch(t.Context(), e, Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}})
		wantFault(t, err, ReadOnly)
	}
}

func TestUndefinedValues(t *testing.T) {
	// What does no harm.
	clean := []string{
		"mov.b32 %r2, {%h1, %h2}; ld.global.u16 %h3, [%rd1]; mov.b32 %r3, {%h3, %h2}; and.b32 %r4, %r3, 0xffff; st.global.u32 [%rd0], %r4;",
		"ld.global.u32 %r1, [%rd1]; shl.b32 %r2, %r5, 16; and.b32 %r3, %r2, 0xffff; or.b32 %r4, %r3, %r1; st.global.u32 [%rd0], %r4;",
		"prmt.b32 %r2, %r1, 7, 0x4444; st.global.u32 [%rd0], %r2;",
		"mov.u32 %r1, 5; lop3.b32 %r2, %r1, %r5, %r6, 0xf0; st.global.u32 [%rd0], %r2;", // just a
		"bfi.b32 %r2, 7, %r5, 0, 32; st.global.u32 [%rd0], %r2;",
		"mov.b32 %r1, 3; mov.b64 %rd4, {%r1, %r5}; cvt.u32.u64 %r2, %rd4; st.global.u32 [%rd0], %r2;",
		"mov.u32 %r3, 1; setp.eq.s32 %p1, %r3, 1; selp.b32 %r2, 4, %r5, %p1; st.global.u32 [%rd0], %r2;",
		".shared .b32 s[2]; st.shared.u8 [s], 1; ld.shared.u32 %r1, [s]; cvt.u32.u8 %r2, %r1; st.global.u32 [%rd0], %r2;",
		".local .b32 s[2]; st.local.u32 [s], %r5; ld.local.v2.u32 {%r1, %r2}, [s]; st.global.u32 [%rd0], 1;",
		"setp.ne.s32 %p1, %r5, 0; mov.u32 %r2, 0; setp.eq.and.s32 %p2, %r2, 0, %p1; st.global.u32 [%rd0], 1;",
		"mov.u32 %r2, 0; setp.ne.s32 %p1, %r2, 0; and.pred %p3, %p1, %p2; @%p3 trap; st.global.u32 [%rd0], 1;", // false and anything
		"fma.rn.f16x2 %r3, %r4, %r5, %r6; st.global.u32 [%rd0], 1;",
	}
	for _, body := range clean {
		_, err := launchBody(t, Config{}, body, make([]byte, 16), 16, 1)
		require.NoError(t, err, body)
	}
	// What decides something.
	for _, body := range []string{
		"st.global.u32 [%rd0], %r5;",
		"mov.b32 %r2, {%h1, %h2}; st.global.u32 [%rd0], %r2;",
		"add.s32 %r2, %r5, 1; st.global.u32 [%rd0], %r2;",
		"add.s64 %rd4, %rd5, %rd1; ld.global.u32 %r2, [%rd4];",
		"@%p1 st.global.u32 [%rd0], 1;",
		"setp.eq.s32 %p1, %r5, 0; @%p1 trap;",
		"mov.u32 %r2, 0; setp.eq.or.s32 %p1, %r2, 1, %p2; @%p1 trap;",
		"selp.b32 %r2, 1, 0, %p4; st.global.u32 [%rd0], %r2;",
		"setp.eq.s32 %p1, %r0, 0; @!%p1 mov.u32 %r2, 1; st.global.u32 [%rd0], %r2;",
		"atom.global.add.u32 %r2, [%rd1], %r5;",
		"atom.global.add.u32 %r2, [%rd0], 1;", // the old value
		"prmt.b32 %r2, 7, 7, %r5; st.global.u32 [%rd0], %r2;",
		"shl.b32 %r2, 1, %r5; st.global.u32 [%rd0], %r2;",
		"mov.u32 %r1, 5; lop3.b32 %r2, %r1, %r5, %r6, 0x96; st.global.u32 [%rd0], %r2;",
		"shfl.sync.bfly.b32 %r2, %r5, 1, 31, 1; st.global.u32 [%rd0], %r2;",
		"ld.global.u32 %r2, [%rd0]; st.global.u32 [%rd0], %r2;", // out is fresh
		".shared .b32 s[2]; st.shared.u8 [s], 1; ld.shared.u32 %r1, [s]; st.global.u32 [%rd0], %r1;",
		".local .b32 s[2]; ld.local.u32 %r1, [s]; st.global.u32 [%rd0], %r1;",
		".shared .align 16 .b8 s[16]; mov.u32 %r1, s; cp.async.ca.shared.global [%r1], [%rd0], 16; cp.async.wait_all; ld.shared.u32 %r2, [s]; st.global.u32 [%rd0], %r2;",
		"mov.b32 %r3, 0x3c003c00; mov.b32 %r4, {%h1, %h2}; fma.rn.f16x2 %r2, %r3, %r4, %r3; st.global.u32 [%rd0], %r2;",
	} {
		f := faultOf(t, Uninitialised, body, 1)
		require.NotEmpty(t, f.Detail)
	}
	f := faultOf(t, Uninitialised, ".shared .b32 s[2];\nld.shared.u32 %r1, [s];\nadd.s32 %r2, %r1, 1;\nst.global.u32 [%rd0], %r2;", 1)
	require.Equal(t, f.Line-2, f.Origin, "the load is named")
}

func TestAsyncCopies(t *testing.T) {
	in := []byte("0123456789abcdef0123456789abcdef")
	run := func(body string) ([]uint32, error) {
		return launchBody(t, Config{}, ".shared .align 16 .b8 s[64]; mov.u32 %r1, s;\n"+body, in, 32, 1)
	}
	out, err := run(`
	cp.async.ca.shared.global [%r1], [%rd1], 16, 6;
	cp.async.cg.shared.global.L2::128B [%r1+16], [%rd1], 16;
	mov.u32 %r2, 0; setp.eq.s32 %p1, %r2, 0;
	cp.async.ca.shared.global [%r1+32], [%rd1], 4, %p1;
	cp.async.ca.shared.global [%r1+36], [%rd1+4], 4, !%p1;
	cp.async.ca.shared.global [%r1+40], [%rd1+8], 8;
	cp.async.wait_all;
	ld.shared.v4.u32 {%r2, %r3, %r4, %r5}, [%r1];
	st.global.v4.u32 [%rd0], {%r2, %r3, %r4, %r5};
	ld.shared.v4.u32 {%r2, %r3, %r4, %r5}, [%r1+32];
	st.global.v4.u32 [%rd0+16], {%r2, %r3, %r4, %r5};`)
	require.NoError(t, err)
	require.Equal(t, []uint32{0x33323130, 0x3534, 0, 0, 0, 0x37363534, 0x62613938, 0x66656463}, out)

	for _, body := range []string{
		"cp.async.ca.shared.global [%r1], [%rd1], 4; ld.shared.u32 %r2, [%r1];",
		"cp.async.ca.shared.global [%r1], [%rd1], 4; cp.async.wait_group 0; ld.shared.u32 %r2, [%r1];", // never committed
		"cp.async.ca.shared.global [%r1], [%rd1], 4; cp.async.commit_group; ld.shared.u8 %r2, [%r1+3];",
		"cp.async.ca.shared.global [%r1], [%rd1], 4; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r2, [%r1];",
		"cp.async.ca.shared.global [%r1], [%rd1], 4; st.shared.u32 [%r1], 1;",
		"cp.async.ca.shared.global [%r1], [%rd1], 4; cp.async.ca.shared.global [%r1], [%rd1], 4;",
		"cp.async.ca.shared.global [%r1], [%rd1], 4; atom.shared.add.u32 %r2, [%r1], 1;",
	} {
		_, err := run(body)
		wantFault(t, err, AsyncPending)
	}
	_, err = run("cp.async.ca.shared.global [%r1], [%rd1+1048576], 4, 0; cp.async.wait_all;")
	require.NoError(t, err, "nothing is read where src-size is 0")
	_, err = run("cp.async.ca.shared.global [%r1], [%rd1+28], 4; cp.async.ca.shared.global [%r1+4], [%rd1+32], 4;")
	wantFault(t, err, Bounds)
}

func TestErrorsAreWrapped(t *testing.T) {
	_, err := launchBody(t, Config{}, "trap;", nil, 16, 1)
	var f *Fault
	require.True(t, errors.As(err, &f))
	require.True(t, strings.HasPrefix(err.Error(), "ptx: trap: k:"))
	require.Equal(t, "Kind(99)", Kind(99).String())
}
