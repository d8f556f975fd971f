package rpc

import "runtime/debug"

// Aside runs f on a goroutine of its own and waits for it. Stacks grow and hardly
// shrink again: a stream that lives for hours and begins with a query would keep the
// stack that the query needed. A panic becomes an error as Recover would make it.
func Aside(f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if value := recover(); value != nil {
				done <- internal(&PanicError{Value: value, Stack: debug.Stack()})
			}
		}()
		done <- f()
	}()
	return <-done
}
