// Package sandbox serves SandboxService, which stands in for the world outside
// while developing: the phone that receives the codes and the bank from which
// money comes. It takes no credentials, so it is registered only by a server
// that runs with --sandbox.
//
// [Gateway] is the SMS gateway of such a server: it "sends" by writing a row
// that ListMessages reads.
package sandbox
