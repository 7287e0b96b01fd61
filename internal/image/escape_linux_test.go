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
	open   func(t *testing.T, dir string) (put func(content []byte) (tree string, err error))
	below  string // where an archive is unpacked, in its directory below tmp
}

// Bounds of a layer in these tests, instead of 10 GiB and a million.
const (
	layerBytes   = 1 << 20
	layerEntries = 1000
)

func unpackers() []unpacker {
	return []unpacker{
		{"code", func(t *testing.T, dir string) func([]byte) (string, error) {
			s, err := image.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			return func(b []byte) (string, error) {
				digest, err := s.Put(t.Context(), bytes.NewReader(b))
				if err != nil {
					return "", err
				}
				return s.Dir(digest)
			}
		}, "tree"},
		{"image layer", func(t *testing.T, dir string) func([]byte) (string, error) {
			l, err := image.OpenLayers(dir)
			if err != nil {
				t.Fatal(err)
			}
			l.Bound(layerBytes, layerEntries)
			return func(b []byte) (string, error) {
				sum := sha256.Sum256(b)
				id := "sha256:" + hex.EncodeToString(sum[:])
				if err := l.Put(t.Context(), image.LayerSource{DiffID: id, Bytes: bytes.NewReader(b)}); err != nil {
					return "", err
				}
				return l.Dir(id)
			}
		}, "layer/tree"},
	}
}

// The third table in docs/security.md is what came of these tries.
func TestEscapesOfArchives(t *testing.T) {
	tries := hostileArchives(t)
	for _, u := range unpackers() {
		t.Run(u.column, func(t *testing.T) {
			var all []runnertest.Escape
			for _, try := range tries {
				var answer string
				if kept, ok := try.kept[u.column]; ok {
					answer = harmless(t, u, try, kept)
				} else {
					answer = refused(t, u, try)
				}
				all = append(all, runnertest.Escape{Try: try.name, Answer: answer})
			}
			all = append(all, hidden(t, u), raced(t, u))
			runnertest.Document{Page: "../../docs/security.md", Name: "archives", Update: *update}.Check(t, u.column, all)
		})
	}
}

// refused unpacks what must not be, and gives the reason that it is told.
func refused(t *testing.T, u unpacker, try hostileArchive) string {
	t.Helper()
	around := t.TempDir()
	dir := filepath.Join(around, "store")
	_, err := u.open(t, dir)(try.archive)
	if err == nil {
		t.Errorf("%s: it was unpacked", try.name)
		return ""
	}
	if left, _ := filepath.Glob(filepath.Join(around, "*")); len(left) != 1 {
		t.Errorf("%s: beside the store there are %q", try.name, left)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) > 0 {
		t.Errorf("%s: %q is left", try.name, left)
	}
	for _, reason := range reasons() {
		if strings.Contains(err.Error(), reason.said) {
			return "refused: " + reason.answer
		}
	}
	t.Errorf("%s: refused as %q, which is none of the known reasons", try.name, err)
	return ""
}

// harmless unpacks what is left without its sting.
func harmless(t *testing.T, u unpacker, try hostileArchive, kept harmlessForm) string {
	t.Helper()
	tree, err := u.open(t, filepath.Join(t.TempDir(), "store"))(try.archive)
	if err != nil {
		t.Errorf("%s: refused as %q; want it unpacked: %s", try.name, err, kept.answer)
		return ""
	}
	if problem := kept.look(tree); problem != "" {
		t.Errorf("%s: %s", try.name, problem)
	}
	return kept.answer
}

// hidden unpacks an archive that takes away what another one has brought.
func hidden(t *testing.T, u unpacker) runnertest.Escape {
	t.Helper()
	put := u.open(t, filepath.Join(t.TempDir(), "store"))
	file := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 1}
	}
	other, err := put(pack(t, []tar.Header{file("shared"), file("d/shared")}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(pack(t, []tar.Header{file(".wh.shared"), file("d/.wh..wh..opq")})); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shared", "d/shared"} {
		if b, err := os.ReadFile(filepath.Join(other, name)); err != nil || string(b) != "x" {
			t.Errorf("the other's %s is %q, %v", name, b, err)
		}
	}
	return runnertest.Escape{Try: "take files from what other functions have, by whiteouts", Answer: map[string]string{
		"code":        "they are files of such names",
		"image layer": "they are hidden in images that have both layers; the other layer stays as it is",
	}[u.column]}
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
		if _, err := put(pack(t, entries)); err == nil {
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
