package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// Opaque tokens are 256 bits behind a prefix, by which people and secret scanners
// know what leaked.
const (
	refreshPrefix = "tbr_"
	devicePrefix  = "tbd_"
	opaqueBytes   = 32
)

// opaque is the bits of a token.
type opaque [opaqueBytes]byte

func drawOpaque(random io.Reader) (opaque, error) {
	var o opaque
	if _, err := io.ReadFull(random, o[:]); err != nil {
		return o, fmt.Errorf("draw a token: %w", err)
	}
	return o, nil
}

// parseOpaque reads what text writes, in that one form only.
func parseOpaque(prefix, text string) (opaque, bool) {
	body, ok := strings.CutPrefix(text, prefix)
	if !ok || len(body) != base64.RawURLEncoding.EncodedLen(opaqueBytes) {
		return opaque{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(raw) != opaqueBytes { // decoding skips line ends
		return opaque{}, false
	}
	return opaque(raw), true
}

func (o opaque) text(prefix string) string {
	return prefix + base64.RawURLEncoding.EncodeToString(o[:])
}

// hash is what is stored. 256 random bits need no salt and no slow hash.
func (o opaque) hash() []byte {
	sum := sha256.Sum256(o[:])
	return sum[:]
}

// successor derives the refresh token that follows. Whoever holds a token and
// not the server's key can't.
func (o opaque) successor(key []byte) opaque {
	mac := hmac.New(sha256.New, key)
	mac.Write(o[:])
	return opaque(mac.Sum(nil))
}
