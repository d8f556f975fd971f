package embedded

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// BinVariable is the environment variable that names the folder of PostgreSQL's
// server programs. When it is set nothing else is looked at.
const BinVariable = "TILLBOOK_POSTGRES_BIN"

// oldestMajor is the oldest major version that is still maintained.
const oldestMajor = 14

// Installation is a PostgreSQL that is installed on this machine.
type Installation struct {
	// Bin is the folder of its programs: postgres, initdb, pgbench, ...
	Bin string
	// Major is its major version, such as 15.
	Major int
}

// Find returns the PostgreSQL to use: the folder that TILLBOOK_POSTGRES_BIN
// names, else the one of pg_config or postgres on the PATH, else the newest in
// the usual folders of Debian, Red Hat, Homebrew and Postgres.app.
func Find(ctx context.Context) (Installation, error) {
	return places{}.find(ctx, 0)
}

// usualFolders are patterns. The newest version among all of them wins.
var usualFolders = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/usr/local/pgsql/bin",
	"/usr/libexec/postgresql*",
}

// places says where to look; the zero value means this machine.
type places struct {
	// folders replaces everything but the environment variable, for tests.
	folders []string
}

// find returns the installation to use, of the given major version unless that
// is 0.
func (p places) find(ctx context.Context, major int) (Installation, error) {
	if bin := os.Getenv(BinVariable); bin != "" {
		found, err := inspect(ctx, bin)
		if ctx.Err() != nil {
			return Installation{}, ctx.Err()
		}
		if err != nil {
			return Installation{}, refuse(ErrNotInstalled,
				"%s is %s, but that folder has no working postgres and initdb: correct it or unset it", BinVariable, bin)
		}
		return choose([]Installation{found}, major)
	}
	found := p.installed(ctx)
	if err := ctx.Err(); err != nil {
		return Installation{}, err
	}
	return choose(found, major)
}

// choose takes the first that fits.
func choose(found []Installation, major int) (Installation, error) {
	if len(found) == 0 {
		return Installation{}, refuse(ErrNotInstalled, "no PostgreSQL server is installed: run `%s`, or name the folder of its programs in %s",
			installCommand(0), BinVariable)
	}
	for _, i := range found {
		if i.Major == major || major == 0 && i.Major >= oldestMajor {
			return i, nil
		}
	}
	if major == 0 {
		return Installation{}, refuse(ErrNotInstalled, "PostgreSQL %d is too old, %d or newer is needed: run `%s`",
			found[0].Major, oldestMajor, installCommand(0))
	}
	return Installation{}, &otherVersion{made: major, installed: found[0].Major}
}

// otherVersion becomes a refusal where the folder's name is known.
type otherVersion struct{ made, installed int }

func (o *otherVersion) Error() string {
	return fmt.Sprintf("PostgreSQL %d is installed, not %d", o.installed, o.made)
}

func (p places) installed(ctx context.Context) []Installation {
	var found []Installation
	add := func(bins ...string) {
		for _, bin := range bins {
			if i, err := inspect(ctx, bin); err == nil && !slices.Contains(found, i) {
				found = append(found, i)
			}
		}
	}
	folders := p.folders
	if folders == nil {
		add(onPath(ctx)...)
		folders = usualFolders
	}
	onPath := len(found)
	for _, pattern := range folders {
		bins, _ := filepath.Glob(pattern)
		add(bins...)
	}
	slices.SortStableFunc(found[onPath:], func(a, b Installation) int { return cmp.Compare(b.Major, a.Major) })
	return found
}

func onPath(ctx context.Context) []string {
	var bins []string
	if out, err := run(ctx, "pg_config", "--bindir"); err == nil {
		bins = append(bins, out)
	}
	if postgres, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(postgres); err == nil {
			bins = append(bins, filepath.Dir(real))
		}
	}
	return bins
}

var versionForm = regexp.MustCompile(`PostgreSQL\) (\d+)`)

// inspect asks the programs of a folder for their version.
func inspect(ctx context.Context, bin string) (Installation, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return Installation{}, err
	}
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		return Installation{}, err
	}
	out, err := run(ctx, filepath.Join(bin, "postgres"), "--version")
	if err != nil {
		return Installation{}, err
	}
	match := versionForm.FindStringSubmatch(out)
	if match == nil {
		return Installation{}, fmt.Errorf("%s/postgres has the unknown version %q", bin, out)
	}
	major, err := strconv.Atoi(match[1])
	return Installation{Bin: bin, Major: major}, err
}

func run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	for len(out) > 0 && out[len(out)-1] == '\n' {
		out = out[:len(out)-1]
	}
	return string(out), err
}

// installCommand is what a person types to install a major version, or the
// usual one for 0.
func installCommand(major int) string {
	switch {
	case runtime.GOOS == "darwin" && major == 0:
		return "brew install postgresql"
	case runtime.GOOS == "darwin":
		return fmt.Sprintf("brew install postgresql@%d", major)
	}
	command := "apt install postgresql"
	if major != 0 {
		command += fmt.Sprintf("-%d", major)
	}
	if os.Geteuid() != 0 {
		command = "sudo " + command
	}
	return command
}
