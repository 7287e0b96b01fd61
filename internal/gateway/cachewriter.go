package gateway

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/freshness"
)

// What becomes of an answer that a cache has asked for.
type fate int

const (
	fateOpen      fate = iota // its head has not come
	fatePassed                // the client gets it
	fateConfirmed             // it says that the kept one is right
	fateDropped               // the kept one is better
)

// keeping is where a function answers to on a route with a cache: by the head it is decided whether the client gets the answer, and whether it is
// kept. It is the http.ResponseWriter of one attempt.
type keeping struct {
	o      *outgoing
	own    exchange    // of the attempt: what runs it is given this one
	header http.Header // the function's alone
	fate   fate
	status int
	to     *freshness.Kept // nil = the answer is not kept
	bare   bool            // the client has the body already
	body   []byte
	held   int64 // of the gateway's budget
	cut    bool  // the body did not come whole
}

// Header implements http.ResponseWriter.
func (k *keeping) Header() http.Header { return k.header }

// Unwrap is for http.ResponseController.
func (k *keeping) Unwrap() http.ResponseWriter { return k.o.x }

// FlushError is for http.ResponseController.
func (k *keeping) FlushError() error {
	if k.fate != fatePassed || k.bare || k.o.behind {
		return nil
	}
	return http.NewResponseController(k.o.x).Flush()
}

// WriteHeader implements http.ResponseWriter.
func (k *keeping) WriteHeader(status int) {
	switch {
	case k.fate != fateOpen:
		return
	case status < 200:
		k.inform(status)
		return
	}
	k.status = status
	o := k.o
	came := o.g.now()
	switch {
	case status == http.StatusNotModified && o.asked:
		k.fate = fateConfirmed
		return
	case (freshness.Fails(status) || k.own.substitute) && o.insteadOfError(came):
		k.fate = fateDropped
		return
	}
	k.fate = fatePassed
	said := http.Header{}
	copyEndToEnd(said, k.header)
	delete(said, runHeader)
	delete(said, "Content-Length")
	whole := freshness.Exchange{Credentials: o.credentials, NoStore: o.wishes.NoStore, Status: status, Header: said, Asked: o.start, Came: came}
	if k.header["Trailer"] == nil && k.fits() && !k.own.substitute {
		k.to = freshness.Keep(whole, o.rules)
	}
	if k.to == nil {
		how := endPassed
		if freshness.Fails(status) || k.own.substitute {
			how = endFailed
		}
		o.land(how)
	}
	if o.behind {
		return
	}
	k.pass(status)
}

// fits says whether a body of the length that is announced may be kept.
func (k *keeping) fits() bool {
	n, err := strconv.ParseInt(k.header.Get("Content-Length"), 10, 64)
	return err != nil || n <= k.o.answers.largest()
}

// pass gives the client the head.
func (k *keeping) pass(status int) {
	x := k.o.x
	h := x.Header()
	h[runHeader] = k.header[runHeader]
	if h[runHeader] == nil {
		delete(h, runHeader)
	}
	x.passHeader(k.header)
	for _, name := range []string{"Connection", "Trailer"} { // what this node itself says of its own hop
		if k.header[name] != nil {
			h[name] = k.header[name]
		}
	}
	if ct, said := k.header["Content-Type"]; said && ct == nil {
		h["Content-Type"] = nil
	}
	note := "fwd=" + k.o.why
	if status != http.StatusOK {
		note += "; fwd-status=" + strconv.Itoa(status)
	}
	if k.to != nil {
		note += "; stored"
	}
	tellCache(h, k.header, note)
	if k.to != nil && status == http.StatusOK && freshness.NotModified(k.o.r.Header, k.header) {
		k.bare, status = true, http.StatusNotModified
		delete(h, "Content-Length")
	}
	x.WriteHeader(status)
}

// inform passes an interim answer on.
func (k *keeping) inform(status int) {
	if k.o.behind {
		return
	}
	x := k.o.x
	h := x.Header()
	own := maps.Clone(h)
	clear(h)
	maps.Copy(h, k.header)
	x.ResponseWriter.WriteHeader(status)
	clear(h)
	maps.Copy(h, own)
}

// Write implements http.ResponseWriter.
func (k *keeping) Write(p []byte) (int, error) {
	if k.fate == fateOpen {
		k.WriteHeader(http.StatusOK)
	}
	if k.fate != fatePassed {
		return len(p), nil
	}
	k.copy(p)
	if k.bare || k.o.behind {
		return len(p), nil
	}
	n, err := k.o.x.Write(p)
	k.cut = k.cut || err != nil
	return n, err
}

// copy keeps a piece of the body, as long as there is room for it.
func (k *keeping) copy(p []byte) {
	if k.to == nil {
		return
	}
	n := int64(len(p))
	if int64(len(k.body))+n > k.o.answers.largest() || !k.o.g.held.take(n) {
		k.to, k.body = nil, nil
		k.o.land(endPassed)
		return
	}
	k.held += n
	k.body = append(k.body, p...)
}

// finish is called when the answer has come to its end: its trailer goes to the client, and it is kept, where it may be.
func (k *keeping) finish() bool {
	trailer := false
	for name, values := range k.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			trailer = true
			if !k.o.behind {
				k.o.x.Header()[name] = values
			}
		}
	}
	if k.to == nil || k.cut || trailer || k.short() {
		return false
	}
	k.o.keep(k.to, slices.Clip(k.body))
	return true
}

// short says whether less has come than was announced.
func (k *keeping) short() bool {
	n, err := strconv.Atoi(k.header.Get("Content-Length"))
	return err == nil && n != len(k.body)
}

// tellCache says what the cache did, behind what the function says of caches of its own. RFC 9211, section 2.
func tellCache(h, said http.Header, note string) {
	h[cacheStatusHeader] = slices.Concat(said[cacheStatusHeader], []string{"dalamb; " + note})
}

// nowhere takes the answer to a request that nobody waits for.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}

// cacheStatusHeader tells clients what a cache did. RFC 9211.
const cacheStatusHeader = "Cache-Status"
