package quant

import (
	"errors"
	"fmt"
	"strconv"
)

// The classes of errors that quant, checkpoint and backend share. Use
// errors.Is to ask for a class and errors.As with *FieldError for the detail.
var (
	ErrUnsupported = errors.New("unsupported")     // known and not done; never guessed
	ErrShape       = errors.New("shape mismatch")  // sizes or layouts that do not fit together
	ErrDType       = errors.New("type mismatch")   // an element type that is not the wanted one
	ErrFormat      = errors.New("bad file format") // a damaged, hostile or self-contradicting file
	ErrRange       = errors.New("out of range")    // a number that is not finite or not representable
)

// FieldError says what is wrong with one named thing.
type FieldError struct {
	Class error  // one of the sentinels above
	Name  string // the tensor, layer or file
	Field string // which property of it; may be empty
	Has   string // what was found
	Want  string // what was expected; may be empty
}

// Error returns "name: field is has, want want (class)".
func (e *FieldError) Error() string {
	s := e.Has
	if e.Field != "" {
		s = e.Field + " is " + s
	}
	if e.Name != "" {
		s = e.Name + ": " + s
	}
	if e.Want != "" {
		s += ", want " + e.Want
	}
	if e.Class != nil {
		s += " (" + e.Class.Error() + ")"
	}
	return s
}

// Unwrap returns the class.
func (e *FieldError) Unwrap() error { return e.Class }

// Errorf makes a FieldError whose Has is formatted; field and want may be empty.
func Errorf(class error, name, field, want, format string, args ...any) error {
	return &FieldError{Class: class, Name: name, Field: field, Want: want, Has: fmt.Sprintf(format, args...)}
}

// named returns err with the name of the layer that it is about, where err
// comes from a check that knew none.
func named(err error, name string) error {
	if e, ok := err.(*FieldError); ok && e.Name == "" {
		n := *e
		n.Name = name
		return &n
	}
	return err
}

func itoa(n int) string { return strconv.Itoa(n) }
