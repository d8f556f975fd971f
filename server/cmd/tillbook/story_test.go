package main

import (
	"testing"

	"github.com/tillbook/tillbook/server/phone"
)

func TestTheDemosPhoneNumbersAreAlwaysMobiles(t *testing.T) {
	seen := make(map[string]bool)
	for range 2000 {
		for _, number := range []string{indonesianMobile(), malaysianMobile()} {
			e164, err := phone.Parse(number)
			if err != nil || string(e164) != number {
				t.Fatalf("Parse(%s) = %q, %v", number, e164, err)
			}
			seen[number] = true
		}
	}
	if len(seen) < 3900 {
		t.Errorf("only %d of 4000 numbers are different", len(seen))
	}
}
