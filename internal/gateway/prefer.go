package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait is how long a client may have an answer wait for what is to come.
const maxWait = time.Minute

// preferences are what a client would like, of what is known here. RFC 7240, section 4.
type preferences struct {
	async bool          // respond-async
	wait  time.Duration // wait; at most maxWait. 0 = not said
}

// preferencesOf reads Prefer. What is not understood is not preferred: nobody is refused for it. The first of two that contradict each other counts.
func preferencesOf(h http.Header) (p preferences) {
	waits := false
	for _, field := range h["Prefer"] {
		for one := range strings.SplitSeq(field, ",") {
			one, _, _ = strings.Cut(one, ";") // parameters of a preference
			name, value, _ := strings.Cut(one, "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "respond-async":
				p.async = true
			case "wait":
				seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
				if err != nil || waits {
					continue
				}
				waits, p.wait = true, min(time.Duration(seconds)*time.Second, maxWait)
			}
		}
	}
	return p
}

// applied is what Preference-Applied says of p.
func (p preferences) applied() string {
	var said []string
	if p.async {
		said = append(said, "respond-async")
	}
	if p.wait > 0 {
		said = append(said, "wait="+strconv.Itoa(int(p.wait.Seconds())))
	}
	return strings.Join(said, ", ")
}
