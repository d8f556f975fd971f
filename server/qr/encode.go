package qr

import "strings"

// tipIndicators are what stands for each TipHandling.
var tipIndicators = []string{TipNone: "", TipPrompt: "01", TipFixed: "02", TipPercentage: "03"}

// Encode writes the text for a QR code of ours. Parse reads it as the same Code,
// except that
//   - Merchant and City are reduced to printable ASCII and cut where they are too
//     long: letters lose their marks, and what has no likeness becomes "?";
//   - Amount and Tip.Value are in their plain form, without zeros at their ends
//     where they wouldn't fit otherwise.
//
// It fails with an *Error, an ErrInvalid, for a Code that breaks the rules of its
// fields.
func Encode(c Code) (string, error) {
	c.Merchant, c.City = reduce(c.Merchant, maxMerchant), reduce(c.City, maxCity)
	c.Amount = shorten(plain(c.Amount), maxAmount)
	if c.Tip.Handling == TipPercentage {
		c.Tip.Value = shorten(plain(c.Tip.Value), maxPercentage)
	} else {
		c.Tip.Value = shorten(plain(c.Tip.Value), maxAmount)
	}
	if err := c.check(true); err != nil {
		return "", err
	}
	return seal(c.write()), nil
}

// write writes a Code that was checked, up to its checksum. The standard lets data
// objects stand in any order; this is that of their tags.
func (c Code) write() string {
	var out, account, additional strings.Builder
	put(&account, tagSystem, System)
	put(&account, tagStore, c.Store)
	put(&account, tagCheckout, c.Checkout)
	put(&account, tagAsset, c.Asset)
	put(&additional, tagReference, c.Reference)
	put(&additional, tagTerminal, c.Terminal)

	put(&out, tagVersion, version)
	if c.Dynamic {
		put(&out, tagInitiation, dynamic)
	} else {
		put(&out, tagInitiation, static)
	}
	put(&out, tagAccount, account.String())
	put(&out, tagCategory, c.Category)
	put(&out, tagCurrency, c.Currency)
	put(&out, tagAmount, c.Amount)
	put(&out, tagTip, tipIndicators[c.Tip.Handling])
	switch c.Tip.Handling {
	case TipFixed:
		put(&out, tagFixed, c.Tip.Value)
	case TipPercentage:
		put(&out, tagPercentage, c.Tip.Value)
	}
	put(&out, tagCountry, c.Country)
	put(&out, tagMerchant, c.Merchant)
	put(&out, tagCity, c.City)
	put(&out, tagAdditional, additional.String())
	return out.String()
}
