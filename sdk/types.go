package tillbook

import (
	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
)

// The messages that methods take and return are the generated ones, under
// shorter names. Their fields are documented in the proto files.
type (
	// User is a person with a verified phone number.
	User = authv1.User
	// Challenge asks for a code that was sent by SMS.
	Challenge = authv1.Challenge
	// Session is what has to be kept to stay signed in: treat it as a secret.
	Session = authv1.Session
	// SessionSummary describes a session without its tokens.
	SessionSummary = authv1.SessionSummary
	// RegisterRequest is what Auth.Register takes.
	RegisterRequest = authv1.RegisterRequest
	// LoginRequest is what Auth.Login takes.
	LoginRequest = authv1.LoginRequest
	// ChangePasswordRequest is what Auth.ChangePassword takes.
	ChangePasswordRequest = authv1.ChangePasswordRequest
	// CompletePasswordResetRequest is what Auth.CompletePasswordReset takes.
	CompletePasswordResetRequest = authv1.CompletePasswordResetRequest

	// Balance is what a user has of one asset.
	Balance = walletv1.Balance
	// Recipient names who gets paid: see ToPhone, ToUsername and ToUser.
	Recipient = walletv1.Recipient
	// ResolvedRecipient is who would be paid.
	ResolvedRecipient = walletv1.ResolveRecipientResponse
	// Transaction is one movement of money as one user sees it.
	Transaction = walletv1.Transaction
	// TransferRequest is what Wallet.Transfer takes.
	TransferRequest = walletv1.TransferRequest
	// ListTransactionsRequest filters Wallet.Transactions.
	ListTransactionsRequest = walletv1.ListTransactionsRequest
	// Event is what Wallet.Watch yields: a snapshot or a change.
	Event = walletv1.WatchWalletResponse

	// Asset is something that the ledger counts.
	Asset = ledgerv1.Asset
	// Account holds one asset for one purpose.
	Account = ledgerv1.Account
	// Posting adds a signed amount to an account.
	Posting = ledgerv1.Posting
	// Entry is a posting as it stands in an account's history.
	Entry = ledgerv1.Entry
	// LedgerTransaction is a transaction with all its entries.
	LedgerTransaction = ledgerv1.Transaction
	// GetAccountRequest is what Ledger.Account takes.
	GetAccountRequest = ledgerv1.GetAccountRequest
	// PostTransactionRequest is what Ledger.PostTransaction takes.
	PostTransactionRequest = ledgerv1.PostTransactionRequest
	// TrialBalanceLine sums one asset over one class of accounts.
	TrialBalanceLine = ledgerv1.TrialBalanceLine
	// Verification is what Ledger.Verify found.
	Verification = ledgerv1.VerifyResponse

	// Message is an SMS that the sandbox kept.
	Message = sandboxv1.Message
	// FundRequest is what Sandbox.Fund takes.
	FundRequest = sandboxv1.FundRequest

	// Outcome says what became of a request that moves money.
	Outcome = errorv1.Outcome
)

// What became of a request that moves money.
const (
	// OutcomeUnspecified is the outcome of errors of calls that move no money.
	OutcomeUnspecified = errorv1.Outcome_OUTCOME_UNSPECIFIED
	// OutcomeNotExecuted means that nothing moved.
	OutcomeNotExecuted = errorv1.Outcome_OUTCOME_NOT_EXECUTED
	// OutcomeExecuted means that the money moved before the error happened.
	OutcomeExecuted = errorv1.Outcome_OUTCOME_EXECUTED
	// OutcomeUnknown means that only a retry with the same key can tell.
	OutcomeUnknown = errorv1.Outcome_OUTCOME_UNKNOWN
)
