package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheInstalledServerIsFound(t *testing.T) {
	found, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found.Major < oldestMajor {
		t.Errorf("found %+v", found)
	}
	if _, err := os.Stat(filepath.Join(found.Bin, "pg_ctl")); err != nil {
		t.Errorf("%s is no folder of server programs: %v", found.Bin, err)
	}
}

func TestTheNewestServerOfTheUsualFoldersWins(t *testing.T) {
	t.Setenv(BinVariable, "")
	root := t.TempDir()
	for _, version := range []string{"9.6.24", "15.14 (Debian 15.14-0+deb12u1)", "17.6", "16beta1"} {
		programs(t, filepath.Join(root, version[:2], "bin"), version)
	}
	machine := places{folders: []string{filepath.Join(root, "*", "bin")}}
	found, err := machine.find(t.Context(), 0)
	if err != nil || found.Major != 17 || found.Bin != filepath.Join(root, "17", "bin") {
		t.Errorf("found %+v (%v), want 17", found, err)
	}
	found, err = machine.find(t.Context(), 15)
	if err != nil || found.Major != 15 {
		t.Errorf("for data of 15 found %+v (%v)", found, err)
	}
	var other *otherVersion
	if _, err = machine.find(t.Context(), 14); !errors.As(err, &other) || other.installed != 17 {
		t.Errorf("for data of 14: %v", err)
	}
}

func TestTheVariableBeatsWhatIsInstalled(t *testing.T) {
	bin := programs(t, t.TempDir(), "18.1")
	t.Setenv(BinVariable, bin)
	found, err := Find(t.Context())
	if err != nil || found != (Installation{Bin: bin, Major: 18}) {
		t.Errorf("found %+v (%v)", found, err)
	}
}

func TestWithoutAServerTheErrorSaysHowToInstallOne(t *testing.T) {
	t.Setenv(BinVariable, "")
	old := programs(t, t.TempDir(), "9.6.24")
	empty := t.TempDir()
	tests := map[string]struct {
		machine  places
		variable string
		want     string
	}{
		"none":              {places{folders: []string{empty}}, "", installCommand(0)},
		"too old":           {places{folders: []string{old}}, "", installCommand(0)},
		"variable is wrong": {places{}, empty, empty},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv(BinVariable, test.variable)
			_, err := test.machine.find(t.Context(), 0)
			if !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %q, want one that says %q", err, test.want)
			}
			isOneSentence(t, err)
		})
	}
}

func TestAMissingServerLeavesNoFolderBehind(t *testing.T) {
	t.Setenv(BinVariable, t.TempDir())
	dir := newDir(t)
	if _, err := Start(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("started without programs: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder was made for a server that can't run")
	}
}

// isOneSentence checks what every refusal promises to the person who reads it.
func isOneSentence(t *testing.T, err error) {
	t.Helper()
	if strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
		t.Errorf("not one sentence: %q", err)
	}
}
