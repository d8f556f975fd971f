package store

// For the tests, which use storetest and so live in a package of their own.
var (
	MigrateFiles = migrate
	CommitError  = commitError
)
