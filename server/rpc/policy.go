package rpc

import (
	"time"

	"github.com/tillbook/tillbook/gen/tillbook/audit/v1/auditv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/limit/v1/limitv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/seal/v1/sealv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/user/v1/userv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
)

// Access says who may call a procedure. Its zero value is nobody.
type Access uint8

const (
	// Denied is for nobody. It is what a procedure has that isn't in the table.
	Denied Access = iota
	// Public is for everybody, signed in or not.
	Public
	// User is for signed-in users.
	User
	// Operator is for operators.
	Operator
	// Terminal is for activated terminals.
	Terminal
	// Sandbox is for everybody, and the procedure exists only in sandbox mode.
	Sandbox
)

// looksUp tells whether it takes the database to know who calls.
func (a Access) looksUp() bool { return a == User || a == Operator || a == Terminal }

// Policy says who may call a procedure, and what is at stake.
type Policy struct {
	// Access says who may call it.
	Access Access
	// Money is true if the procedure moves money; then each of its errors says
	// what became of the request.
	Money bool
	// Timeout is how long the procedure may take if that is longer than others
	// may.
	Timeout time.Duration
	// Priority says what is turned away first when there is too much to do. Default:
	// what follows from the other fields.
	Priority Priority
	// Plumbing is true for what infrastructure calls all the time, such as
	// health checks: what callers do wrong there is not logged.
	Plumbing bool
}

