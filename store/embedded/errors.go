package embedded

import (
	"errors"
	"fmt"
)

// The kinds of refusal. Each error that wraps one is a sentence for the person
// at the terminal and says what to do.
var (
	// ErrNotInstalled says that no usable PostgreSQL was found.
	ErrNotInstalled = errors.New("PostgreSQL is not installed")
	// ErrOtherVersion says that another major version made the folder.
	ErrOtherVersion = errors.New("the data folder was made by another major version of PostgreSQL")
	// ErrInUse says that another process runs a server on the folder.
	ErrInUse = errors.New("the data folder is in use")
	// ErrNotOurs says that the folder holds something else.
	ErrNotOurs = errors.New("the folder is not a data folder of Tillbook")
	// ErrUnreachable says that the server's user can't get to the folder.
	ErrUnreachable = errors.New("the data folder can't be reached")
	// ErrNotRunning says that no server runs on the folder.
	ErrNotRunning = errors.New("no server is running on the data folder")
	// ErrFailed says that PostgreSQL was started and gave up.
	ErrFailed = errors.New("PostgreSQL failed")
)

// refusal shows its own sentence and is of a kind.
type refusal struct {
	kind     error
	sentence string
}

func refuse(kind error, format string, args ...any) error {
	return &refusal{kind, fmt.Sprintf(format, args...)}
}

func (r *refusal) Error() string { return r.sentence }

func (r *refusal) Unwrap() error { return r.kind }
