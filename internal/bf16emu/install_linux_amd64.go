package bf16emu

import (
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"regexp"
	"syscall"

	"github.com/klauspost/cpuid/v2"
)

var tier = regexp.MustCompile(`\.\w+DPBF16(x[0-9]+)*$`)

// Install changes the running program and tells package cpuid that the
// processor has AVX512_BF16. It must be called once, before a kernel runs: by a
// TestMain. It does nothing where the processor has the instruction.
func Install() error {
	if cpuid.CPU.Supports(cpuid.AVX512BF16) {
		return nil
	}
	if !cpuid.CPU.Supports(cpuid.AVX512F) {
		return errors.New("bf16emu: the processor lacks AVX-512")
	}
	if err := install(); err != nil {
		return fmt.Errorf("bf16emu: %w", err)
	}
	cpuid.CPU.Enable(cpuid.AVX512BF16)
	return nil
}

func install() error {
	file, err := elf.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer file.Close()
	if file.Type != elf.ET_EXEC {
		return errors.New("the program may lie anywhere: build it with CGO_ENABLED=0")
	}
	end := uint64(0)
	for _, p := range file.Progs {
		if p.Type == elf.PT_LOAD {
			end = max(end, p.Vaddr+p.Memsz)
		}
	}
	functions, err := functionsOf(file)
	if err != nil {
		return err
	}
	// Its own memory can be written here even where its pages are read-only.
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer memory.Close()
	places, err := find(memory, functions)
	if err != nil {
		return err
	}
	const most = 256 // bytes of code for a site
	at, err := near(end, 64+most*len(places))
	if err != nil {
		return err
	}
	code := binary.LittleEndian.AppendUint32(nil, mxcsr)
	for _, p := range places {
		a := assembler{at: at + uint64(len(code))}
		a.emulate(p.site, at)
		if len(a.code) > most {
			return fmt.Errorf("%d bytes of code", len(a.code))
		}
		p.call(a.at)
		code = append(code, a.code...)
	}
	if _, err := memory.WriteAt(code, int64(at)); err != nil {
		return err
	}
	for _, p := range places {
		if _, err := memory.WriteAt(p.code, int64(p.at)); err != nil {
			return err
		}
	}
	return nil
}

// function is the code of one, [from, to).
type function struct {
	name     string
	from, to uint64
}

func functionsOf(file *elf.File) (out []function, err error) {
	text, table := file.Section(".text"), file.Section(".gopclntab")
	if text == nil || table == nil {
		return nil, errors.New("not a Go program")
	}
	data, err := table.Data()
	if err != nil {
		return nil, err
	}
	symbols, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr))
	if err != nil {
		return nil, err
	}
	for _, f := range symbols.Funcs {
		if tier.MatchString(f.Name) {
			out = append(out, function{f.Name, f.Entry, f.End})
		}
	}
	return out, nil
}

// place is where a site is, and what is written there.
type place struct {
	site
	at   uint64
	code []byte
}

// call makes the code of p a call of an address, and NOPs.
func (p *place) call(to uint64) {
	p.code = append(p.code, 0xe8)
	p.code = binary.LittleEndian.AppendUint32(p.code, uint32(to-p.at-5))
	for len(p.code) < p.size {
		p.code = append(p.code, 0x90)
	}
}

// find reads the code of functions. The five bytes that begin the instruction
// are looked for everywhere: in other instructions they do not occur together.
func find(memory *os.File, functions []function) (places []*place, err error) {
	for _, f := range functions {
		code := make([]byte, f.to-f.from)
		if _, err := memory.ReadAt(code, int64(f.from)); err != nil {
			return nil, err
		}
		for i := 0; i < len(code); {
			s, found, err := decode(code[i:])
			if err != nil {
				return nil, fmt.Errorf("%s+%#x: %w", f.name, i, err)
			}
			if !found {
				i++
				continue
			}
			places = append(places, &place{site: s, at: f.from + uint64(i)})
			i += s.size
		}
	}
	if len(places) == 0 {
		return nil, errors.New("no VDPBF16PS in the program")
	}
	return places, nil
}

// near maps memory behind the program that a call in it reaches.
func near(end uint64, bytes int) (uint64, error) {
	const page, step, fixedNoReplace = 1 << 12, 1 << 20, 0x100000
	size := uintptr(bytes+page-1) &^ (page - 1)
	for at := (end + step) &^ (step - 1); at < end+1<<30; at += step {
		got, _, errno := syscall.Syscall6(syscall.SYS_MMAP, uintptr(at), size,
			syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC, syscall.MAP_PRIVATE|syscall.MAP_ANON|fixedNoReplace, ^uintptr(0), 0)
		if errno == 0 && uint64(got) == at {
			return at, nil
		}
		if errno == 0 {
			_, _, _ = syscall.Syscall(syscall.SYS_MUNMAP, got, size, 0)
		}
	}
	return 0, errors.New("no memory near the program")
}
