package rpc

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

func TestEveryReasonHasACode(t *testing.T) {
	for number, name := range errorv1.ErrorReason_name {
		reason := errorv1.ErrorReason(number)
		if reason == errorv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
			continue
		}
		if _, ok := codes[reason]; !ok {
			t.Errorf("%s has no code", name)
		}
	}
}

// handledBelow are sentinels that no handler lets through, each because its own
// package or the one caller deals with it.
var handledBelow = map[string]string{
	"store.ErrPhoneTaken":       "telling would tell who has an account",
	"store.ErrOperatorExists":   "only the command line makes operators",
	"store.ErrOperatorName":     "only the command line makes operators",
	"store.ErrOperatorNotFound": "only the command line makes operators",
	"store.ErrSchemaOld":        "a server with an old schema doesn't start",
	"ledger.ErrStatementRange":  "the export says which field is wrong",
	"ledger.ErrStatementBroken": "it is a fault of the books: INTERNAL, as what isn't in the table",
}

func TestEverySentinelBelowIsInTheTable(t *testing.T) {
	table, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	for pkg, dir := range map[string]string{"store": "../../store", "ledger": "../../store/ledger"} {
		names := sentinelsIn(t, dir)
		if len(names) == 0 {
			t.Fatalf("no sentinels found in %s", dir)
		}
		for _, name := range names {
			name = pkg + "." + name
			if strings.Contains(string(table), "is("+name+")") == (handledBelow[name] != "") {
				t.Errorf("%s must be in the table of errors.go, or the test must say why it isn't", name)
			}
		}
	}
}

// sentinelsIn finds the exported variables that are named like errors.
func sentinelsIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			vars, ok := decl.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, spec := range vars.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if strings.HasPrefix(name.Name, "Err") {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

func TestErrorsGetTheReasonThatMattersMost(t *testing.T) {
	tests := map[string]struct {
		err  error
		want errorv1.ErrorReason
		code connect.Code
	}{
		"nothing":                      {nil, errorv1.ErrorReason_ERROR_REASON_UNSPECIFIED, 0},
		"a wrapped sentinel":           {fmt.Errorf("pay: %w", ledger.ErrInsufficientFunds), errorv1.ErrorReason_ERROR_REASON_INSUFFICIENT_FUNDS, connect.CodeFailedPrecondition},
		"unknown because of a timeout": {fmt.Errorf("%w: %w", store.ErrOutcomeUnknown, context.DeadlineExceeded), errorv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN, connect.CodeUnavailable},
		"an error made here":           {fmt.Errorf("x: %w", errDenied), errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED, connect.CodePermissionDenied},
		"one made here out of another": {errDenied.WithCause(ledger.ErrClosed), errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED, connect.CodePermissionDenied},
		"a stub":                       {connect.NewError(connect.CodeUnimplemented, "x"), errorv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED, connect.CodeUnimplemented},
		"a server behind this one":     {connect.NewError(connect.CodeInvalidArgument, "x").WithRemote(), errorv1.ErrorReason_ERROR_REASON_INTERNAL, connect.CodeInternal},
		"anything else":                {errors.New("x"), errorv1.ErrorReason_ERROR_REASON_INTERNAL, connect.CodeInternal},
		"the end of the caller's time": {fmt.Errorf("query: %w", context.DeadlineExceeded), errorv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED, connect.CodeDeadlineExceeded},
		"a database that went away":    {fmt.Errorf("query: %w", os.NewSyscallError("read", errConnReset)), errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE, connect.CodeUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := ReasonOf(tt.err); got != tt.want {
				t.Errorf("reason %s, want %s", got, tt.want)
			}
			if tt.err != nil && AsError(tt.err).Code() != tt.code {
				t.Errorf("code %s, want %s", AsError(tt.err).Code(), tt.code)
			}
		})
	}
}

func TestAnErrorIsNotChangedByItsCopies(t *testing.T) {
	base := NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "Bad.").WithField("a", "must be good")
	more := base.WithField("b", "must be better").WithMetadata("k", "v").WithRetry(time.Second).WithCause(errors.New("secret"))
	other := base.WithField("c", "must be best")
	if len(base.Fields()) != 1 || base.RetryAfter() != 0 || base.Unwrap() != nil || base.metadata != nil {
		t.Errorf("the original changed: %+v", base)
	}
	if more.Fields()[1].Path != "b" || other.Fields()[1].Path != "c" {
		t.Errorf("copies share fields: %v %v", more.Fields(), other.Fields())
	}
	if strings.Contains(more.Error(), "secret") {
		t.Errorf("the public text has the cause: %s", more)
	}
}
