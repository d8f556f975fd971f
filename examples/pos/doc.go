// Pos is a terminal in the terminal: the counter of a shop, worked by keys, on package
// sdk/terminal.
//
// Start a server with its native gRPC door (tillbook serve --sandbox --grpc-listen
// 127.0.0.1:8081), let a merchant create a terminal (TerminalService/CreateTerminal),
// and give the counter the activation code, once:
//
//	go run ./examples/pos -code 7KQ2M9XW4T
//
// A server on another machine (-address) is asked with -tls only.
//
// Type an amount and press Enter: the customer scans the code on the screen, or shows a
// payment code, which P charges. C takes the sale back. When it is paid the screen
// turns green and the receipt goes to the printer, which is a file unless -printer
// names a device. How a sale ends otherwise is said in words. A sale that the merchant
// sends to the counter from elsewhere shows up the same way.
//
// # How it is made
//
// A [State] is all that the counter knows. What happens, a key or news of a checkout,
// makes a new state of it and perhaps an [Action]: [State.On]. [Screen] draws a state.
// Neither does anything else, so both are tested as text. The till does the actions, by
// the SDK, and tells what happens.
//
// # What a restart finds
//
// It can be killed at any time. A request without an answer is in the SDK's journal and
// is sent again at the next start; it is executed once. Sales that wait are shown
// again. A receipt is printed inside the handler of the SDK that is told of the
// payment, so a till that dies there is told again, with a warning: it then asks
// somebody to look at the printer, and prints only if told to. It asks at each start
// until it has an answer, since it closes the journal before it lets the handler go.
// Nothing is printed twice unasked, and nothing that was paid is forgotten.
package main
