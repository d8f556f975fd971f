package store

import (
	"syscall"
	"time"
)

// silenceTimeout is how long what was sent may stay unacknowledged before the
// connection is given up. Without it that takes a quarter of an hour.
const silenceTimeout = 10 * time.Second

const tcpUserTimeout = 18 // TCP_USER_TIMEOUT; package syscall lacks it

// giveUpSilence has the kernel notice a host that vanished without a word. A
// database behind a Unix socket can't vanish.
func giveUpSilence(network, _ string, c syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	var err error
	controlErr := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silenceTimeout.Milliseconds()))
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}
