// Command tillbook runs a Tillbook server and looks after its database.
//
// Every command takes its settings from flags or from environment variables:
// --data-dir is TILLBOOK_DATA_DIR, and so on. Where a command needs a database
// and none is named by --database-url, it is the private one that `tillbook
// serve` keeps in the data folder. A command that finds it stopped starts it for
// as long as it takes; one that finds it running joins in.
//
// Each command is a file: flags and help at the top, then what it does. What
// they share is in database.go (reaching the database), signals.go (Ctrl-C) and
// failure.go (how an error reads to a person, and the exit code).
package main
