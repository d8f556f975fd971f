package main

import (
	"fmt"
	"strings"

	qrcode "github.com/piglig/go-qr"
)

// quiet is the margin around a code in modules. Four are right by the book; two are
// enough on a screen, and leave more room.
const quiet = 2

// drawQR draws a text as a QR code, two modules a character: lines of blocks to be
// shown in dark ink on a light ground.
func drawQR(text string) ([]string, error) {
	code, err := qrcode.EncodeText(text, qrcode.Low)
	if err != nil {
		return nil, fmt.Errorf("draw the QR code: %w", err)
	}
	size := code.Size()
	dark := func(x, y int) bool { return x >= 0 && y >= 0 && x < size && y < size && code.Module(x, y) }
	var lines []string
	for y := -quiet; y < size+quiet; y += 2 {
		var line strings.Builder
		for x := -quiet; x < size+quiet; x++ {
			switch up, down := dark(x, y), dark(x, y+1); {
			case up && down:
				line.WriteRune('█')
			case up:
				line.WriteRune('▀')
			case down:
				line.WriteRune('▄')
			default:
				line.WriteRune(' ')
			}
		}
		lines = append(lines, line.String())
	}
	return lines, nil
}
