package qr_test

import (
	"fmt"
	"log"

	"github.com/tillbook/tillbook/server/qr"
)

func Example() {
	currency, ok := qr.CurrencyNumber("IDR")
	if !ok {
		currency = qr.NoCurrency // and the asset's code in Code.Asset
	}
	text, err := qr.Encode(qr.Code{
		Dynamic: true, Store: "str_1", Checkout: "K7QM2XWP",
		Category: "5814", Currency: currency, Amount: "25000", Country: "ID",
		Merchant: "Café Batavia", City: "Jakarta",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)

	code, err := qr.Parse(text)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(code.Ours(), code.Store, code.Checkout, code.Merchant)

	_, err = qr.Parse(text[:len(text)-1] + "0")
	fmt.Println(err)
	// Output:
	// 00020101021226370012app.tillbook0105str_10208K7QM2XWP5204581453033605405250005802ID5912Cafe Batavia6007Jakarta63044108
	// true str_1 K7QM2XWP Cafe Batavia
	// The checksum doesn't fit the text; scan the code again (tag 63, character 111).
}
