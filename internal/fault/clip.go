package fault

import "unicode/utf8"

// clipped is how much of what somebody sent is said back to him, in bytes.
const clipped = 64

// Clip is the beginning of a text, for a message that names it: enough to know it again, however long it is.
func Clip(s string) string {
	if len(s) <= clipped {
		return s
	}
	n := clipped
	for n > clipped-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
