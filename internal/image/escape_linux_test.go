package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

// update writes the table of docs/security.md anew: go test ./internal/image -run TestEscapes -update
var update = flag.Bool("update", false, "write the table of docs/security.md as the tries end now")

// unpacker is a place where hostile archives are unpacked.
type unpacker struct {
	column string
	open   func(t *testing.T, dir string) (put func(content []byte) error)
	below  string // where an archive is unpacked, in its directory below tmp
}

func unpackers() []unpacker {
	return []unpacker{
		{"code", func(t *testing.T, dir string) func([]byte) error {
			s, err := image.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			return func(b []byte) error {
				_, err := s.Put(t.Context(), bytes.NewReader(b))
				return err
			}
		}, "tree"},
		{"image layer", func(t *testing.T, dir string) func([]byte) error {
			l, err := image.OpenLayers(dir)
			if err != nil {
				t.Fatal(err)
			}
			return func(b []byte) error {
				sum := sha256.Sum256(b)
				return l.Put(t.Context(), image.LayerSource{DiffID: "sha256:" + hex.EncodeToString(sum[:]), Bytes: bytes.NewReader(b)})
			}
		}, "layer/tree"},
	}
}

// The third table in docs/security.md is what came of these tries.
func TestEscapesOfArchives(t *testing.T) {
	for _, u := range unpackers() {
		t.Run(u.column, func(t *testing.T) {
			var all []runnertest.Escape
			for _, try := range hostileArchives() {
				all = append(all, runnertest.Escape{Try: try.name, Answer: refused(t, u, try.entries)})
			}
			all = append(all, raced(t, u))
			runnertest.Document{Page: "../../docs/security.md", Name: "archives", Update: *update}.Check(t, u.column, all)
		})
	}
}

type hostileArchive struct {
	name    string
	entries []tar.Header
}

func hostileArchives() []hostileArchive {
	file := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 1}
	}
	return []hostileArchive{
		{"write above the directory with `../`", []tar.Header{file("../evil")}},
		{"write to a directory of the host through a link of its own", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "out", Linkname: "/tmp"}, file("out/evil")}},
		{"write above the directory through a link of its own", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "up", Linkname: ".."}, file("up/evil")}},
		{"have a file of the host by a hard link", []tar.Header{{Typeflag: tar.TypeLink, Name: "passwd", Linkname: "/etc/passwd"}}},
		{"have a file of the host by a hard link through a link", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "up", Linkname: "/etc"}, {Typeflag: tar.TypeLink, Name: "passwd", Linkname: "up/passwd"}}},
	}
}

// refused unpacks what must not be, and gives the reason that it is told.
func refused(t *testing.T, u unpacker, entries []tar.Header) string {
	t.Helper()
	around := t.TempDir()
	dir := filepath.Join(around, "store")
	err := u.open(t, dir)(pack(t, entries))
	if err == nil {
		t.Errorf("%v was unpacked", entries)
		return ""
	}
	if left, _ := filepath.Glob(filepath.Join(around, "*")); len(left) != 1 {
		t.Errorf("beside the store there are %q", left)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
	said := err.Error()
	for _, reason := range []string{"not a path", "lies behind a link", "is not a directory", "hard link"} {
		if strings.Contains(said, reason) {
			return "refused: " + map[string]string{
				"not a path": "not a path below it", "lies behind a link": "it lies behind a link", "is not a directory": "a link is not a directory",
				"hard link": "a hard link is to a file of the archive, if any",
			}[reason]
		}
	}
	t.Errorf("refused as %q, which is none of the known reasons", said)
	return ""
}

// raced unpacks archives while a directory in them becomes a link to the host and a directory again, over and over.
func raced(t *testing.T, u unpacker) runnertest.Escape {
	t.Helper()
	dir, host := filepath.Join(t.TempDir(), "store"), t.TempDir()
	if err := os.WriteFile(filepath.Join(host, "own"), []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	put := u.open(t, dir)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(host, link); err != nil {
		t.Fatal(err)
	}
	const most = 1000 // of one archive: whoever could do it for ever could also keep the directory from being removed
	var swaps int
	seen := map[string]bool{}
	end := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			found, _ := filepath.Glob(filepath.Join(dir, "tmp", "*", u.below, "d")) // the pattern is right
			for _, d := range found {
				if seen[d] {
					continue
				}
				seen[d] = true
				for range most {
					if unix.Renameat2(unix.AT_FDCWD, link, unix.AT_FDCWD, d, unix.RENAME_EXCHANGE) != nil {
						break // it is gone
					}
					swaps++
				}
				if info, err := os.Lstat(link); err == nil && info.IsDir() { // the directory stayed in the link's place: for the next time
					_ = os.RemoveAll(link)
					_ = os.Symlink(host, link)
				}
			}
		}
	})
	const archives, files = 20, 300
	unpacked := 0
	for n := range archives {
		entries := []tar.Header{{Typeflag: tar.TypeDir, Name: "d", Mode: 0o755}}
		for i := range files {
			entries = append(entries, tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("d/%d-%d", n, i), Mode: 0o644, Size: 1})
		}
		if put(pack(t, entries)) == nil {
			unpacked++
		}
	}
	close(end)
	swapping.Wait()
	t.Logf("%d of %d archives were unpacked, beside %d swaps", unpacked, archives, swaps)
	if swaps == 0 {
		t.Error("nothing was swapped")
	}
	left, err := os.ReadDir(host)
	own, readErr := os.ReadFile(filepath.Join(host, "own"))
	if err != nil || readErr != nil || len(left) != 1 || string(own) != "of the host" {
		t.Errorf("the host's directory holds %v (%v), its file %q (%v); want it as it was", left, err, own, readErr)
	}
	return runnertest.Escape{
		Try:    "swap a directory for a link to the host while it is unpacked, over and over",
		Answer: "it is unpacked where it was to be, or fails; nothing of the host is written or removed",
	}
}

// pack makes an archive of one-byte files and what else there is.
func pack(t *testing.T, entries []tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, h := range entries {
		err := tw.WriteHeader(&h)
		if err == nil && h.Typeflag == tar.TypeReg {
			_, err = io.CopyN(tw, strings.NewReader("x"), h.Size)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
