// Package alertmanager holds the configuration of Alertmanager, which tells people of
// alerts by e-mail and by webhook. Prometheus decides what is an alert; here stands who
// is told, how often, and of what nobody is because something worse is known.
package alertmanager

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

// Config says where alerts go.
type Config struct {
	// SMTP is the host and port of the server that takes mail.
	SMTP string
	// From and To are the addresses of sender and receivers.
	From, To string
	// TLS is whether mail must be encrypted on its way there.
	TLS bool
	// Webhook is the URL that gets pages as JSON, too.
	Webhook string
	// Wait is how long alerts of a kind are collected before the first mail. Default
	// "10s".
	Wait string

	// Dir is the folder with the templates; Write sets it.
	Dir string
}

//go:embed alertmanager.yaml
var config string

//go:embed mail.tmpl
var mail []byte

// Write writes alertmanager.yaml and what it names into a folder, and returns the
// path of the first.
func Write(dir string, cfg Config) (path string, err error) {
	cfg.Dir = dir
	if cfg.Wait == "" {
		cfg.Wait = "10s"
	}
	filled, err := template.New("alertmanager.yaml").Delims("[[", "]]").Parse(config)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "alertmanager.yaml")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return "", err
	}
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	if err := filled.Execute(file, cfg); err != nil {
		return "", fmt.Errorf("fill in %s: %w", path, err)
	}
	return path, os.WriteFile(filepath.Join(dir, "mail.tmpl"), mail, 0o644)
}
