package tillbook

import (
	auditv1 "github.com/tillbook/tillbook/gen/tillbook/audit/v1"
	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	limitv1 "github.com/tillbook/tillbook/gen/tillbook/limit/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	sealv1 "github.com/tillbook/tillbook/gen/tillbook/seal/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	userv1 "github.com/tillbook/tillbook/gen/tillbook/user/v1"
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
	// ExportStatementRequest is what Wallet.ExportStatement takes.
	ExportStatementRequest = walletv1.ExportStatementRequest
	// ExportLedgerStatementRequest is what Ledger.ExportStatement takes.
	ExportLedgerStatementRequest = ledgerv1.ExportStatementRequest
	// RefundRequest is what Wallet.Refund takes.
	RefundRequest = walletv1.RefundTransactionRequest
	// PaymentRequest is one user's request for money from another.
	PaymentRequest = walletv1.PaymentRequest
	// CreatePaymentRequestRequest is what Wallet.RequestPayment takes.
	CreatePaymentRequestRequest = walletv1.CreatePaymentRequestRequest
	// PayPaymentRequestRequest is what Wallet.PayRequest takes.
	PayPaymentRequestRequest = walletv1.PayPaymentRequestRequest
	// ListPaymentRequestsRequest filters Wallet.PaymentRequests.
	ListPaymentRequestsRequest = walletv1.ListPaymentRequestsRequest
	// WalletHold is money of a user set aside for a payment to come.
	WalletHold = walletv1.Hold
	// ListWalletHoldsRequest filters Wallet.Holds.
	ListWalletHoldsRequest = walletv1.ListHoldsRequest
	// WalletLimits are the limits on a user's money.
	WalletLimits = walletv1.GetLimitsResponse
	// Event is what Wallet.Watch yields: a snapshot or a change.
	Event = walletv1.WatchWalletResponse

	// Checkout is a sale on its way from the counter to the money.
	Checkout = checkoutv1.Checkout
	// FindCheckoutRequest is what Wallet.FindCheckout takes.
	FindCheckoutRequest = walletv1.GetCheckoutRequest
	// FoundCheckout is a sale, or the store whose QR text was scanned.
	FoundCheckout = walletv1.GetCheckoutResponse
	// PayCheckoutRequest is what Wallet.PayCheckout takes.
	PayCheckoutRequest = walletv1.PayCheckoutRequest
	// PaymentCode is what a terminal scans, and until when it works.
	PaymentCode = walletv1.CreatePaymentCodeResponse

	// Terminal is a device that shows checkouts and tells of payments.
	Terminal = terminalv1.Terminal
	// NewTerminal is a terminal and the code that activates it.
	NewTerminal = terminalv1.CreateTerminalResponse
	// ActivationCode is what activates a terminal, and until when it works.
	ActivationCode = terminalv1.ReissueActivationCodeResponse
	// CreateTerminalRequest is what Terminals.Create takes.
	CreateTerminalRequest = terminalv1.CreateTerminalRequest
	// ListTerminalsRequest is what Terminals.All takes.
	ListTerminalsRequest = terminalv1.ListTerminalsRequest
	// SendCommandRequest is what Terminals.Send takes.
	SendCommandRequest = terminalv1.SendCommandRequest

	// Merchant sells.
	Merchant = merchantv1.Merchant
	// MerchantBalance is what a merchant has of one asset.
	MerchantBalance = merchantv1.MerchantBalance
	// SettlementSchedule says when sales become available.
	SettlementSchedule = merchantv1.SettlementSchedule
	// Store is a place where a merchant sells.
	Store = merchantv1.Store
	// Invitation asks somebody to work for a merchant.
	Invitation = merchantv1.Invitation
	// StaffMember is somebody who works for a merchant.
	StaffMember = merchantv1.StaffMember
	// Settlement is the document about one move from pending to available.
	Settlement = merchantv1.Settlement
	// SettlementLine is one sale or refund in a settlement.
	SettlementLine = merchantv1.SettlementLine
	// Shift is the time that somebody works at a terminal or a counter.
	Shift = merchantv1.Shift
	// FeePlan is a set of rates under a name.
	FeePlan = merchantv1.FeePlan
	// DayReport sums a day up.
	DayReport = merchantv1.GetDayReportResponse
	// MerchantEvent is what Merchants.Watch yields: a checkout or an alert.
	MerchantEvent = merchantv1.WatchMerchantResponse
	// CheckoutRefund is what Merchants.Refund did.
	CheckoutRefund = merchantv1.RefundCheckoutResponse
	// Withdrawal is what Merchants.Withdraw did.
	Withdrawal = merchantv1.WithdrawFundsResponse
	// CreateMerchantRequest is what Merchants.Create takes.
	CreateMerchantRequest = merchantv1.CreateMerchantRequest
	// CreateStoreRequest is what Merchants.CreateStore takes.
	CreateStoreRequest = merchantv1.CreateStoreRequest
	// InviteStaffRequest is what Merchants.Invite takes.
	InviteStaffRequest = merchantv1.InviteStaffRequest
	// CreateCheckoutRequest is what Merchants.Sell takes.
	CreateCheckoutRequest = merchantv1.CreateCheckoutRequest
	// ListCheckoutsRequest is what Merchants.Checkouts takes.
	ListCheckoutsRequest = merchantv1.ListCheckoutsRequest
	// CaptureCheckoutRequest is what Merchants.Capture takes.
	CaptureCheckoutRequest = merchantv1.CaptureCheckoutRequest
	// RefundCheckoutRequest is what Merchants.Refund takes.
	RefundCheckoutRequest = merchantv1.RefundCheckoutRequest
	// WithdrawFundsRequest is what Merchants.Withdraw takes.
	WithdrawFundsRequest = merchantv1.WithdrawFundsRequest
	// GetDayReportRequest is what Merchants.DayReport takes.
	GetDayReportRequest = merchantv1.GetDayReportRequest
	// ExportDayReportRequest is what Merchants.ExportDayReport takes.
	ExportDayReportRequest = merchantv1.ExportDayReportRequest
	// OpenShiftRequest is what Merchants.OpenShift takes.
	OpenShiftRequest = merchantv1.OpenShiftRequest

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
	// Hold is money set aside in an account for a payment to come.
	Hold = ledgerv1.Hold
	// CreateHoldRequest is what Ledger.CreateHold takes.
	CreateHoldRequest = ledgerv1.CreateHoldRequest
	// IncreaseHoldRequest is what Ledger.IncreaseHold takes.
	IncreaseHoldRequest = ledgerv1.IncreaseHoldRequest
	// CaptureHoldRequest is what Ledger.CaptureHold takes.
	CaptureHoldRequest = ledgerv1.CaptureHoldRequest
	// Captured is what Ledger.CaptureHold did.
	Captured = ledgerv1.CaptureHoldResponse
	// VoidHoldRequest is what Ledger.VoidHold takes.
	VoidHoldRequest = ledgerv1.VoidHoldRequest
	// ListHoldsRequest filters Ledger.Holds.
	ListHoldsRequest = ledgerv1.ListHoldsRequest
	// RefundTransactionRequest is what Ledger.Refund takes.
	RefundTransactionRequest = ledgerv1.RefundTransactionRequest
	// ReverseTransactionRequest is what Ledger.Reverse takes.
	ReverseTransactionRequest = ledgerv1.ReverseTransactionRequest
	// PostResult is what became of one of several transactions.
	PostResult = ledgerv1.PostResult
	// ImportItem is a transaction of another system.
	ImportItem = ledgerv1.ImportItem
	// TrialBalanceLine sums one asset over one class of accounts.
	TrialBalanceLine = ledgerv1.TrialBalanceLine
	// Verification is what Ledger.Verify found.
	Verification = ledgerv1.VerifyResponse

	// Limit bounds what moves in some accounts.
	Limit = limitv1.Limit
	// LimitScope says whose accounts a limit applies to.
	LimitScope = limitv1.Scope
	// LimitUsage is a limit and how much of it is used.
	LimitUsage = limitv1.LimitUsage
	// Receipt proves that a transaction is sealed: see VerifyReceipt.
	Receipt = sealv1.Receipt
	// SignedCheckpoint is where the log stands, signed, and the log's public key.
	SignedCheckpoint = sealv1.GetCheckpointResponse
	// AuditRecord is one thing that somebody did.
	AuditRecord = auditv1.Record
	// ListRecordsRequest filters Audit.Records.
	ListRecordsRequest = auditv1.ListRecordsRequest
	// ManagedUser is a user as operators see them.
	ManagedUser = userv1.User
	// GetUserRequest is what Users.Get takes.
	GetUserRequest = userv1.GetUserRequest
	// SetTierRequest is what Users.SetTier takes.
	SetTierRequest = userv1.SetTierRequest
	// EraseUserRequest is what Users.Erase takes.
	EraseUserRequest = userv1.EraseUserRequest

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
