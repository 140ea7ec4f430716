package safetensors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

// raw makes a file of a header as it is and data.
func raw(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func open(b []byte) (*File, error) { return New(bytes.NewReader(b), int64(len(b)), "f") }

// requireRule requires an error that names its rule in every way that callers
// may ask.
func requireRule(t *testing.T, err error, want Rule) *quant.FieldError {
	t.Helper()
	require.ErrorIs(t, err, want)
	require.ErrorIs(t, err, quant.ErrFormat)
	var rule Rule
	require.ErrorAs(t, err, &rule)
	require.Equal(t, want, rule)
	var field *quant.FieldError
	require.ErrorAs(t, err, &field)
	require.Contains(t, err.Error(), string(want))
	return field
}

// The behaviour that the reference's own tests fix, byte by byte.
func TestReferenceAccepts(t *testing.T) {
	zeros := func(n int) []byte { return make([]byte, n) }
	for name, c := range map[string]struct {
		file []byte
		want []Tensor // Offset counts from the start of the data
		meta map[string]string
	}{
		"trailing blanks": {file: []byte("\x06\x00\x00\x00\x00\x00\x00\x00{}\x0D\x20\x09\x0A")},
		"leading blanks":  {file: []byte("\x06\x00\x00\x00\x00\x00\x00\x00\x09\x0A{}\x0D\x20")},
		"no tensors":      {file: []byte("\x08\x00\x00\x00\x00\x00\x00\x00{}      ")},
		"one tensor": {
			file: raw(`{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}`, zeros(16)),
			want: []Tensor{{"test", I32, []int64{2, 2}, 0, 16}},
		},
		"scalar": {
			file: raw(`{"test":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}`, zeros(4)),
			want: []Tensor{{"test", I32, []int64{}, 0, 4}},
		},
		"no elements": {
			file: raw(`{"test":{"dtype":"I32","shape":[2,0],"data_offsets":[0, 0]}}`, nil),
			want: []Tensor{{"test", I32, []int64{2, 0}, 0, 0}},
		},
		"zero before what would overflow": {
			file: raw(`{"t":{"dtype":"I8","shape":[0,1099511627776,1099511627776],"data_offsets":[0,0]}}`, nil),
			want: []Tensor{{"t", I8, []int64{0, 1 << 40, 1 << 40}, 0, 0}},
		},
		"metadata only": {
			file: raw(`{"__metadata__":{"framework":"pt","":"x"}}`, nil),
			meta: map[string]string{"framework": "pt", "": "x"},
		},
		"metadata null": {file: raw(`{"__metadata__":null}`, nil)},
		"any order in the text": {
			file: raw(`{"b":{"data_offsets":[2,4],"shape":[1],"dtype":"F16"},"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}`, zeros(4)),
			want: []Tensor{{"a", BF16, []int64{1}, 0, 2}, {"b", F16, []int64{1}, 2, 2}},
		},
		"unknown fields of an entry": {
			file: raw(`{"t":{"dtype":"U8","more":{"x":1.5e-3},"shape":[1],"y":[true,null,"\n"],"data_offsets":[0,1],"Shape":[9],"z":-0}}`, zeros(1)),
			want: []Tensor{{"t", U8, []int64{1}, 0, 1}},
		},
		"escaped names": {
			file: raw(`{"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t":{"d\u0074ype":"U8","shape":[1],"data_offsets":[0,1]}}`, zeros(1)),
			want: []Tensor{{"é😀\"\\/\b\f\n\r\t", U8, []int64{1}, 0, 1}},
		},
		"half bytes": {
			file: raw(`{"t":{"dtype":"F4","shape":[1,2],"data_offsets":[0,1]}}`, zeros(1)),
			want: []Tensor{{"t", F4, []int64{1, 2}, 0, 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := open(c.file)
			require.NoError(t, err)
			dataStart := 8 + int64(binary.LittleEndian.Uint64(c.file))
			for i := range c.want {
				c.want[i].Offset += dataStart
			}
			require.Equal(t, append([]Tensor{}, c.want...), f.Tensors())
			require.Equal(t, c.meta, f.Metadata())
			for _, want := range c.want {
				got, ok := f.Lookup(want.Name)
				require.True(t, ok)
				require.Equal(t, want, got)
			}
			require.NoError(t, f.Close())
		})
	}
}

func TestReferenceRejects(t *testing.T) {
	zeros := func(n int) []byte { return make([]byte, n) }
	whole := raw(`{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}`, zeros(16))
	same := `{`
	for i := range 10 {
		same += fmt.Sprintf(`"t%d":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},`, i)
	}
	same = same[:len(same)-1] + `}`
	entry := func(fields string) []byte { return raw(`{"t":{`+fields+`}}`, zeros(4)) }
	for name, c := range map[string]struct {
		file []byte
		rule Rule
		text string // must occur in the message
	}{
		"empty":                {nil, HeaderTooSmall, "0 bytes"},
		"seven bytes":          {zeros(7), HeaderTooSmall, "7 bytes"},
		"header too large":     {[]byte("<\x00\x00\x00\x00\xff\xff\xff"), HeaderTooLarge, "at most 100000000"},
		"one above the limit":  {binary.LittleEndian.AppendUint64(nil, MaxHeader+1), HeaderTooLarge, "100000001"},
		"at the limit":         {binary.LittleEndian.AppendUint64(nil, MaxHeader), InvalidHeaderLength, "100000000"},
		"length beyond file":   {[]byte("<\x00\x00\x00\x00\x00\x00\x00"), InvalidHeaderLength, "60"},
		"not UTF-8":            {raw("\xff", nil), InvalidHeader, ""},
		"not UTF-8 in a name":  {raw("{\"\xc3\x28\":1}", nil), InvalidHeader, ""},
		"not JSON":             {raw("{", nil), InvalidHeaderDeserialization, "ends"},
		"empty header":         {raw("", nil), InvalidHeaderDeserialization, "ends"},
		"blanks only":          {raw("    ", nil), InvalidHeaderDeserialization, "ends"},
		"list":                 {raw("[]", nil), InvalidHeaderDeserialization, "f: byte 0 of the JSON text"},
		"text after":           {raw("{}x", nil), InvalidHeaderDeserialization, "'x'"},
		"second object":        {raw("{}{}", nil), InvalidHeaderDeserialization, ""},
		"NUL padding":          {raw("{}\x00\x00", nil), InvalidHeaderDeserialization, `'\x00'`},
		"trailing comma":       {raw(`{"__metadata__":{},}`, nil), InvalidHeaderDeserialization, ""},
		"no colon":             {raw(`{"t" {}}`, nil), InvalidHeaderDeserialization, ""},
		"no comma":             {raw(`{"__metadata__":{"a":"b" "c":"d"}}`, nil), InvalidHeaderDeserialization, ""},
		"metadata of numbers":  {raw(`{"__metadata__":{"a":1}}`, nil), InvalidHeaderDeserialization, ""},
		"metadata a string":    {raw(`{"__metadata__":"a"}`, nil), InvalidHeaderDeserialization, ""},
		"metadata twice":       {raw(`{"__metadata__":{},"__metadata__":{}}`, nil), InvalidHeaderDeserialization, "duplicate"},
		"metadata key twice":   {raw(`{"__metadata__":{"a":"1","\u0061":"2"}}`, nil), InvalidHeaderDeserialization, "duplicate key a"},
		"tensor twice":         {raw(`{"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0074":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, nil), InvalidHeaderDeserialization, "duplicate key t"},
		"field twice":          {entry(`"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "duplicate key shape"},
		"unknown field twice":  {entry(`"x":1,"dtype":"F32","shape":[1],"x":2,"data_offsets":[0,4]`), InvalidHeaderDeserialization, "duplicate key x"},
		"field in other case":  {entry(`"Dtype":"F32","shape":[1],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "without"},
		"no shape":             {entry(`"dtype":"F32","data_offsets":[0,4]`), InvalidHeaderDeserialization, "f: t: byte 41 of the JSON text: a tensor's entry without"},
		"no fields":            {entry(``), InvalidHeaderDeserialization, "without"},
		"entry a list":         {raw(`{"t":["F32",[1],[0,4]]}`, zeros(4)), InvalidHeaderDeserialization, ""},
		"entry null":           {raw(`{"t":null}`, nil), InvalidHeaderDeserialization, "f: t: byte 5"},
		"unknown type":         {entry(`"dtype":"F128","shape":[1],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "f: t: byte 15 of the JSON text: unknown dtype F128"},
		"type in lower case":   {entry(`"dtype":"f32","shape":[1],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "f32"},
		"type a number":        {entry(`"dtype":32,"shape":[1],"data_offsets":[0,4]`), InvalidHeaderDeserialization, ""},
		"negative":             {entry(`"dtype":"F32","shape":[-1],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "f: t: byte 29 of the JSON text: '-'"},
		"minus zero":           {entry(`"dtype":"F32","shape":[-0],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "'-'"},
		"fraction":             {entry(`"dtype":"F32","shape":[1.0],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "fraction"},
		"exponent":             {entry(`"dtype":"F32","shape":[1e0],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "exponent"},
		"large float":          {entry(`"dtype":"F32","shape":[9007199254740993.0],"data_offsets":[0,4]`), InvalidHeaderDeserialization, ""},
		"leading zero":         {entry(`"dtype":"F32","shape":[01],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "leading zeros"},
		"number in a string":   {entry(`"dtype":"F32","shape":["1"],"data_offsets":[0,4]`), InvalidHeaderDeserialization, ""},
		"2^64":                 {entry(`"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "64 bits"},
		"2^68":                 {entry(`"dtype":"F32","shape":[295147905179352825856],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "64 bits"},
		"shape a number":       {entry(`"dtype":"F32","shape":1,"data_offsets":[0,4]`), InvalidHeaderDeserialization, ""},
		"nested shape":         {entry(`"dtype":"F32","shape":[[1]],"data_offsets":[0,4]`), InvalidHeaderDeserialization, ""},
		"shape without end":    {entry(`"dtype":"F32","shape":[1,],"data_offsets":[0,4]`), InvalidHeaderDeserialization, ""},
		"one offset":           {entry(`"dtype":"F32","shape":[1],"data_offsets":[4]`), InvalidHeaderDeserialization, "f: t: byte 50 of the JSON text: data_offsets of fewer than two numbers"},
		"no offset":            {entry(`"dtype":"F32","shape":[1],"data_offsets":[]`), InvalidHeaderDeserialization, "fewer than two numbers"},
		"three offsets":        {entry(`"dtype":"F32","shape":[1],"data_offsets":[0,4,8]`), InvalidHeaderDeserialization, "more than two"},
		"nested too deeply":    {entry(`"x":{"y":[1]},"dtype":"F32","shape":[1],"data_offsets":[0,4]`), InvalidHeaderDeserialization, "deep"},
		"bad value":            {entry(`"x":nul,"dtype":"F32","shape":[1],"data_offsets":[0,4]`), InvalidHeaderDeserialization, ""},
		"bad escape":           {raw(`{"\x":{}}`, nil), InvalidHeaderDeserialization, "escape"},
		"bad hex":              {raw(`{"\u00g0":{}}`, nil), InvalidHeaderDeserialization, "escape"},
		"short hex":            {raw(`{"\u00`, nil), InvalidHeaderDeserialization, "escape"},
		"half a pair":          {raw(`{"\ud83d":{}}`, nil), InvalidHeaderDeserialization, "surrogate"},
		"pair reversed":        {raw(`{"\ude00\ud83d":{}}`, nil), InvalidHeaderDeserialization, "surrogate"},
		"escape at the end":    {raw(`{"\`, nil), InvalidHeaderDeserialization, "ends"},
		"control character":    {raw("{\"a\nb\":{}}", nil), InvalidHeaderDeserialization, "control"},
		"ten over each other":  {raw(same, zeros(8)), InvalidOffset, "t1"},
		"hole at the start":    {entry(`"dtype":"F32","shape":[0],"data_offsets":[4,4]`), InvalidOffset, "t"},
		"backwards":            {raw(`{"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]},"t":{"dtype":"I8","shape":[0],"data_offsets":[4,2]}}`, zeros(4)), InvalidOffset, "t"},
		"hole":                 {raw(`{"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"I8","shape":[2],"data_offsets":[2,4]}}`, zeros(4)), InvalidOffset, "t"},
		"overflow of shape":    {raw(`{"test":{"dtype":"I32","shape":[2,18446744073709551614],"data_offsets":[0,16]}}`, zeros(16)), ValidationOverflow, "test"},
		"overflow of bits":     {raw(`{"test":{"dtype":"I32","shape":[2,9223372036854775807],"data_offsets":[0,16]}}`, zeros(16)), ValidationOverflow, "test"},
		"overflow before zero": {entry(`"dtype":"I8","shape":[1099511627776,1099511627776,0],"data_offsets":[0,0]`), ValidationOverflow, "t"},
		"dimension over 2^53":  {entry(`"dtype":"I8","shape":[0,9007199254740993],"data_offsets":[0,0]`), ValidationOverflow, "2^53"},
		"ends inside a byte":   {entry(`"dtype":"F4","shape":[1,3],"data_offsets":[0,2]`), MisalignedSlice, "12"},
		"shape and offsets":    {raw(`{"test":{"dtype":"I32","shape":[2,3],"data_offsets":[0,16]}}`, zeros(16)), TensorInvalidInfo, "24 bytes of I32 [2 3]"},
		"scalar without bytes": {entry(`"dtype":"F32","shape":[],"data_offsets":[0,0]`), TensorInvalidInfo, "t"},
		"cut short":            {whole[:len(whole)-1], MetadataIncompleteBuffer, "15 bytes, which end inside test, want 16 bytes"},
		"extra bytes":          {append(bytes.Clone(whole), 0), MetadataIncompleteBuffer, "17 bytes"},
		"data without tensors": {raw("{}", zeros(1)), MetadataIncompleteBuffer, "1 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := open(c.file)
			require.Nil(t, f)
			field := requireRule(t, err, c.rule)
			require.True(t, strings.HasPrefix(field.Name, "f"), field.Name)
			require.Contains(t, err.Error(), c.text)
		})
	}
}

// Each file breaks two rules; the one that the reference checks first is
// reported.
func TestOrderOfRules(t *testing.T) {
	over := `"shape":[4294967296,4294967296],"dtype":"I8"`
	for _, c := range []struct {
		name string
		file []byte
		rule Rule
	}{
		{"too large before beyond the file", []byte("\xff\xff\xff\xff\xff\xff\xff\xff"), HeaderTooLarge},
		{"length before UTF-8", append(binary.LittleEndian.AppendUint64(nil, 9), "\xff{"...), InvalidHeaderLength},
		{"UTF-8 before JSON", raw("{{\xff", nil), InvalidHeader},
		{"JSON at the end before offsets", raw(`{"a":{"dtype":"I8","shape":[1],"data_offsets":[5,1]},"b":{}}`, nil), InvalidHeaderDeserialization},
		{"offset before overflow of the same tensor", raw(`{"a":{`+over+`,"data_offsets":[1,2]}}`, make([]byte, 2)), InvalidOffset},
		{"overflow before a later tensor's offset", raw(`{"b":{"dtype":"I8","shape":[1],"data_offsets":[9,10]},"a":{`+over+`,"data_offsets":[0,1]}}`, nil), ValidationOverflow},
		{"overflow before size", raw(`{"a":{`+over+`,"data_offsets":[0,1]}}`, []byte{0}), ValidationOverflow},
		{"half a byte before size", raw(`{"a":{"dtype":"F6_E2M3","shape":[1],"data_offsets":[0,9]}}`, []byte{0}), MisalignedSlice},
		{"size before a later tensor's offset", raw(`{"a":{"dtype":"I8","shape":[2],"data_offsets":[0,1]},"b":{"dtype":"I8","shape":[2],"data_offsets":[7,9]}}`, nil), TensorInvalidInfo},
		{"offset before the file's length", raw(`{"a":{"dtype":"I8","shape":[1],"data_offsets":[1,2]}}`, nil), InvalidOffset},
		{"size before the file's length", raw(`{"a":{"dtype":"I8","shape":[2],"data_offsets":[0,1]}}`, nil), TensorInvalidInfo},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := open(c.file)
			requireRule(t, err, c.rule)
		})
	}
}

func TestUnknownFieldsAreBounded(t *testing.T) {
	entry := func(extra int) []byte {
		h := `{"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]`
		for i := range extra {
			h += fmt.Sprintf(`,"x%d":0`, i)
		}
		return raw(h+"}}", nil)
	}
	_, err := open(entry(maxExtra))
	require.NoError(t, err)
	_, err = open(entry(maxExtra + 1))
	requireRule(t, err, InvalidHeaderDeserialization)
}

func TestAllTypes(t *testing.T) {
	bits := map[Type]int{
		BOOL: 8, F4: 4, F6E2M3: 6, F6E3M2: 6, U8: 8, I8: 8, F8E5M2: 8, F8E4M3: 8, F8E8M0: 8, F8E4M3FNUZ: 8, F8E5M2FNUZ: 8,
		I16: 16, U16: 16, F16: 16, BF16: 16, I32: 32, U32: 32, F32: 32, C64: 64, F64: 64, I64: 64, U64: 64,
	}
	require.Len(t, Types(), len(bits))
	for _, typ := range Types() {
		require.Equal(t, bits[typ], typ.Bits(), typ)
		n := bits[typ] // 8 elements
		f, err := open(raw(fmt.Sprintf(`{"t":{"dtype":%q,"shape":[2,4],"data_offsets":[0,%d]}}`, typ, n), make([]byte, n)))
		require.NoError(t, err, typ)
		require.Equal(t, typ, f.Tensors()[0].Type)
		d, ok := typ.DType()
		require.Equal(t, typ == F32 || typ == F16 || typ == BF16, ok)
		if ok {
			require.Equal(t, bits[typ], 8*d.Size())
		}
	}
	require.Zero(t, Type("F128").Bits())
}

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// sized is a file with a header of a claimed length that is not there.
type sized struct{ head []byte }

func (s sized) ReadAt(b []byte, off int64) (int, error) {
	if off >= int64(len(s.head)) {
		return 0, io.EOF
	}
	n := copy(b, s.head[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// The files of the reference repository's attacks folder.
func TestAttacks(t *testing.T) {
	t.Run("header length 1000 in a tiny file", func(t *testing.T) {
		file := append(binary.LittleEndian.AppendUint64(nil, 1000), `{"weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}`...)
		var err error
		require.Less(t, allocated(func() { _, err = open(file) }), uint64(1<<16))
		requireRule(t, err, InvalidHeaderLength)
	})
	many := func(n int) string {
		var h strings.Builder
		h.WriteByte('{')
		for i := range n {
			if i > 0 {
				h.WriteByte(',')
			}
			fmt.Fprintf(&h, `"weight_%d":{"dtype":"F32","shape":[1000,500],"data_offsets":[0,2000000]}`, i)
		}
		h.WriteByte('}')
		return h.String()
	}
	t.Run("100,000 entries over the same bytes", func(t *testing.T) {
		file := raw(many(100_000), make([]byte, 2_000_000))
		var err error
		used := allocated(func() { _, err = open(file) })
		requireRule(t, err, InvalidOffset)
		require.Less(t, used, 4*uint64(len(file)), "memory beyond what the file justifies")
	})
	t.Run("10 million entries over the same bytes", func(t *testing.T) {
		// Their header has more than 700 MB; its length is enough to refuse it.
		length := uint64(10_000_000 * len(`"weight_1234567":{"dtype":"F32","shape":[1000,500],"data_offsets":[0,2000000]},`))
		file := sized{binary.LittleEndian.AppendUint64(nil, length)}
		var err error
		require.Less(t, allocated(func() { _, err = New(file, int64(length)+2_000_008, "f") }), uint64(1<<16))
		requireRule(t, err, HeaderTooLarge)
	})
	t.Run("many dimensions", func(t *testing.T) {
		file := raw(`{"t":{"dtype":"U8","shape":[0`+strings.Repeat(",1", 1_000_000)+`],"data_offsets":[1,1]}}`, []byte{0})
		var err error
		used := allocated(func() { _, err = open(file) })
		requireRule(t, err, InvalidOffset)
		require.Less(t, used, 2*uint64(len(file)))
	})
	t.Run("deep nesting", func(t *testing.T) {
		_, err := open(raw(`{"t":{"x":`+strings.Repeat("[", 1_000_000), nil))
		requireRule(t, err, InvalidHeaderDeserialization)
	})
	t.Run("a long name in a message", func(t *testing.T) {
		name := strings.Repeat("n", 1_000_000)
		_, err := open(raw(`{"`+name+`":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, nil))
		requireRule(t, err, InvalidOffset)
		require.Less(t, len(err.Error()), 1000)
	})
	t.Run("many dimensions in a message", func(t *testing.T) {
		_, err := open(raw(`{"t":{"dtype":"U8","shape":[1`+strings.Repeat(",1", 1_000_000)+`],"data_offsets":[0,2]}}`, nil))
		requireRule(t, err, TensorInvalidInfo)
		require.Less(t, len(err.Error()), 1000)
	})
}
