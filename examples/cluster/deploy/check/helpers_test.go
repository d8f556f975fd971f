package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// header is what every manifest begins with.
type header struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
}

func decodeLoosely(t *testing.T, name string) (h header) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(manifests, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// allSettings are those of the ConfigMap, and those that it has in comments as examples.
func allSettings(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(manifests, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var config corev1.ConfigMap
	text = regexp.MustCompile(`(?m)^  # (TILLBOOK_[A-Z_]+: )`).ReplaceAll(text, []byte("  $1"))
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		t.Fatal(err)
	}
	return config.Data
}

// typeName is a type's name without its package.
func typeName[T any]() string {
	var zero T
	name := fmt.Sprintf("%T", zero)
	return name[strings.LastIndexByte(name, '.')+1:]
}

// number is the one that a pattern finds in a file.
func number(t *testing.T, path, pattern string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(pattern).FindSubmatch(text)
	if m == nil {
		t.Fatalf("%s says nothing like %s", path, pattern)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
