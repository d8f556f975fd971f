package tillbook_test

import (
	"net/http"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"connectrpc.com/connect/v2"

	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/server/rpc"
)

// Credentials go to the procedures that ask for them and to no other, and every
// request that moves money has a key: the server's own table says which those
// are.
func TestTheClientAndTheServersPoliciesAgree(t *testing.T) {
	var bearer string
	catch := roundTripper(func(r *http.Request) (*http.Response, error) {
		bearer = r.Header.Get("Authorization")
		return nil, http.ErrServerClosed
	})
	client, err := tillbook.New("http://tillbook.test",
		tillbook.WithHTTPClient(&http.Client{Transport: catch}), tillbook.WithRetries(0),
		tillbook.WithOperatorKey("operator"), tillbook.WithSession(&tillbook.Session{AccessToken: "user", AccessExpireTime: never}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	wants := map[rpc.Access]string{rpc.Public: "", rpc.Sandbox: "", rpc.User: "Bearer user", rpc.Operator: "Bearer operator"}
	checked := 0
	for procedure, policy := range rpc.Policies {
		method := methodOf(procedure)
		if method == nil {
			continue // Not Tillbook's, such as reflection.
		}
		if policy.Access == rpc.Terminal {
			continue // For package terminal, which signs each call.
		}
		checked++
		spec := connect.Spec{Procedure: procedure, Schema: method}
		err := client.RPC().CallUnary(t.Context(), spec, dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output()))
		if want := wants[policy.Access]; bearer != want {
			t.Errorf("%s was sent with the credentials %q, want %q", procedure, bearer, want)
		}
		e := asError(t, err)
		if noKey[procedure] || (e.IdempotencyKey != "") == (policy.Money && !keysInItems[procedure]) &&
			(e.Outcome != tillbook.OutcomeUnspecified) == policy.Money {
			continue
		}
		t.Errorf("%s: key %q and outcome %v; money moves: %v", procedure, e.IdempotencyKey, e.Outcome, policy.Money)
	}
	if checked < 20 {
		t.Errorf("only %d procedures were checked", checked)
	}
}

// keysInItems are procedures whose requests have a key for each item.
var keysInItems = map[string]bool{"/tillbook.ledger.v1.LedgerService/PostTransactions": true}

// noKey are procedures that move money without a key, or none although they have
// one.
var noKey = map[string]bool{
	"/tillbook.ledger.v1.LedgerService/ImportTransactions":   true,
	"/tillbook.wallet.v1.WalletService/CreatePaymentRequest": true,
	"/tillbook.merchant.v1.MerchantService/CreateMerchant":   true,
	"/tillbook.merchant.v1.MerchantService/CreateStore":      true,
	"/tillbook.merchant.v1.MerchantService/InviteStaff":      true,
	"/tillbook.merchant.v1.MerchantService/CreateCheckout":   true,
	"/tillbook.merchant.v1.MerchantService/CancelCheckout":   true,
	"/tillbook.merchant.v1.MerchantService/OpenShift":        true,
	"/tillbook.terminal.v1.TerminalService/CreateTerminal":   true,
}

// methodOf finds a procedure of this API in the schema.
func methodOf(procedure string) protoreflect.MethodDescriptor {
	var found protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				if "/"+string(m.Parent().FullName())+"/"+string(m.Name()) == procedure {
					found = m
				}
			}
		}
		return found == nil
	})
	if found != nil && found.ParentFile().Package().Parent().Parent() == "tillbook" {
		return found
	}
	return nil
}
