package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

// dirs are the folders of a stack.
type dirs struct{ root string }

func (d dirs) log(name string) string { return filepath.Join(d.root, "log", name+".log") }
func (d dirs) file(parts ...string) string {
	return filepath.Join(append([]string{d.root}, parts...)...)
}

// make makes the folders. The database's user must be able to pass the first.
func (d dirs) make() error {
	for _, name := range []string{"", "log", "pid", "config"} {
		if err := os.MkdirAll(d.file(name), 0o755); err != nil {
			return err
		}
	}
	return os.Chmod(d.root, 0o755)
}

// fill writes a template with its values to a file.
func fill(path, text string, mode os.FileMode, values any) error {
	t, err := template.New(filepath.Base(path)).Option("missingkey=error").Parse(text)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if err := t.Execute(file, values); err != nil {
		_ = file.Close()
		return fmt.Errorf("fill in %s: %w", path, err)
	}
	return file.Close()
}
