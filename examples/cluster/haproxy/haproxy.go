// Package haproxy holds the load balancer's configuration, haproxy.cfg, for package
// stack to fill in. What stands in double braces is what a deployment writes there
// itself.
package haproxy

import _ "embed" // the file

// Config is a text/template.
//
//go:embed haproxy.cfg
var Config string
