package store_test

import (
	"testing"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestWhoRemembersIsToldWhenThePrimaryTakesNoWrites(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	beside, err := s.Beside(t.Context(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(beside.Close)
	told := 0
	store.OnFailover(beside.Pool, func() { told++ })
	if _, err := s.Pool.Exec(t.Context(), "SELECT 1"); err != nil || told != 0 {
		t.Fatalf("told %d times before anything happened: %v", told, err)
	}
	if _, err := s.Pool.Exec(t.Context(), "BEGIN READ ONLY; INSERT INTO rate_limits DEFAULT VALUES"); err == nil || told != 1 {
		t.Errorf("told %d times: %v", told, err)
	}
}
