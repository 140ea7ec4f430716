package ptx

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// A Launch is the geometry and the arguments of one kernel launch.
type Launch struct {
	Grid, Block [3]uint32
	Shared      uint32   // bytes of dynamic shared memory
	Args        []uint64 // one 8-byte slot per parameter, the value in its low bytes; or:
	Bytes       [][]byte // one slice per parameter, of its size
}

// A gridRun is one launch under way.
type gridRun struct {
	m             *Machine
	entry         *Entry
	launch        *Launch
	vars          map[string]*region
	params        []byte
	threads       uint32 // per block
	warpsPerBlock uint32
	blocks        uint32
	serial        uint64
	stepLimit     int
	tracked       bool
	order         []uint32
	next          atomic.Int64

	mu      sync.Mutex
	fault   *Fault
	faultAt int64 // position in the order; later blocks stop
	stop    atomic.Int64
}

// Launch runs the entry over the grid and returns when all blocks ended. The
// error is a *LaunchError (nothing ran), a *Fault, or ctx's.
func (m *Machine) Launch(ctx context.Context, e *Entry, l Launch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	run, err := m.prepare(e, &l)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	workers := m.cfg.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, int(run.blocks))
	for len(m.spare) < workers {
		m.spare = append(m.spare, &block{})
	}
	var wg sync.WaitGroup
	for i := range workers - 1 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			run.work(ctx, m.spare[i])
		}()
	}
	run.work(ctx, m.spare[workers-1])
	wg.Wait()
	if run.fault != nil {
		return run.fault
	}
	return ctx.Err()
}

// prepare checks the launch and lays it out.
func (m *Machine) prepare(e *Entry, l *Launch) (*gridRun, error) {
	refuse := func(format string, args ...any) (*gridRun, error) {
		return nil, &LaunchError{e.Name, fmt.Sprintf(format, args...)}
	}
	mod := e.Module
	if mod.arch > m.cfg.Arch || mod.archOnly && mod.arch != m.cfg.Arch {
		return refuse("the module is for %s, the device is sm_%d", mod.Target, m.cfg.Arch)
	}
	gridMax, blockMax := [3]uint32{1<<31 - 1, 65535, 65535}, [3]uint32{1024, 1024, 64}
	blocks, threads := uint64(1), uint64(1)
	for i := range 3 {
		if l.Grid[i] == 0 || l.Grid[i] > gridMax[i] || l.Block[i] == 0 || l.Block[i] > blockMax[i] {
			return refuse("grid %v of blocks %v", l.Grid, l.Block)
		}
		blocks, threads = blocks*uint64(l.Grid[i]), threads*uint64(l.Block[i])
	}
	maxT := uint64(m.cfg.MaxThreads)
	if t := e.MaxThreads; t[0] != 0 {
		maxT = min(maxT, uint64(t[0])*uint64(t[1])*uint64(t[2]))
	}
	if threads > maxT {
		return refuse("%d threads per block, at most %d", threads, maxT)
	}
	if e.ReqThreads[0] != 0 && e.ReqThreads != l.Block {
		return refuse("blocks of %v, .reqntid asks for %v", l.Block, e.ReqThreads)
	}
	warps := (threads + lanes - 1) / lanes
	if blocks*warps > 1<<28 {
		return refuse("%d blocks are more than the interpreter runs", blocks)
	}
	static := alignUp(e.Shared, max(16, e.dynAlign))
	total := e.Shared
	if l.Shared > 0 {
		total = static + int(l.Shared)
	}
	allowed, ok := m.shared[e]
	if ok && int(l.Shared) > max(allowed, m.cfg.SharedPerBlock-e.Shared) || !ok && total > m.cfg.SharedPerBlock || total > m.cfg.SharedOptIn {
		return refuse("%d bytes of shared memory (%d static): above %d needs SetShared, above %d there is none", total, e.Shared, m.cfg.SharedPerBlock, m.cfg.SharedOptIn)
	}
	run := &gridRun{
		m: m, entry: e, launch: l, threads: uint32(threads), warpsPerBlock: uint32(warps), blocks: uint32(blocks),
		stepLimit: m.cfg.StepLimit, tracked: !m.cfg.Checks.NoRaces,
	}
	run.stop.Store(1 << 62)
	if err := run.arguments(); err != nil {
		return nil, err
	}
	run.vars = m.load(mod)
	m.serial++
	run.serial = m.serial
	m.gen++
	for _, r := range m.regions {
		if r.tracked {
			r.begin(m.gen)
		}
	}
	run.shuffle(rng(m.cfg.Seed + m.serial*0x51ed270b))
	return run, nil
}

