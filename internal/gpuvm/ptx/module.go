package ptx

// A Module is one parsed PTX file. It is immutable and may be used by any
// number of machines and goroutines.
type Module struct {
	Name    string   // as given to Parse
	Version [2]int   // PTX ISA version: major, minor
	Target  string   // "sm_80"
	Entries []*Entry // in the file's order

	arch     int  // 80
	archOnly bool // sm_90a: runs on that architecture alone
	globals  []*variable
}

// Entry gives the entry of that name, or nil.
func (m *Module) Entry(name string) *Entry {
	for _, e := range m.Entries {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// A Param is one kernel parameter.
type Param struct {
	Name   string
	Size   int // bytes
	Align  int // bytes
	Offset int // in the parameter block
}

// An Entry is one kernel, decoded and ready to run. It is immutable.
type Entry struct {
	Name       string
	Module     *Module
	Params     []Param
	MaxThreads [3]uint32 // .maxntid; zero: not given
	ReqThreads [3]uint32 // .reqntid; zero: not given
	MinBlocks  int       // .minnctapersm; 0: not given
	MaxRegs    int       // .maxnreg; 0: not given
	Shared     int       // bytes of static shared memory
	Local      int       // bytes of local memory per thread
	DynShared  bool      // names an .extern .shared array
	Opcodes    []string  // the distinct opcodes with modifiers, sorted
	paramBytes int
	dynAlign   int
	code       []inst
	nregs      int
	npreds     int
	consts     []constReg
	specials   []specialReg
	constPreds []constPred
	relocs     []reloc
	regNames   []string // declared name of each register, "" for constants
	regMasks   []uint64 // bits that it has
}

type space uint8

const (
	generic space = iota
	global
	shared
	local
	param
	constant
)

var spaceNames = [...]string{"generic", "global", "shared", "local", "param", "const"}

func (s space) String() string { return spaceNames[s] }

// A variable is a named array in a state space.
type variable struct {
	name   string
	space  space
	size   int
	align  int
	extern bool // .extern .shared: its size is the launch's
	init   []byte
	refs   []varRef // addresses of other variables inside init
	offset int      // in the entry's shared or local memory, or the parameter block; -1: not laid out yet
}

// A varRef asks for the address of a variable at an offset of an initialiser.
type varRef struct {
	at     int
	target string
	add    int64
}

type constReg struct {
	reg int32
	val uint64
}

// A constPred is a predicate register that holds a literal in all lanes.
type constPred struct {
	reg int32
	val uint32
}

type specialReg struct {
	reg int32
	id  special
}

// A reloc is a register that holds an address known at launch.
type reloc struct {
	reg int32
	v   *variable
	add int64
}
