package app_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/dalamb/dalamb/internal/need"
)

// TestAPageComesBackWithItsNode has a page open while its node stops and starts again, which then knows nobody: the page says that the node is away, asks to
// sign in when it is there again, and is where it was after that, search and all.
func TestAPageComesBackWithItsNode(t *testing.T) {
	need.Chromium(t)
	data := t.TempDir()
	n := start(t, data)
	control, token := n.client.Address()
	at, err := url.Parse(control)
	if err != nil {
		t.Fatal(err)
	}
	b := openBrowser(t, control)
	const page = "/runs?function=pay&state=dead"
	signIn := func() {
		b.do("sign in", chromedp.SendKeys(chromedp.CSS("#token"), token))
		b.press("form button", "No run fits.")
	}
	pulse := func(want string) {
		t.Helper()
		until(t, "the page to say "+want, func() bool {
			said, err := told[string](b, `document.querySelector("#pulse")?.textContent ?? ""`)
			return err == nil && said == want
		})
	}
	b.open(page)
	signIn()
	pulse("live")
	n.stop()
	pulse("not reached")
	start(t, data, "control="+at.Host)
	b.shows("Token")
	signIn()
	pulse("live")
	if got, err := told[string](b, "location.pathname + location.search"); err != nil || got != page {
		t.Errorf("the page is %q (%v), want %q", got, err, page)
	}
	b.mu.Lock()
	b.complaints = slices.DeleteFunc(b.complaints, func(c string) bool { return strings.Contains(c, "net::ERR_") }) // of the node that was away
	b.mu.Unlock()
}
