package rpc

import (
	"testing"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

type position struct {
	Version int64 `json:"v"`
}

func TestAPageTokenGoesOnWhereThePageEnded(t *testing.T) {
	kind := PageKind("List", "ann", "USD")
	token := EncodePageToken(kind, position{42})
	var got position
	if err := DecodePageToken(kind, token, &got); err != nil || got.Version != 42 {
		t.Errorf("%v %v", got, err)
	}
}

func TestAPageTokenOfAnotherListIsRefused(t *testing.T) {
	token := EncodePageToken(PageKind("List", "ann", "USD"), position{42})
	kinds := map[string]string{
		"another procedure":  PageKind("Find", "ann", "USD"),
		"another caller":     PageKind("List", "bob", "USD"),
		"another filter":     PageKind("List", "ann", "EUR"),
		"shifted boundaries": PageKind("List", "annU", "SD"),
	}
	for name, kind := range kinds {
		if reason := ReasonOf(DecodePageToken(kind, token, &position{})); reason != errorv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID {
			t.Errorf("%s: %s", name, reason)
		}
	}
}

func TestADamagedPageTokenIsRefused(t *testing.T) {
	kind := PageKind("List")
	token := EncodePageToken(kind, position{42})
	for i := range len(token) {
		damaged := []byte(token)
		damaged[i] ^= 1
		if ReasonOf(DecodePageToken(kind, string(damaged), &position{})) != errorv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID {
			t.Errorf("damage at %d passes", i)
		}
	}
	for _, bad := range []string{"x", "!!!!", token[:8], token + "AA"} {
		if ReasonOf(DecodePageToken(kind, bad, &position{})) != errorv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestPagesAreBetween1And200(t *testing.T) {
	for asked, want := range map[int32]int{0: 50, 1: 1, 200: 200, 201: 200, -1: 50} {
		if got := PageSize(asked); got != want {
			t.Errorf("%d asked: %d, want %d", asked, got, want)
		}
	}
}
