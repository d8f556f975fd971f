// Package cmd_test keeps the rules of which package may import which. They are
// what lets partners import the SDK without a database driver, and what keeps
// one service's change out of another's.
package cmd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tillbook/tillbook"

// pkg is what `go list` says of a package. Deps are all that it imports,
// directly or not.
type pkg struct {
	ImportPath string
	Standard   bool
	Deps       []string
	Module     struct{ Path string }
}

// topLevel are the only folders with Go code; the rules below say what each may
// import of the module.
var topLevel = []string{"gen", "store", "server", "sdk", "examples"}

// sdkModules are all that comes with the SDK. Add to them only what partners
// would want in their own programs.
var sdkModules = []string{
	module,
	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go",
	"connectrpc.com/connect/v2",
	"google.golang.org/genproto/googleapis/rpc",
	"google.golang.org/protobuf",
	"golang.org/x/mod", // verifies receipts
}

// terminalModules are what comes with the device side of terminals on top of that.
var terminalModules = []string{
	"github.com/grpc-ecosystem/go-grpc-middleware/v2",
	"golang.org/x/net",  // grpc's
	"golang.org/x/sys",  // grpc's
	"golang.org/x/text", // grpc's
	"google.golang.org/grpc",
}

func TestImportsFollowTheRules(t *testing.T) {
	pkgs := listPackages(t)
	for _, v := range violations(pkgs, nouns(t)) {
		t.Error(v)
	}
}

func TestImportsThatBreakARuleAreFound(t *testing.T) {
	tests := map[string]struct {
		path, imports, of string
	}{
		"a new top-level folder":           {path: "util"},
		"generated code imports the store": {path: "gen/tillbook/x/v1", imports: "store"},
		"the store imports generated code": {path: "store/ledger", imports: "gen/tillbook/x/v1"},
		"the store imports the server":     {path: "store", imports: "server/rpc"},
		"the store imports connect":        {path: "store", imports: "connectrpc.com/connect/v2", of: "connectrpc.com/connect/v2"},
		"a noun imports another":           {path: "server/auth", imports: "server/wallet"},
		"a noun imports the wiring":        {path: "server/auth", imports: "server"},
		"shared code imports a noun":       {path: "server/rpc", imports: "server/auth"},
		"the server imports the SDK":       {path: "server", imports: "sdk"},
		"the server imports a command":     {path: "server", imports: "server/cmd/tillbook"},
		"the SDK imports the store":        {path: "sdk", imports: "store"},
		"the SDK imports a driver":         {path: "sdk", imports: "github.com/jackc/pgx/v5", of: "github.com/jackc/pgx/v5"},
		"the SDK imports gRPC":             {path: "sdk", imports: "google.golang.org/grpc", of: "google.golang.org/grpc"},
		"a device imports the SDK":         {path: "sdk/terminal", imports: "sdk"},
		"a device imports a driver":        {path: "sdk/terminal", imports: "github.com/jackc/pgx/v5", of: "github.com/jackc/pgx/v5"},
		"an example imports the server":    {path: "examples/quickstart", imports: "server"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := pkg{ImportPath: module + "/" + tt.path}
			p.Module.Path = module
			imported := pkg{ImportPath: tt.imports}
			imported.Module.Path = tt.of
			if tt.of == "" {
				imported.ImportPath = module + "/" + tt.imports
				imported.Module.Path = module
			}
			pkgs := map[string]pkg{p.ImportPath: p}
			if tt.imports != "" {
				p.Deps = []string{imported.ImportPath}
				pkgs = map[string]pkg{p.ImportPath: p, imported.ImportPath: imported}
			}
			if len(violations(pkgs, []string{"server/auth", "server/wallet"})) == 0 {
				t.Error("no rule was broken")
			}
		})
	}
}

// violations returns one sentence for each import that breaks a rule.
func violations(pkgs map[string]pkg, nouns []string) []string {
	var out []string
	for _, p := range pkgs {
		name, ours := strings.CutPrefix(p.ImportPath, module+"/")
		if !ours {
			continue
		}
		top, _, _ := strings.Cut(name, "/")
		if !slices.Contains(topLevel, top) {
			out = append(out, fmt.Sprintf("%s is in a top-level folder that doesn't exist in the layout", name))
			continue
		}
		for _, path := range p.Deps {
			dep := pkgs[path]
			if dep.Standard {
				continue
			}
			if why := forbidden(name, dep, nouns); why != "" {
				out = append(out, fmt.Sprintf("%s depends on %s, but %s", name, path, why))
			}
		}
	}
	slices.Sort(out)
	return out
}

// forbidden says why the package name of the module may not depend on dep; it
// is empty if it may.
func forbidden(name string, dep pkg, nouns []string) string {
	depName, ours := strings.CutPrefix(dep.ImportPath, module+"/")
	in := func(folders ...string) bool {
		return slices.ContainsFunc(folders, func(f string) bool { return under(depName, f) })
	}
	isNoun := func(name string) bool {
		return slices.ContainsFunc(nouns, func(n string) bool { return under(name, n) })
	}
	switch {
	case under(name, "gen") && ours && !in("gen"):
		return "generated code stands alone"
	case under(name, "store") && ours && !in("store"):
		return "the store knows nothing of the API"
	case under(name, "store") && strings.HasPrefix(dep.Module.Path, "connectrpc.com/"):
		return "the store knows nothing of the API"
	case under(name, "sdk") && ours && !in("sdk", "gen"):
		return "the SDK stands on generated code alone"
	case under(name, "sdk/terminal") && slices.Contains(terminalModules, dep.Module.Path):
		return ""
	case under(name, "sdk/terminal") && depName == "sdk":
		return "devices need no more than generated code and gRPC"
	case under(name, "sdk") && !slices.Contains(sdkModules, dep.Module.Path):
		return "partners would have to take it with the SDK"
	case under(name, "examples") && ours && !in("sdk", "gen", "examples"):
		return "examples use what partners have: the SDK"
	case under(name, "server/cmd"):
		return ""
	case under(name, "server") && in("server/cmd", "sdk", "examples"):
		return "only commands may"
	case under(name, "server") && name != "server" && depName == "server":
		return "the wiring imports the services, not they it"
	case isNoun(name) && isNoun(depName) && noun(name) != noun(depName):
		return "services never import each other; what they share is in a package beside them"
	case under(name, "server") && name != "server" && !isNoun(name) && isNoun(depName):
		return "what services share doesn't know them"
	}
	return ""
}

// under says whether a package is a folder's or one below it.
func under(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

// noun is the service's folder of a package under server.
func noun(name string) string {
	parts := strings.SplitN(name, "/", 3)
	return parts[0] + "/" + parts[1]
}

// nouns returns the folders under server of all services that the protos define.
func nouns(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../../proto/tillbook/*/v1/*_service.proto")
	if err != nil || len(found) == 0 {
		t.Fatalf("found no service in the protos: %v", err)
	}
	var out []string
	for _, f := range found {
		out = append(out, "server/"+strings.TrimSuffix(filepath.Base(f), "_service.proto"))
	}
	return out
}

func listPackages(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Standard,Deps,Module", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	pkgs := make(map[string]pkg)
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs[p.ImportPath] = p
	}
}
