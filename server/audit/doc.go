// Package audit is the service by which operators see who did what. The records
// are written where things are done (package store/audit); here they are only read.
package audit
