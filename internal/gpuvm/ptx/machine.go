package ptx

import "sync"

// A Config says what device a Machine stands for. The zero value is an sm_80
// with 99 KiB of shared memory to opt in to, every check on, seed 0.
type Config struct {
	Arch           int    // 80, 86, …; modules for later ones are refused. 0: 80
	SharedPerBlock int    // bytes without SetShared. 0: 48 KiB
	SharedOptIn    int    // bytes a block may have at most. 0: 99 KiB
	MaxThreads     int    // per block. 0: 1024
	MemoryLimit    int64  // bytes that Alloc gives out. 0: none
	Seed           uint64 // of schedules and garbage
	Workers        int    // goroutines that run blocks. 0: GOMAXPROCS
	StepLimit      int    // instructions per warp before NoProgress. 0: 16 Mi
	MMA            MMAModel
	Checks         Checks
}

// Checks turns checks off; the zero value has all on.
type Checks struct {
	NoRaces     bool // no happens-before: faster
	WarpOrdered bool // lanes of a warp count as one thread
}

// A Machine is one device: memory and limits. Its methods may be called from any
// goroutine; while a Launch runs, others wait.
type Machine struct {
	cfg Config

	mu      sync.Mutex
	rng     rng
	regions []*region // by address
	freed   []span
	top     uint64
	used    int64
	gen     uint64
	serial  uint64
	loaded  map[*Module]map[string]*region
	shared  map[*Entry]int // SetShared
	spare   []*block       // to be used again
}

// NewMachine makes a device without memory in use.
func NewMachine(cfg Config) *Machine {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&cfg.Arch, 80)
	def(&cfg.SharedPerBlock, 48<<10)
	def(&cfg.SharedOptIn, 99<<10)
	def(&cfg.MaxThreads, 1024)
	def(&cfg.StepLimit, 16<<20)
	return &Machine{
		cfg: cfg, rng: rng(cfg.Seed ^ 0x6a09e667f3bcc909), top: globalBase,
		loaded: map[*Module]map[string]*region{}, shared: map[*Entry]int{},
	}
}

// Config gives the configuration with its defaults filled in.
func (m *Machine) Config() Config { return m.cfg }

// SetShared allows later launches of the entry up to bytes of dynamic shared
// memory, as cuFuncSetAttribute does.
func (m *Machine) SetShared(e *Entry, bytes int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bytes < 0 || e.Shared+bytes > m.cfg.SharedOptIn {
		return &LaunchError{e.Name, "the device has " + sizeText(m.cfg.SharedOptIn) + " of shared memory per block, not " + sizeText(e.Shared+bytes)}
	}
	m.shared[e] = bytes
	return nil
}

// load places the module's variables in device memory, once per machine.
func (m *Machine) load(mod *Module) map[string]*region {
	if vars, ok := m.loaded[mod]; ok {
		return vars
	}
	vars := map[string]*region{}
	for _, v := range mod.globals {
		if v.size == 0 {
			continue
		}
		r := m.newRegion(v.size)
		if over := r.base & uint64(v.align-1); over != 0 {
			// Regions are aligned to 256 bytes only; larger alignments are rare.
			m.top += 1024
			r.base += uint64(v.align) - over
			m.top = max(m.top, r.base+uint64(v.size))
		}
		m.used -= int64(v.size) // not from Alloc
		r.readOnly = v.space == constant
		if v.space == constant {
			r.tracked = false
		}
		fill(r.data, 0)
		copy(r.data, v.init)
		fill(r.state, byteDefined)
		vars[v.name] = r
	}
	for _, v := range mod.globals {
		for _, ref := range v.refs {
			if t := vars[ref.target]; t != nil {
				putLE(vars[v.name].data[ref.at:ref.at+8], t.base+uint64(ref.add))
			}
		}
	}
	m.loaded[mod] = vars
	return vars
}

// Unload frees the module's variables. Launching one of its entries again loads
// them anew.
func (m *Machine) Unload(mod *Module) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.loaded[mod] {
		for i, have := range m.regions {
			if have == r {
				m.regions = append(m.regions[:i], m.regions[i+1:]...)
				m.freed = append(m.freed, span{r.base, uint64(len(r.data))})
				break
			}
		}
	}
	delete(m.loaded, mod)
	for _, e := range mod.Entries {
		delete(m.shared, e)
	}
}

// rng is a small generator of random numbers (Steele, Lea, Flood: SplitMix).
type rng uint64

func (g *rng) next() uint64 {
	*g += 0x9e3779b97f4a7c15
	z := uint64(*g)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (g *rng) below(n int) int { return int(g.next() >> 33 % uint64(n)) }
