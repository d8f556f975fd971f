package main

import (
	"strings"
	"testing"
)

// Nothing goes in the clear to where others can listen.
func TestWhatGoesInTheClearStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:8081", "127.8.9.1:8081", "[::1]:8081", "[::ffff:127.0.0.1]:8081", "localhost:8081"} {
		if s, err := parse([]string{"-address", address}); err != nil || !s.plaintext {
			t.Errorf("%s: plaintext %t, error %v", address, s.plaintext, err)
		}
	}
	for _, address := range []string{
		"pos.example.com:8081", "localhost.example.com:8081", "192.168.1.7:8081", "0.0.0.0:8081", "[::]:8081", ":8081",
		"pos.example.com", "127.0.0.1", "dns:///pos.example.com:8081", "passthrough:///127.0.0.1:8081", "dns://127.0.0.1:53/pos.example.com:8081", "",
	} {
		if _, err := parse([]string{"-address", address}); err == nil || !strings.Contains(err.Error(), "-tls") {
			t.Errorf("%q: error %v, want one that says -tls", address, err)
		}
		if s, err := parse([]string{"-address", address, "-tls"}); err != nil || s.plaintext {
			t.Errorf("%q with -tls: plaintext %t, error %v", address, s.plaintext, err)
		}
	}
}
