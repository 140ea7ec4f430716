package workers

import "fmt"

// TaskPanic is what Run panics with when Task.Do panicked on a worker.
type TaskPanic struct {
	Value any    // of the panic; nil when Do ended the goroutine with runtime.Goexit
	Stack []byte // of the worker
}

func newTaskPanic(value any, stack []byte) *TaskPanic { return &TaskPanic{value, stack} }

// Error gives the value and where it was raised.
func (p *TaskPanic) Error() string {
	if p.Value == nil {
		return fmt.Sprintf("a task ended its worker by runtime.Goexit\n\n%s", p.Stack)
	}
	return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack)
}

// Unwrap returns the value if it is an error.
func (p *TaskPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}
