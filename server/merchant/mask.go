package merchant

// mask hides most of a name: "alice" becomes "a***e". Names too short to hide in are
// hidden whole.
func mask(name string) string {
	runes := []rune(name)
	if len(runes) < 4 {
		return "***"
	}
	return string(runes[0]) + "***" + string(runes[len(runes)-1])
}
