// Package doctor looks a deployment over: the database, its settings and standbys,
// the schema and who may do what with it, the keys, and the replicas. It changes
// nothing.
//
// Each check asks the database and judges the answer in a function of its own. What
// it finds is a [Finding]: fine, a warning, or a failure, each with what to do about
// it. What the database's role may not see is a warning, too, never silence.
//
// Which indexes and constraints there should be is in catalogue.txt, as a freshly
// migrated database has them. A test compares, and writes the file anew with
//
//	go test ./server/doctor -run TestTheCatalogue -update
package doctor
