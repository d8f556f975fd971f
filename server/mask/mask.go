// Package mask hides names, so that who knows somebody recognizes them and who
// doesn't learns nothing.
package mask

// shownFrom is the length from which a name is long enough to show something of
// it: of a shorter one too little would stay hidden.
const shownFrom = 4

// Name hides most of a name: "alice" becomes "a***e". How long the name is doesn't
// show, and names too short to hide in are hidden whole.
func Name(name string) string {
	runes := []rune(name)
	if len(runes) < shownFrom {
		return "***"
	}
	return string(runes[0]) + "***" + string(runes[len(runes)-1])
}
