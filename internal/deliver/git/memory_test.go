package git

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
)

const (
	bombBase   = 8 << 20
	bombCopies = 48 // 384 MiB, of a pack of some kilobytes
	bombBound  = 256 << 20
)

// bomb is a pack with a commit whose one file is a delta that says of a huge file. // gitformat-pack(5)
func bomb(t *testing.T) (pack []byte, commit string) {
	t.Helper()
	var out bytes.Buffer
	out.WriteString("PACK")
	object := func(kind byte, content, before []byte) {
		size := len(content)
		head := []byte{kind<<4 | byte(size&15)}
		for size >>= 4; size > 0; size >>= 7 {
			head[len(head)-1] |= 0x80
			head = append(head, byte(size&0x7f))
		}
		out.Write(head)
		out.Write(before)
		z := zlib.NewWriter(&out)
		if _, err := z.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	name := func(kind string, size int, parts ...[]byte) []byte {
		sum := sha1.New()
		fmt.Fprintf(sum, "%s %d\x00", kind, size)
		for _, p := range parts {
			sum.Write(p)
		}
		return sum.Sum(nil)
	}
	varint := func(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) } // it is the same form
	_ = binary.Write(&out, binary.BigEndian, []uint32{2, 4})                     // of a buffer

	base := make([]byte, bombBase)
	baseName := name("blob", len(base), base)
	object(3, base, nil)
	delta := append(varint(bombBase), varint(bombBase*bombCopies)...)
	var huge [][]byte
	for range bombCopies {
		delta = append(delta, 0x80|0x40, bombBase>>16) // copy from 0; the third byte of the size
		huge = append(huge, base)
	}
	object(7, delta, baseName)
	tree := append([]byte("100644 x\x00"), name("blob", bombBase*bombCopies, huge...)...)
	object(2, tree, nil)
	text := fmt.Appendf(nil, "tree %x\nauthor Jane <jane@example.com> 1 +0000\ncommitter Jane <jane@example.com> 1 +0000\n\nbomb\n", name("tree", len(tree), tree))
	object(1, text, nil)
	sum := sha1.Sum(out.Bytes())
	out.Write(sum[:])
	return out.Bytes(), fmt.Sprintf("%x", name("commit", len(text), text))
}

func TestAPackThatIsHugeWhenItIsReadIsRefused(t *testing.T) {
	need.Linux(t)
	h := newHost(t)
	h.server.program.memory = bombBound
	pack, commit := bomb(t)
	if len(pack) > 64<<10 {
		t.Fatalf("the pack has %d bytes", len(pack))
	}
	line := fmt.Sprintf("%s %s refs/heads/main\x00report-status\n", strings.Repeat("0", 40), commit)
	body := fmt.Appendf(nil, "%04x%s0000%s", len(line)+4, line, pack)
	r, err := http.NewRequest(http.MethodPost, h.url+"/git-receive-pack", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-git-receive-pack-request")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, string(said), "unpack index-pack abnormal exit", "ng refs/heads/main")
	if refs := h.kept("repositories"); len(refs) != 0 || len(h.events) != 0 {
		t.Errorf("left: %q, %d events", refs, len(h.events))
	}
}

func TestAFetchThatIsHugeWhenItIsReadIsRefused(t *testing.T) {
	need.Linux(t)
	h, e := newRemoteHost(t), newElsewhere(t)
	pack, commit := bomb(t)
	packet := func(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }
	posts := 0
	hostile := func(w http.ResponseWriter, r *http.Request) bool { // gitprotocol-http(5), of version 0
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			fmt.Fprint(w, packet("# service=git-upload-pack\n"), "0000", packet(commit+" refs/heads/main\x00shallow no-progress ofs-delta\n"), "0000")
			return true
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		fmt.Fprint(w, packet("shallow "+commit+"\n"), "0000")
		if posts++; posts%2 == 0 { // the first of two asks for that list alone
			fmt.Fprint(w, packet("NAK\n"), string(pack))
		}
		return true
	}
	e.before.Store(&hostile)
	h.server.program.memory = bombBound
	_, err := h.bring(e.told("refs/heads/main", "", commit))
	if fault.KindOf(err) != fault.TooLarge || !strings.Contains(err.Error(), "needs more memory") {
		t.Errorf("Bring = %v, want that it is too large", err)
	}
	if left := h.kept("remotes"); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

// A name may lead elsewhere when it is asked for again: git is given the addresses that were looked at.
func TestGitAsksTheAddressThatWasLookedAt(t *testing.T) {
	h, e := newRemoteHost(t), newElsewhere(t)
	var asked []string
	h.server.lookup = func(_ context.Context, host string) ([]string, error) {
		asked = append(asked, host)
		return []string{"127.0.0.1"}, nil
	}
	one := e.commit("One", shop())
	e.pushed("origin", "main")
	told := e.told("refs/heads/main", "", one)
	told.URL = strings.Replace(e.url, "127.0.0.1", "git.invalid", 1) // RFC 2606: no resolver knows it
	if _, err := h.bring(told); err != nil {
		t.Errorf("Bring = %v, want that git asks 127.0.0.1", err)
	}
	if !slices.Contains(asked, "git.invalid") {
		t.Errorf("looked for %q", asked)
	}
	h.server.lookup = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1", "fd00:ec2::254"}, nil }
	if _, err := h.bring(told); fault.KindOf(err) != fault.Denied {
		t.Errorf("Bring = %v, want that one of the addresses is none of a git server", err)
	}
}
