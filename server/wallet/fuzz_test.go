package wallet

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/ledger"
)

// A resume token that is accepted names only the user's own accounts, no further
// than they are.
func FuzzDecodeResume(f *testing.F) {
	user := uuid.MustParse("0198c2d4-5f0e-7c3a-9f6e-3a1f2b4c5d6e")
	accounts := []ledger.Account{{ID: 3, Version: 7}, {ID: 900, Version: 0}}
	token, err := encodeResume(user, versions{3: 7, 900: 0})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token, []byte{3, 7})
	f.Add("", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x01})
	f.Add("AAAA", []byte{3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, token string, behind []byte) {
		// And behind the checksum, as somebody who knows how it is made.
		data := append(append([]byte{resumeForm}, user[:]...), behind...)
		sum := sha256.Sum256(data)
		sealed := base64.RawURLEncoding.EncodeToString(append(sum[:resumeSumBytes:resumeSumBytes], data...))
		for _, text := range []string{token, sealed} {
			known, err := decodeResume(text, user, accounts)
			if err != nil {
				continue
			}
			for account, version := range known {
				if account != 3 && account != 900 || version < 0 || version > 7 || account == 900 && version > 0 {
					t.Fatalf("%q reads as %v", text, known)
				}
			}
		}
	})
}
