package main

// What the parent and its client processes say to each other, as JSON, one value
// after the other, over the client's standard input and output.

// clientMode is the argument that makes this program a client process.
const clientMode = "client"

// order is what a client process is told to do. It answers each one when it is done.
type order struct {
	// Begin is the first order: activate the terminals and register the customers.
	Begin *beginning `json:",omitempty"`
	// Connect brings all terminals online and keeps them there.
	Connect bool `json:",omitempty"`
	// Pay begins to make that many payments a second.
	Pay int `json:",omitempty"`
	// Rest ends the payments, and waits for what is under way.
	Rest bool `json:",omitempty"`
}

// beginning is what a client process needs to know.
type beginning struct {
	Replicas []address
	// Shops have the activation codes of their terminals.
	Shops []shop
	// Terminals at one connection, customers, and handshakes under way at a time.
	PerConnection, Customers, Handshakes int
	SpreadMS                             int
}

// shop is a store with its terminals' activation codes.
type shop struct {
	IP    string
	Codes []string
}

// address is where a replica is.
type address struct{ HTTP, GRPC string }

// news is what a client process says: how it goes, several times a second, or the
// answer to an order.
type news struct {
	Status *state  `json:",omitempty"`
	Answer *answer `json:",omitempty"`
}

// state is how a client process is doing. All but Online only ever grows.
type state struct {
	Online     []int // by replica
	Handshakes int
	Heartbeats int
	Created    int // checkouts
	Paid       int
	Late       int // payments that weren't begun because too many were under way
	Errors     map[string]int
}

// answer says that an order is done.
type answer struct {
	Failed string `json:",omitempty"`
	// OfferedUS and PaidUS are how long pushes took since the last order that asked,
	// in microseconds.
	OfferedUS, PaidUS []int64
	// The rest is the answer to Rest: deliveries, and cents that customers were given,
	// paid by what they were told, and have left.
	Lost, Doubled          int
	Unknown                int // payments whose outcome can't be learned
	Funded, Spent, Balance int64
	// Sold is what was paid, in cents by merchant.
	Sold map[string]int64
}
