package main

import (
	"bytes"
	"fmt"
	"go/format"
	"go/token"
	"go/types"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

// file is one amd64 assembly file while it is built: an avo context, and the
// comment at its top.
type file struct {
	*build.Context
	head []string
	pkg  *types.Package
}

// register makes dir/name_amd64.s, and dir/name_amd64.go with the
// declarations. head says what the kernels compute, the layout and the
// registers.
func register(dir, name, head string, body func(*file)) {
	path := dir + "/" + name + "_amd64"
	outputs = append(outputs, output{path: path + ".s", write: func() (map[string][]byte, error) {
		pkg := dir[strings.LastIndexByte(dir, '/')+1:]
		f := &file{Context: build.NewContext(), head: strings.Split(strings.Trim(head, "\n"), "\n"), pkg: types.NewPackage(pkg, pkg)}
		body(f)
		return f.print(path, pkg)
	}})
}

func (f *file) print(path, pkg string) (map[string][]byte, error) {
	done, err := f.Result()
	if err != nil {
		return nil, err
	}
	if err := pass.Compile.Execute(done); err != nil {
		return nil, err
	}
	cfg := printer.Config{Name: "_gen", Pkg: pkg}
	asm, err := printer.NewGoAsm(cfg).Print(done)
	if err != nil {
		return nil, err
	}
	stubs, err := printer.NewStubs(cfg).Print(done)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(stubs, []byte("unsafe.")) {
		declared := []byte("package " + pkg + "\n")
		stubs = bytes.Replace(stubs, declared, append(declared, "\nimport \"unsafe\"\n"...), 1)
	}
	if stubs, err = format.Source(stubs); err != nil {
		return nil, err
	}
	return map[string][]byte{path + ".s": f.withHead(asm), path + ".go": stubs}, nil
}

// withHead puts the comment after the line that says the file is generated.
func (f *file) withHead(asm []byte) []byte {
	line, rest, _ := bytes.Cut(asm, []byte("\n"))
	var b bytes.Buffer
	b.Write(line)
	b.WriteString("\n\n")
	for _, l := range f.head {
		b.WriteString(strings.TrimRight("// "+l, " ") + "\n")
	}
	b.Write(rest)
	return b.Bytes()
}

// function begins a NOSPLIT function name(args) where args are the fields of a
// Go parameter list whose only named type may be *Call, which is declared in
// the package of the file: "c *Call", "dst *float32, src *byte, n uintptr".
func (f *file) function(name, args string, doc ...string) {
	scope := types.NewPackage(f.pkg.Path(), f.pkg.Name())
	for _, named := range []string{"Call", "Output", "Row", "TileRow", "Product", "Spread"} {
		obj := types.NewTypeName(token.NoPos, f.pkg, named, nil)
		types.NewNamed(obj, types.NewStruct(nil, nil), nil)
		scope.Scope().Insert(obj)
	}
	scope.SetImports([]*types.Package{types.Unsafe})
	scope.Scope().Insert(types.NewPkgName(token.NoPos, scope, "unsafe", types.Unsafe))
	tv, err := types.Eval(token.NewFileSet(), scope, token.NoPos, "(func("+args+"))(nil)")
	if err != nil {
		panic(fmt.Sprintf("%s(%s): %v", name, args, err))
	}
	f.Function(name)
	f.Attributes(attr.NOSPLIT)
	f.Signature(gotypes.NewSignature(f.pkg, tv.Type.(*types.Signature)))
	f.Doc(doc...)
	f.Pragma("noescape")
}

// bytes emits a hand-encoded instruction, with what it is as a comment: for
// what the Go assembler cannot spell. reads and writes tell avo's liveness.
func (f *file) bytes(comment string, reads, writes []reg.Register, code ...byte) {
	f.Comment(comment)
	for i, b := range code {
		in := &ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(b)}}
		if i == 0 {
			for _, r := range reads {
				in.Inputs = append(in.Inputs, r)
			}
		}
		if i == len(code)-1 {
			for _, r := range writes {
				in.Outputs = append(in.Outputs, r)
			}
		}
		f.Instruction(in)
	}
}

// lowNibbles makes every byte of y 15.
func (f *file) lowNibbles(y reg.Register) {
	f.VPCMPEQW(y, y, y)
	f.VPSRLW(operand.Imm(12), y, y)
	f.VPACKUSWB(y, y, y)
}

// at is a memory operand base+disp.
func at(base reg.Register, disp int) operand.Mem { return operand.Mem{Base: base, Disp: disp} }

// indexed is a memory operand base + index·scale + disp.
func indexed(base, index reg.Register, scale, disp int) operand.Mem {
	return operand.Mem{Base: base, Index: index, Scale: uint8(scale), Disp: disp}
}
