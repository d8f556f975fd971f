package cmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryLogLineSaysWhatItIsAbout: a line gets the request's and the trace's ids
// from its context, so whoever has one hands it over.
func TestEveryLogLineSaysWhatItIsAbout(t *testing.T) {
	files := token.NewFileSet()
	read := 0
	for _, root := range []string{"../../server", "../../store"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			read++
			for _, call := range deafLogCalls(file) {
				t.Errorf("%s: a context is at hand; log with it", files.Position(call.Pos()))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if read < 100 {
		t.Fatalf("only %d files were read", read)
	}
}

func TestALogLineWithoutTheContextAtHandIsFound(t *testing.T) {
	const source = `package p
func f(ctx context.Context) { go func() { s.cfg.Logger.Warn("lost") }(); s.log.WarnContext(ctx, "fine") }
func g() { s.log.Warn("has none") }`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if found := deafLogCalls(file); len(found) != 1 {
		t.Errorf("%d lines were found, want the first", len(found))
	}
}

var (
	logger = regexp.MustCompile(`(?i)^(log|logger)$`)
	deaf   = regexp.MustCompile(`^(Debug|Info|Warn|Error)$`)
)

// deafLogCalls finds the calls of a logger's methods without a context in functions
// that have one.
func deafLogCalls(file *ast.File) (found []*ast.CallExpr) {
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Body == nil || !hasContext(f.Type) {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if method, ok := call.Fun.(*ast.SelectorExpr); ok && deaf.MatchString(method.Sel.Name) && logger.MatchString(lastName(method.X)) {
				found = append(found, call)
			}
			return true
		})
	}
	return found
}

func hasContext(f *ast.FuncType) bool {
	for _, p := range f.Params.List {
		if s, ok := p.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Context" && lastName(s.X) == "context" {
			return true
		}
	}
	return false
}

func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}
