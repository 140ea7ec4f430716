package backend

import "strings"

// Refusal is a typed no: which kernel, and every reason. It is an error of
// class ErrUnsupported; find it with errors.As.
type Refusal struct {
	Kernel  string   `json:"kernel"`
	Reasons []Reason `json:"reasons"`
}

// Reason is one thing that does not fit.
type Reason struct {
	Field string `json:"field"`         // what it is about: "bits", "groups", "x type"
	Has   string `json:"has"`           // what the Spec or device has
	Wants string `json:"wants"`         // what the kernel wants
	Fix   string `json:"fix,omitempty"` // what would help, when something would
}

// String returns "field is has, wants wants: fix".
func (r Reason) String() string {
	s := r.Field + " is " + r.Has + ", wants " + r.Wants
	if r.Fix != "" {
		s += ": " + r.Fix
	}
	return s
}

// Add appends a reason and returns the refusal, made when r is nil, so that a
// kernel can start with nil and return what it has at the end.
func (r *Refusal) Add(kernel, field, has, wants, fix string) *Refusal {
	if r == nil {
		r = &Refusal{Kernel: kernel}
	}
	r.Reasons = append(r.Reasons, Reason{Field: field, Has: has, Wants: wants, Fix: fix})
	return r
}

// Error returns the kernel and its reasons, separated by semicolons.
func (r *Refusal) Error() string {
	parts := make([]string, len(r.Reasons))
	for i, reason := range r.Reasons {
		parts[i] = reason.String()
	}
	return r.Kernel + ": " + strings.Join(parts, "; ")
}

// Unwrap returns ErrUnsupported.
func (r *Refusal) Unwrap() error { return ErrUnsupported }

// Err returns r as an error, nil when r is nil.
func (r *Refusal) Err() error {
	if r == nil {
		return nil
	}
	return r
}

// AdviseRecipe returns the advice of a Reason to ask for another recipe, "" where s has a
// transform: such a layer has its own recipe and no other.
func (s *Spec) AdviseRecipe(advice string) string {
	if s.Transform != nil {
		return ""
	}
	return advice
}
