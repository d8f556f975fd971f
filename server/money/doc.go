// Package money is the border between amounts as clients write them and as the
// ledger counts them.
//
// On the wire money is a decimal string of major units with the code of its
// asset; in the ledger it is an exact integer of the asset's smallest unit.
// [Parse] and [ParsePositive] go in and refuse what the asset can't hold, each
// refusal with its public reason and the field that it is about; [Format] goes
// out, always with exactly the asset's number of decimals, so that the same
// amount always reads the same.
//
// The package also knows under which codes the accounts of users and of the
// world outside stand, since every noun that moves money needs the same answer.
package money