// arguments packs the parameter block.
func (run *gridRun) arguments() error {
	e, l := run.entry, run.launch
	n := len(l.Args)
	if l.Bytes != nil {
		n = len(l.Bytes)
	}
	if n != len(e.Params) || l.Args != nil && l.Bytes != nil {
		return &LaunchError{e.Name, fmt.Sprintf("%d arguments for %d parameters", n, len(e.Params))}
	}
	run.params = make([]byte, e.paramBytes)
	for i, p := range e.Params {
		dst := run.params[p.Offset : p.Offset+p.Size]
		if l.Bytes != nil {
			if len(l.Bytes[i]) != p.Size {
				return &LaunchError{e.Name, fmt.Sprintf("argument %d has %d bytes, %s has %d", i, len(l.Bytes[i]), p.Name, p.Size)}
			}
			copy(dst, l.Bytes[i])
			continue
		}
		v, w := l.Args[i], uint(p.Size)*8
		if p.Size > 8 {
			return &LaunchError{e.Name, fmt.Sprintf("%s has %d bytes: pass Bytes", p.Name, p.Size)}
		}
		if rest := v &^ mask(w); rest != 0 && rest != ^mask(w) {
			return &LaunchError{e.Name, fmt.Sprintf("argument %d, 0x%x, does not fit the %d bytes of %s", i, v, p.Size, p.Name)}
		}
		putLE(dst, v)
	}
	return nil
}

func (run *gridRun) shuffle(g rng) {
	run.order = make([]uint32, run.blocks)
	for i := range run.order {
		run.order[i] = uint32(i)
	}
	for i := len(run.order) - 1; i > 0; i-- {
		j := g.below(i + 1)
		run.order[i], run.order[j] = run.order[j], run.order[i]
	}
}

// blockID gives the coordinates of a block by its number.
func (run *gridRun) blockID(i uint32) [3]uint32 {
	g := run.launch.Grid
	return [3]uint32{i % g[0], i / g[0] % g[1], i / g[0] / g[1]}
}

// thread gives the coordinates of a thread by its number in the block.
func (run *gridRun) thread(i int) [3]uint32 {
	b := run.launch.Block
	t := uint32(i)
	return [3]uint32{t % b[0], t / b[0] % b[1], t / b[0] / b[1]}
}

// addressOf gives the address of a variable that is placed at launch.
func (run *gridRun) addressOf(v *variable) uint64 {
	if v.extern {
		return sharedBase + uint64(alignUp(run.entry.Shared, max(16, run.entry.dynAlign)))
	}
	if r := run.vars[v.name]; r != nil {
		return r.base
	}
	return 0
}

// work runs blocks until none is left. A fault stops the blocks that come later
// in the order; those before it go on, so that the first in the order is told.
func (run *gridRun) work(ctx context.Context, b *block) {
	for {
		at := run.next.Add(1) - 1
		if at >= int64(len(run.order)) || at > run.stop.Load() || ctx.Err() != nil {
			return
		}
		if f := run.runBlock(ctx, b, at); f != nil {
			run.mu.Lock()
			if run.fault == nil || at < run.faultAt {
				run.fault, run.faultAt = f, at
				run.stop.Store(at)
			}
			run.mu.Unlock()
		}
	}
}

func (run *gridRun) runBlock(ctx context.Context, b *block, at int64) (fault *Fault) {
	defer func() {
		for _, w := range b.warps {
			w.unlock()
		}
		if p := recover(); p != nil {
			f, ok := p.(*Fault)
			if !ok {
				panic(p)
			}
			fault = f
		}
	}()
	b.begin(run, run.order[at])
	b.execute(ctx, at)
	return nil
}
