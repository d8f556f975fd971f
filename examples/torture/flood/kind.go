package flood

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/proto"

	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	tillbook "github.com/tillbook/tillbook/sdk"
)

// Kind is a kind of call.
type Kind int

// The kinds, from what matters most to what matters least.
const (
	Payment Kind = iota
	History
	Watch
	Kinds
)

// String returns the kind's name.
func (k Kind) String() string { return [Kinds]string{"payments", "histories", "watches"}[k] }

// pageSize is how long a history's page is: the longest, which many programs ask for.
const pageSize = 200

// Payer is who calls.
type Payer struct {
	// Name is the username, and Token what authorizes.
	Name, Token string
}

// request is a call that is made beforehand.
type request struct {
	kind Kind
	// path and content are the procedure and the content type.
	path, content, token string
	body                 []byte
	// marks are where in the body the call's number is, as eight hexadecimal digits.
	marks []int
}

// unmarked stands where a payment's number comes: in its key and its note.
const unmarked = "########"

// notePrefix begins the note of a payment, whose number follows.
const notePrefix = "flood "

func digits(n uint32) []byte {
	return hex.AppendEncode(nil, binary.BigEndian.AppendUint32(nil, n))
}

// paymentOf is a payment of a cent.
func paymentOf(from, to Payer) (*request, error) {
	body, err := proto.Marshal(&walletv1.TransferRequest{
		IdempotencyKey: "flood-" + unmarked, Recipient: tillbook.ToUsername(to.Name),
		Amount: &moneyv1.Money{Asset: "USD", Amount: "0.01"}, Note: notePrefix + unmarked,
	})
	if err != nil {
		return nil, err
	}
	r := &request{kind: Payment, path: walletv1connect.WalletServiceTransferProcedure, content: unary, token: from.Token, body: body}
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte(unmarked))
		if i < 0 {
			break
		}
		r.marks = append(r.marks, at+i)
		at += i + len(unmarked)
	}
	if len(r.marks) != 2 {
		return nil, fmt.Errorf("a payment has %d places for its number", len(r.marks))
	}
	return r, nil
}

func historyOf(who Payer) (*request, error) {
	body, err := proto.Marshal(&walletv1.ListTransactionsRequest{PageSize: pageSize})
	return &request{kind: History, path: walletv1connect.WalletServiceListTransactionsProcedure, content: unary, token: who.Token, body: body}, err
}

func watchOf(who Payer) (*request, error) {
	body, err := proto.Marshal(&walletv1.WatchWalletRequest{})
	return &request{
		kind: Watch, path: walletv1connect.WalletServiceWatchWalletProcedure, content: streaming, token: who.Token,
		body: append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...),
	}, err
}

// The content types of the Connect protocol.
const (
	unary     = "application/proto"
	streaming = "application/connect+proto"
)

// number writes the call's number into a copy of the body.
func (r *request) number(into []byte, n uint32) []byte {
	into = append(into[:0], r.body...)
	for _, at := range r.marks {
		copy(into[at:], digits(n))
	}
	return into
}
