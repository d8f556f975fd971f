package server

import "syscall"

const (
	// mostConnections is what a door has open at the most, if it isn't told otherwise.
	mostConnections = 50_000
	// usualFiles is what is assumed where the system doesn't say.
	usualFiles = 1024
)

// defaultConnections leaves a fifth of the files that the process may open to the
// database and everything else, and shares the rest between the doors.
func defaultConnections() int {
	files := uint64(usualFiles)
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		files = limit.Cur
	}
	return int(max(1, min(files/5*2, mostConnections)))
}
