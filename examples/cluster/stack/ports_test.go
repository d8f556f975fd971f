package stack

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

func TestATakenPortNamesWhoHasIt(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	err = free(listener.Addr().(*net.TCPAddr).Port)
	if want := fmt.Sprintf("process %d, listens there", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q", err, want)
	}
}
