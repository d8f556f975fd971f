// Package terminal is the device side of a point-of-sale terminal.
//
// A [Terminal] is activated once, with the code that the merchant was given, and then
// runs: it keeps a session open, tells its handlers what happens, and sells.
//
//	t, err := terminal.New(terminal.Config{
//		Address:  "pos.example.com:443",
//		Keys:     terminal.FileKeys("/var/lib/pos/key.json"),
//		Journal:  journal, // terminal.OpenJournal("/var/lib/pos/journal")
//		Handlers: terminal.Handlers{Event: show},
//	})
//	…
//	err = t.Run(ctx)
//
// # Once
//
// Every event has a number, and the server sends it until the device has
// acknowledged it. The [Journal] notes an event before its handler is called and
// again after, and only then it is acknowledged. So the handler gets each event once,
// in order, whatever breaks: the connection, the server or the device. There are two
// exceptions. A device that dies inside the handler can't know how far that came, so
// the event comes again with Maybe set. And a server whose database has lost its last
// seconds doesn't know the device's last event any more; the device then goes on after
// what it had acknowledged, with Maybe set where it may have been before. A handler
// that prints the receipt of what was paid looks there: it may have been printed.
//
// Requests that make a checkout or charge a payment code are noted before they are
// sent, with their idempotency key. What has no answer when the device comes back is
// in [Terminal.Pending]; sending it again by [Terminal.Retry] executes it at most
// once, and answers what became of it.
//
// # Who it is
//
// The private key is made on the device and never leaves it. Each call carries an
// assertion that is signed with it and good for this call alone. A clock that is wrong
// doesn't matter: the device learns from the server by how much.
//
// The package needs generated messages and gRPC, and nothing else.
package terminal
