package emulator

import (
	"fmt"
	"maps"
	"sync"

	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
)

// recording is work that streams record together: of the one whose capture
// began, its origin, and of those that joined by waiting for an event of it.
type recording struct {
	origin *stream

	mu     sync.Mutex
	ended  bool
	work   []func() error
	behind map[*stream]passed // for each that records: what its next piece of work comes after
}

// passed is how many pieces of work of each stream come before something.
type passed map[*stream]int

// recorded is a point in a recording.
type recorded struct {
	in     *recording
	behind passed
}

// live reports whether r is being recorded.
func (r *recording) live() bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.ended
}

func (r *recording) add(s *stream, f func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.work = append(r.work, f)
	r.behind[s][s]++
}

func (r *recording) point(s *stream) recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return recorded{r, maps.Clone(r.behind[s])}
}

// await puts what s does from now on behind p.
func (r *recording) await(s *stream, p recorded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.behind[s] == nil {
		r.behind[s] = passed{}
	}
	for other, n := range p.behind {
		r.behind[s][other] = max(r.behind[s][other], n)
	}
}

// end ends r and reports whether its origin is behind all work of those that
// joined.
func (r *recording) end() (joined bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	for s, behind := range r.behind {
		if r.behind[r.origin][s] < behind[s] {
			return false
		}
	}
	return true
}

// Errors of captures, by their numbers.
func captureError(call string, code int, text string) error {
	name := map[int]string{
		900: "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", 902: "CUDA_ERROR_STREAM_CAPTURE_MERGE", 903: "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
		904: "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", 905: "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", 906: "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
	}[code]
	if name == "" {
		panic(fmt.Sprint("no such error: ", code))
	}
	return &driver.Error{Call: call, Code: code, Name: name, Text: text}
}

// wait makes s wait for an event, or join its recording.
func (s *stream) wait(e *event) error {
	p, recordedAtAll := e.point()
	theirs, ours := p.in.live(), s.rec.live()
	switch {
	case !theirs && !ours, !recordedAtAll:
		return nil
	case !theirs:
		return captureError("wait", 905, "the event is not of what the stream records")
	case !ours && s.isDefault:
		return captureError("wait", 906, "the default stream cannot be recorded")
	case !ours:
		s.rec = p.in
	case s.rec != p.in:
		return captureError("wait", 902, "the event is of another recording")
	}
	p.in.await(s, p)
	return nil
}

func (s *stream) BeginCapture() error {
	return s.now("begin capture", func() error {
		if s.isDefault {
			return captureError("begin capture", 900, "the default stream cannot be recorded")
		}
		s.rec = &recording{origin: s, behind: map[*stream]passed{s: {}}}
		s.device.record(1)
		return nil
	})
}

func (s *stream) EndCapture() (driver.Graph, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	r := s.rec
	switch {
	case !r.live():
		return nil, &driver.Error{Call: "end capture", Code: codeIllegalState, Name: "CUDA_ERROR_ILLEGAL_STATE", Text: "the stream is not being recorded"}
	case r.origin != s:
		return nil, captureError("end capture", 903, "another stream began it")
	}
	s.rec = nil
	s.device.record(-1)
	if !r.end() {
		return nil, captureError("end capture", 904, "a stream that joined has work that nobody waits for")
	}
	return &graph{device: s.device, work: r.work}, nil
}
