package store_test

import (
	"errors"
	"regexp"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestAnOperatorIsFoundByItsKeyUntilItIsRevoked(t *testing.T) {
	t.Parallel()
	url := storetest.NewDatabase(t)
	owner := storetest.Open(t, store.Config{URL: url, Role: store.NoRole})
	serving := storetest.Open(t, store.Config{URL: url})

	operator, key, err := owner.CreateOperator(t.Context(), "back-office")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^tbk_[0-9a-hjkmnp-tv-z]{52}$`).MatchString(key) {
		t.Errorf("the key is %q", key)
	}
	found, err := serving.Queries().FindOperatorByKeyHash(t.Context(), store.HashOperatorKey(key))
	if err != nil || found.ID != operator.ID || found.Name != "back-office" {
		t.Errorf("found %+v (%v), want %+v", found, err, operator)
	}
	_, err = serving.Queries().FindOperatorByKeyHash(t.Context(), store.HashOperatorKey(key+"x"))
	if !errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("another key: %v", err)
	}
	if err := owner.RevokeOperator(t.Context(), "back-office"); err != nil {
		t.Fatal(err)
	}
	_, err = serving.Queries().FindOperatorByKeyHash(t.Context(), store.HashOperatorKey(key))
	if !errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("a revoked key: %v", err)
	}
	if err := owner.RevokeOperator(t.Context(), "back-office"); !errors.Is(err, store.ErrOperatorNotFound) {
		t.Errorf("revoking twice: %v", err)
	}
	records, err := serving.Queries().ListAuditRecords(t.Context(), store.ListAuditRecordsParams{
		BeforeID: uuid.Max, Subject: "operator/" + id.Format(id.Operator, operator.ID), MaxRows: 10,
	})
	if err != nil || len(records) != 2 || records[0].Action != "operator.revoked" || records[1].Action != "operator.created" ||
		records[0].ActorKind != "system" || records[1].ActorKind != "system" {
		t.Errorf("recorded %+v (%v), want that it was made and revoked, once each", records, err)
	}
}

func TestOperatorsHaveProperNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	owner := storetest.Open(t, store.Config{URL: storetest.NewDatabase(t), Role: store.NoRole})
	if _, _, err := owner.CreateOperator(t.Context(), "ops@example.com"); err != nil {
		t.Fatal(err)
	}
	tests := map[string]error{
		"ops@example.com": store.ErrOperatorExists,
		"":                store.ErrOperatorName,
		"Capital":         store.ErrOperatorName,
		"two words":       store.ErrOperatorName,
		"line\nbreak":     store.ErrOperatorName,
	}
	for name, want := range tests {
		if _, _, err := owner.CreateOperator(t.Context(), name); !errors.Is(err, want) {
			t.Errorf("the name %q: %v, want %v", name, err, want)
		}
	}
	operators, err := owner.Queries().ListOperators(t.Context())
	if err != nil || len(operators) != 1 || operators[0].LiveKeys != 1 {
		t.Errorf("listed %+v (%v)", operators, err)
	}
}

func TestTheServingRoleCantMakeOrRevokeOperators(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	if _, _, err := s.CreateOperator(t.Context(), "intruder"); !isDenied(err) {
		t.Errorf("made an operator: %v", err)
	}
	if err := s.RevokeOperator(t.Context(), "anybody"); !isDenied(err) {
		t.Errorf("revoked an operator: %v", err)
	}
}