// Policies is the policy of every procedure that Tillbook serves. What isn't
// here is refused.
var Policies = map[string]Policy{
	authv1connect.AuthServiceRegisterProcedure:              {Access: Public},
	authv1connect.AuthServiceVerifyPhoneProcedure:           {Access: Public},
	authv1connect.AuthServiceResendCodeProcedure:            {Access: Public},
	authv1connect.AuthServiceLoginProcedure:                 {Access: Public},
	authv1connect.AuthServiceVerifyLoginProcedure:           {Access: Public},
	authv1connect.AuthServiceRefreshProcedure:               {Access: Public},
	authv1connect.AuthServiceLogoutProcedure:                {Access: User},
	authv1connect.AuthServiceListSessionsProcedure:          {Access: User, Priority: PriorityHistory},
	authv1connect.AuthServiceRevokeSessionProcedure:         {Access: User},
	authv1connect.AuthServiceChangePasswordProcedure:        {Access: User},
	authv1connect.AuthServiceStartPasswordResetProcedure:    {Access: Public},
	authv1connect.AuthServiceCompletePasswordResetProcedure: {Access: Public},
	authv1connect.AuthServiceGetMeProcedure:                 {Access: User},

	walletv1connect.WalletServiceGetWalletProcedure:             {Access: User},
	walletv1connect.WalletServiceResolveRecipientProcedure:      {Access: User},
	walletv1connect.WalletServiceTransferProcedure:              {Access: User, Money: true},
	walletv1connect.WalletServiceGetTransactionProcedure:        {Access: User},
	walletv1connect.WalletServiceListTransactionsProcedure:      {Access: User, Priority: PriorityHistory},
	walletv1connect.WalletServiceWatchWalletProcedure:           {Access: User, Priority: PriorityWatch},
	walletv1connect.WalletServiceRefundTransactionProcedure:     {Access: User, Money: true},
	walletv1connect.WalletServiceCreatePaymentRequestProcedure:  {Access: User},
	walletv1connect.WalletServicePayPaymentRequestProcedure:     {Access: User, Money: true},
	walletv1connect.WalletServiceDeclinePaymentRequestProcedure: {Access: User},
	walletv1connect.WalletServiceCancelPaymentRequestProcedure:  {Access: User},
	walletv1connect.WalletServiceGetPaymentRequestProcedure:     {Access: User},
	walletv1connect.WalletServiceListPaymentRequestsProcedure:   {Access: User, Priority: PriorityHistory},
	walletv1connect.WalletServiceListHoldsProcedure:             {Access: User, Priority: PriorityHistory},
	walletv1connect.WalletServiceGetReceiptProcedure:            {Access: User, Priority: PriorityHistory},
	walletv1connect.WalletServiceGetLimitsProcedure:             {Access: User},
	walletv1connect.WalletServiceExportStatementProcedure:       {Access: User, Priority: PriorityHistory},
	walletv1connect.WalletServiceGetCheckoutProcedure:           {Access: User},
	walletv1connect.WalletServicePayCheckoutProcedure:           {Access: User, Money: true},
	walletv1connect.WalletServiceDeclineCheckoutProcedure:       {Access: User},
	walletv1connect.WalletServiceCreatePaymentCodeProcedure:     {Access: User},

	merchantv1connect.MerchantServiceCreateMerchantProcedure:        {Access: User},
	merchantv1connect.MerchantServiceGetMerchantProcedure:           {Access: User},
	merchantv1connect.MerchantServiceListMerchantsProcedure:         {Access: User, Priority: PriorityHistory},
	merchantv1connect.MerchantServiceSetSettlementScheduleProcedure: {Access: User},
	merchantv1connect.MerchantServiceCreateStoreProcedure:           {Access: User},
	merchantv1connect.MerchantServiceListStoresProcedure:            {Access: User, Priority: PriorityHistory},
	merchantv1connect.MerchantServiceInviteStaffProcedure:           {Access: User},
	merchantv1connect.MerchantServiceListInvitationsProcedure:       {Access: User, Priority: PriorityHistory},
	merchantv1connect.MerchantServiceAcceptInvitationProcedure:      {Access: User},
	merchantv1connect.MerchantServiceDeclineInvitationProcedure:     {Access: User},
	merchantv1connect.MerchantServiceCancelInvitationProcedure:      {Access: User},
	merchantv1connect.MerchantServiceListStaffProcedure:             {Access: User, Priority: PriorityHistory},
	merchantv1connect.MerchantServiceRemoveStaffProcedure:           {Access: User},
	merchantv1connect.MerchantServiceCreateCheckoutProcedure:        {Access: User},
	merchantv1connect.MerchantServiceGetCheckoutProcedure:           {Access: User},
	merchantv1connect.MerchantServiceListCheckoutsProcedure:         {Access: User, Priority: PriorityHistory},
	merchantv1connect.MerchantServiceWatchMerchantProcedure:         {Access: User, Priority: PriorityWatch},
	merchantv1connect.MerchantServiceListSettlementsProcedure:       {Access: User, Priority: PriorityHistory},
	merchantv1connect.MerchantServiceGetSettlementProcedure:         {Access: User, Priority: PriorityHistory},
	merchantv1connect.MerchantServiceGetDayReportProcedure:          {Access: User, Priority: PriorityHistory},
	merchantv1connect.MerchantServiceExportDayReportProcedure:       {Access: User, Priority: PriorityHistory},
	merchantv1connect.MerchantServiceOpenShiftProcedure:             {Access: User},
	merchantv1connect.MerchantServiceCloseShiftProcedure:            {Access: User},
	merchantv1connect.MerchantServiceListShiftsProcedure:            {Access: User, Priority: PriorityHistory},
	merchantv1connect.MerchantServiceCancelCheckoutProcedure:        {Access: User, Money: true},
	merchantv1connect.MerchantServiceCaptureCheckoutProcedure:       {Access: User, Money: true},
	merchantv1connect.MerchantServiceRefundCheckoutProcedure:        {Access: User, Money: true},
	merchantv1connect.MerchantServiceWithdrawFundsProcedure:         {Access: User, Money: true},
	merchantv1connect.MerchantServiceSetFeePlanProcedure:            {Access: Operator},
	merchantv1connect.MerchantServiceListFeePlansProcedure:          {Access: Operator, Priority: PriorityHistory},
	merchantv1connect.MerchantServiceAssignFeePlanProcedure:         {Access: Operator},

	terminalv1connect.TerminalServiceCreateTerminalProcedure:        {Access: User},
	terminalv1connect.TerminalServiceReissueActivationCodeProcedure: {Access: User},
	terminalv1connect.TerminalServiceGetTerminalProcedure:           {Access: User},
	terminalv1connect.TerminalServiceListTerminalsProcedure:         {Access: User, Priority: PriorityHistory},
	terminalv1connect.TerminalServiceSendCommandProcedure:           {Access: User},
	terminalv1connect.TerminalServiceRevokeTerminalProcedure:        {Access: User},
	terminalv1connect.TerminalServiceActivateProcedure:              {Access: Public},
	terminalv1connect.TerminalServiceSessionProcedure:               {Access: Terminal, Priority: PrioritySession},
	terminalv1connect.TerminalServiceCreateCheckoutProcedure:        {Access: Terminal},
	terminalv1connect.TerminalServiceCancelCheckoutProcedure:        {Access: Terminal, Money: true},
	terminalv1connect.TerminalServiceGetCheckoutProcedure:           {Access: Terminal},
	terminalv1connect.TerminalServiceChargePaymentCodeProcedure:     {Access: Terminal, Money: true},

	ledgerv1connect.LedgerServiceListAssetsProcedure:         {Access: Operator},
	ledgerv1connect.LedgerServiceCreateAssetProcedure:        {Access: Operator},
	ledgerv1connect.LedgerServiceGetAccountProcedure:         {Access: Operator},
	ledgerv1connect.LedgerServiceListEntriesProcedure:        {Access: Operator, Priority: PriorityHistory},
	ledgerv1connect.LedgerServiceGetTransactionProcedure:     {Access: Operator},
	ledgerv1connect.LedgerServicePostTransactionProcedure:    {Access: Operator, Money: true},
	ledgerv1connect.LedgerServiceGetTrialBalanceProcedure:    {Access: Operator, Priority: PriorityHistory},
	ledgerv1connect.LedgerServiceVerifyProcedure:             {Access: Operator, Priority: PriorityHistory, Timeout: 30 * time.Minute},
	ledgerv1connect.LedgerServiceCreateHoldProcedure:         {Access: Operator, Money: true},
	ledgerv1connect.LedgerServiceIncreaseHoldProcedure:       {Access: Operator, Money: true},
	ledgerv1connect.LedgerServiceCaptureHoldProcedure:        {Access: Operator, Money: true},
	ledgerv1connect.LedgerServiceVoidHoldProcedure:           {Access: Operator, Money: true},
	ledgerv1connect.LedgerServiceGetHoldProcedure:            {Access: Operator},
	ledgerv1connect.LedgerServiceListHoldsProcedure:          {Access: Operator, Priority: PriorityHistory},
	ledgerv1connect.LedgerServiceRefundTransactionProcedure:  {Access: Operator, Money: true},
	ledgerv1connect.LedgerServiceReverseTransactionProcedure: {Access: Operator, Money: true},
	ledgerv1connect.LedgerServicePostTransactionsProcedure:   {Access: Operator, Money: true},
	ledgerv1connect.LedgerServiceImportTransactionsProcedure: {Access: Operator, Money: true},
	ledgerv1connect.LedgerServiceGetReceiptProcedure:         {Access: Operator, Priority: PriorityHistory},
	ledgerv1connect.LedgerServiceGetImportProcedure:          {Access: Operator},
	ledgerv1connect.LedgerServiceExportStatementProcedure:    {Access: Operator, Priority: PriorityHistory},

	limitv1connect.LimitServiceSetLimitProcedure:    {Access: Operator},
	limitv1connect.LimitServiceDeleteLimitProcedure: {Access: Operator},
	limitv1connect.LimitServiceListLimitsProcedure:  {Access: Operator, Priority: PriorityHistory},
	limitv1connect.LimitServiceGetUsageProcedure:    {Access: Operator},

	auditv1connect.AuditServiceListRecordsProcedure: {Access: Operator, Priority: PriorityHistory},

	sealv1connect.SealServiceGetCheckpointProcedure:       {Access: Public, Priority: PriorityHistory},
	sealv1connect.SealServiceGetConsistencyProofProcedure: {Access: Public, Priority: PriorityHistory},

	userv1connect.UserServiceGetUserProcedure:   {Access: Operator},
	userv1connect.UserServiceSetTierProcedure:   {Access: Operator},
	userv1connect.UserServiceEraseUserProcedure: {Access: Operator, Timeout: 10 * time.Minute},

	sandboxv1connect.SandboxServiceListMessagesProcedure: {Access: Sandbox},
	sandboxv1connect.SandboxServiceFundProcedure:         {Access: Sandbox, Money: true},

	"/grpc.health.v1.Health/Check":                                   {Access: Public, Plumbing: true},
	"/grpc.health.v1.Health/List":                                    {Access: Public, Plumbing: true},
	"/grpc.health.v1.Health/Watch":                                   {Access: Public, Plumbing: true},
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {Access: Public, Plumbing: true},
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {Access: Public, Plumbing: true},
}
