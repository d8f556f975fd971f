package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// build builds a revision, or the version before the current one if it is empty, from
// the repository alone, whatever the work tree looks like. It returns which it was.
func build(ctx context.Context, revision, program string) (string, error) {
	if revision == "" {
		revision = before(ctx)
	}
	folder, err := os.MkdirTemp(filepath.Dir(program), "source-")
	if err != nil {
		return "", err
	}
	name, err := git(ctx, "rev-parse", "--verify", "--short", revision+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("this clone has no revision %s to begin with; if it is shallow, `git fetch --deepen 50 --tags` brings what is missing, "+
			"and UPGRADE_FROM names another revision: %w", revision, err)
	}
	archive := filepath.Join(folder, "source.tar")
	if _, err := git(ctx, "archive", "-o", archive, revision); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "tar", "-x", "-f", archive, "-C", folder).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s: %w: %s", revision, err, out)
	}
	compile := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags", "-X main.version="+name, "-o", program, "./server/cmd/tillbook")
	compile.Dir = folder
	if out, err := compile.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", revision, err, out)
	}
	return name, nil
}

// before is the newest tag that isn't the current commit itself, or else the commit
// before it; both on the main line, which is the first parent of each merge.
func before(ctx context.Context) string {
	if tag, err := git(ctx, "describe", "--tags", "--first-parent", "--abbrev=0", "HEAD^"); err == nil {
		return tag
	}
	return "HEAD^"
}

func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
