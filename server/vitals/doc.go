// Package vitals measures what concerns the whole deployment and no replica can see
// from its own calls: whether the books balance, how old the oldest commit is that
// isn't sealed and the oldest job that isn't done, how terminals stand.
//
// One replica at a time measures, the one that holds an advisory lock on a connection
// of its own; when it goes, another takes over within an interval. When the primary
// moves, all leave the old one, whatever it would still tell. The others tell nothing,
// so an alert takes the maximum over all replicas, and another one rings when nobody
// measures.
//
// What has to read a whole table, such as the sum of all balances, rests fifty times
// as long as it took, so that it never costs the database more than a fiftieth.
package vitals
