package backup_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/backup"
	"github.com/dalamb/dalamb/internal/fault"
)

// data is a data directory with one of everything.
func data(t *testing.T) (dir, log string) {
	t.Helper()
	dir, log = t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"token": "a token\n", "secret.key": "a key\n", "node.json": "{}", "catalog.json": "{}", "node-id": "me", "history/db/1.sst": "history", "run/native/x": "x", ".aside-1": "half",
		"log/db/never.sst": "the log itself, which is being written", "log/lock": "",
		"code/sha256/ab/main.sh": "echo hello", "code/tmp/put-1/x": "half", "images/content/sha256/cd": "a blob", "images/layers/sha256/ef/tree/x": "x",
		"git/repositories/shop.git/HEAD": "ref: refs/heads/main\n", "git/repositories/shop.git/objects/aa/bb": "a commit", "builds/cache/x/y": "cached", "archives/1": "half", "builds/log/1": "a build",
	} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), text)
	}
	write(t, filepath.Join(log, "FORMAT"), "dalamb eventlog format 1\n")
	write(t, filepath.Join(log, "db", "1.sst"), "records")
	if err := os.Symlink("main.sh", filepath.Join(dir, "code", "sha256", "ab", "link")); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{"code/sha256/ab/main.sh": 0o755, "code/sha256/ab": 0o555} {
		if err := os.Chmod(filepath.Join(dir, filepath.FromSlash(name)), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "code", "sha256", "ab"), 0o755) })
	return dir, log
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, o backup.Options) backup.Taken {
	t.Helper()
	taken, err := backup.Take(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

// restored are the files of a backup, restored, by their paths.
func restored(t *testing.T, from, id string) map[string]string {
	t.Helper()
	return restoredFrom(t, backup.Place{Name: from}, id)
}

func restoredFrom(t *testing.T, from backup.Place, id string) map[string]string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if _, err := backup.Restore(t.Context(), from, id, to); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(to, "code", "sha256", "ab"), 0o755) })
	all := map[string]string{}
	err := filepath.WalkDir(to, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(to, p)
		text, err := os.ReadFile(p)
		all[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(to, "code/sha256/ab/main.sh")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode of code: %v, %v, want 0755", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(to, "code/sha256/ab")); err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("mode of a code directory: %v, %v, want 0555", info.Mode(), err)
	}
	if target, err := os.Readlink(filepath.Join(to, "code/sha256/ab/link")); err != nil || target != "main.sh" {
		t.Errorf("link to %q, %v", target, err)
	}
	return all
}

func TestABackupHasWhatANodeCannotMakeAnew(t *testing.T) {
	dir, log := data(t)
	to := filepath.Join(t.TempDir(), "backups")
	taken := take(t, backup.Options{To: backup.Place{Name: to}, Data: dir, Log: log})
	got := restored(t, to, "")
	want := map[string]string{
		"token": "a token\n", "log/FORMAT": "dalamb eventlog format 1\n", "log/db/1.sst": "records",
		"code/sha256/ab/main.sh": "echo hello", "code/sha256/ab/link": "echo hello", "images/content/sha256/cd": "a blob",
		"git/repositories/shop.git/HEAD": "ref: refs/heads/main\n", "git/repositories/shop.git/objects/aa/bb": "a commit", "builds/log/1": "a build",
	}
	for name := range got {
		if got[name] != want[name] {
			t.Errorf("%s is there with %q, want %q", name, got[name], want[name])
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if taken.Manifest.Key || !taken.Manifest.Log {
		t.Errorf("key %v, log %v, want the log alone", taken.Manifest.Key, taken.Manifest.Log)
	}
	// What others name by its digest comes behind who names it.
	place := map[string]int{}
	for i, f := range taken.Manifest.Files {
		place[f.Path] = i
	}
	for late, early := range map[string]string{"code/sha256/ab/main.sh": "log/db/1.sst", "git/repositories/shop.git/objects/aa/bb": "git/repositories/shop.git/HEAD", "images/content/sha256/cd": "token"} {
		if place[late] < place[early] {
			t.Errorf("%s was taken before %s", late, early)
		}
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the directory of backups: %v, %v, want 0700", info.Mode(), err)
	}
	if taken = take(t, backup.Options{To: backup.Place{Name: to}, Data: dir, Log: log, Key: filepath.Join(dir, "secret.key")}); !taken.Manifest.Key || restored(t, to, "")["secret.key"] != "a key\n" {
		t.Error("the key is not in a backup with it")
	}
}

func TestALaterBackupAddsWhatIsNewAndStandsByItself(t *testing.T) {
	dir, log := data(t)
	to := t.TempDir()
	o := backup.Options{To: backup.Place{Name: to}, Data: dir, Log: log, Now: func() time.Time { return time.Now().Add(time.Hour) }} // so that times of files are believed
	first := take(t, o)
	if again := take(t, o); again.New != 0 || again.Manifest.ID <= first.Manifest.ID {
		t.Errorf("a second backup of the same adds %d bytes, id %s after %s", again.New, again.Manifest.ID, first.Manifest.ID)
	}
	write(t, filepath.Join(log, "db", "2.sst"), strings.Repeat("more", 1000))
	if err := os.Remove(filepath.Join(log, "db", "1.sst")); err != nil {
		t.Fatal(err)
	}
	third := take(t, o)
	if third.New == 0 || third.New > 1000 {
		t.Errorf("a new file adds %d bytes", third.New)
	}
	if got := restored(t, to, first.Manifest.ID); got["log/db/1.sst"] != "records" || got["log/db/2.sst"] != "" {
		t.Errorf("the first backup has %q", got)
	}
	removed, err := backup.Keep(t.Context(), backup.Place{Name: to}, 1)
	if err != nil || len(removed) != 2 {
		t.Fatalf("Keep = %q, %v", removed, err)
	}
	if got := restored(t, to, ""); got["log/db/1.sst"] != "" || got["log/db/2.sst"] == "" || got["code/sha256/ab/main.sh"] == "" {
		t.Errorf("what is kept has %q", got)
	}
	if _, bad, err := backup.Verify(t.Context(), backup.Place{Name: to}, ""); err != nil || len(bad) > 0 {
		t.Errorf("Verify = %v, %v", bad, err)
	}
	if list, err := backup.List(t.Context(), backup.Place{Name: to}); err != nil || len(list) != 1 || list[0].ID != third.Manifest.ID {
		t.Errorf("List = %d backups, %v", len(list), err)
	}
	gone := 0
	filepath.WalkDir(filepath.Join(to, "content"), func(_ string, d fs.DirEntry, _ error) error {
		if !d.IsDir() {
			gone++
		}
		return nil
	})
	if distinct := 8; gone != distinct { // 1.sst's content is no longer there
		t.Errorf("%d contents are kept, want %d", gone, distinct)
	}
}

func TestDamageIsFoundAndNotRestored(t *testing.T) {
	for _, what := range []string{"content", "missing", "list"} {
		t.Run(what, func(t *testing.T) {
			dir, log := data(t)
			to := t.TempDir()
			taken := take(t, backup.Options{To: backup.Place{Name: to}, Data: dir, Log: log})
			var digest string
			for _, f := range taken.Manifest.Files {
				if f.Path == "log/db/1.sst" {
					digest = f.Digest
				}
			}
			content, list := filepath.Join(to, "content", digest[:2], digest), filepath.Join(to, "backups", taken.Manifest.ID+".json")
			switch what {
			case "content":
				flip(t, content)
			case "missing":
				if err := os.Remove(content); err != nil {
					t.Fatal(err)
				}
			case "list":
				flip(t, list)
			}
			_, bad, err := backup.Verify(t.Context(), backup.Place{Name: to}, "")
			if err != nil || len(bad) != 1 || what != "list" && bad[0].Path != "log/db/1.sst" {
				t.Errorf("Verify = %v, %v, want one damage", bad, err)
			}
			above := t.TempDir()
			if _, err := backup.Restore(t.Context(), backup.Place{Name: to}, "", filepath.Join(above, "data")); fault.KindOf(err) != fault.Invalid {
				t.Errorf("Restore = %v, want a refusal", err)
			}
			if left, err := os.ReadDir(above); err != nil || len(left) > 0 {
				t.Errorf("a refused restore left %v, %v", left, err)
			}
		})
	}
}

// What lies where nobody would read it is not stored: whoever may write to a place could put it there.
func TestContentThatIsElsewhereIsStored(t *testing.T) {
	dir, log := data(t)
	o := backup.Options{To: backup.Place{Name: t.TempDir()}, Data: dir, Log: log}
	write(t, filepath.Join(o.To.Name, "FORMAT"), "dalamb backup format 1\n")
	write(t, filepath.Join(o.To.Name, "content", "zz", fmt.Sprintf("%x", sha256.Sum256([]byte("a token\n")))), "")
	take(t, o)
	if got := restored(t, o.To.Name, ""); got["token"] != "a token\n" {
		t.Errorf("the token is %q", got["token"])
	}
}

// One list that went bad is no reason to have no backups from then on.
func TestADamagedListStopsNoNewBackup(t *testing.T) {
	dir, log := data(t)
	o := backup.Options{To: backup.Place{Name: t.TempDir()}, Data: dir, Log: log}
	first := take(t, o)
	flip(t, filepath.Join(o.To.Name, "backups", first.Manifest.ID+".json"))
	second := take(t, o)
	if fault.KindOf(second.Damaged) != fault.Invalid || second.New > 4096 {
		t.Errorf("the next backup says %v, and added %d bytes; want the damage, and the list alone", second.Damaged, second.New)
	}
	if all := restored(t, o.To.Name, second.Manifest.ID); all["token"] != "a token\n" {
		t.Errorf("restored %v", all)
	}
	if third := take(t, o); third.Damaged != nil {
		t.Errorf("the one after that says %v", third.Damaged)
	}
}

func TestARestoreFollowsALinkToItsPlace(t *testing.T) {
	dir, log := data(t)
	to := t.TempDir()
	take(t, backup.Options{To: backup.Place{Name: to}, Data: dir, Log: log})
	disk, link := filepath.Join(t.TempDir(), "disk"), filepath.Join(t.TempDir(), "data")
	if err := errors.Join(os.Mkdir(disk, 0o700), os.Symlink(disk, link)); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(t.Context(), backup.Place{Name: to}, "", link); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(disk, "code", "sha256", "ab"), 0o755) })
	if target, err := os.Readlink(link); err != nil || target != disk {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	if _, err := os.Stat(filepath.Join(disk, "token")); err != nil {
		t.Error(err)
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-3] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAnInterruptedBackupIsNone(t *testing.T) {
	dir, log := data(t)
	to := t.TempDir()
	take(t, backup.Options{To: backup.Place{Name: to}, Data: dir, Log: log})
	write(t, filepath.Join(dir, "builds", "log", "2"), "another build")
	// The list is written last.
	stop := errors.New("stop")
	ctx, cancel := cancelled(t, stop)
	defer cancel(nil)
	if _, err := backup.Take(ctx, backup.Options{To: backup.Place{Name: to}, Data: dir, Log: log}); !errors.Is(err, stop) {
		t.Fatalf("Take = %v", err)
	}
	write(t, filepath.Join(to, "coming", "123"), "half a content")
	write(t, filepath.Join(to, "backups", ".aside-123"), "half a list")
	if list, err := backup.List(t.Context(), backup.Place{Name: to}); err != nil || len(list) != 1 {
		t.Errorf("List = %d, %v, want the whole one", len(list), err)
	}
	take(t, backup.Options{To: backup.Place{Name: to}, Data: dir, Log: log})
	if _, err := os.Stat(filepath.Join(to, "coming", "123")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("what an interrupted backup left is there still")
	}
	if _, bad, err := backup.Verify(t.Context(), backup.Place{Name: to}, ""); err != nil || len(bad) > 0 {
		t.Errorf("Verify = %v, %v", bad, err)
	}
}

func TestWhatIsNoPlaceIsRefused(t *testing.T) {
	dir, log := data(t)
	full := t.TempDir()
	write(t, filepath.Join(full, "x"), "x")
	if _, err := backup.Take(t.Context(), backup.Options{To: backup.Place{Name: full}, Data: dir, Log: log}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("Take to what is no directory of backups = %v", err)
	}
	t.Chdir(t.TempDir())
	for _, name := range []string{"s3:/shop/x", "S3://shop", "https://store.example/shop"} {
		if _, err := backup.Take(t.Context(), backup.Options{To: backup.Place{Name: name}, Data: dir, Log: log}); fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), "s3://BUCKET/PREFIX") {
			t.Errorf("Take to %s = %v (%s)", name, err, fault.HintOf(err))
		}
	}
	newer := t.TempDir()
	write(t, filepath.Join(newer, "FORMAT"), "dalamb backup format 2\n")
	if _, err := backup.Take(t.Context(), backup.Options{To: backup.Place{Name: newer}, Data: dir, Log: log}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("Take to a newer format = %v", err)
	}
	to := t.TempDir()
	if _, err := backup.List(t.Context(), backup.Place{Name: to}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("List of an empty directory = %v", err)
	}
	take(t, backup.Options{To: backup.Place{Name: to}, Data: dir, Log: log})
	if _, err := backup.Restore(t.Context(), backup.Place{Name: to}, "", full); fault.KindOf(err) != fault.Conflict {
		t.Errorf("Restore to what holds something = %v", err)
	}
	if _, err := backup.Restore(t.Context(), backup.Place{Name: to}, "20200101T000000.000Z", filepath.Join(t.TempDir(), "d")); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Restore of what is not there = %v", err)
	}
}

// cancelled is a context that is over, because of cause.
func cancelled(t *testing.T, cause error) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	return ctx, cancel
}

// TestAHostileListStaysInItsPlace: a list whose digest is right may still be anybody's.
func TestAHostileListStaysInItsPlace(t *testing.T) {
	for _, f := range []string{
		`{"path":"../out","mode":420,"digest":"` + strings.Repeat("ab", 32) + `"}`,
		`{"path":"a","mode":420,"digest":"x"}`,
		`{"path":"a","mode":420}`,
		`{"path":"l","mode":134218239,"target":"/"},{"path":"l/tmp/out","mode":2147484141}`,
	} {
		to, above := t.TempDir(), t.TempDir()
		list := `{"id":"20260101T000000.000Z","files":[` + f + `]}`
		write(t, filepath.Join(to, "FORMAT"), "dalamb backup format 1\n")
		write(t, filepath.Join(to, "backups", "20260101T000000.000Z.json"), fmt.Sprintf("%x\n%s", sha256.Sum256([]byte(list)), list))
		write(t, filepath.Join(to, "content", "ab", strings.Repeat("ab", 32)), "")
		if _, err := backup.Restore(t.Context(), backup.Place{Name: to}, "", filepath.Join(above, "data")); err == nil {
			t.Errorf("Restore of %s = nil", f)
		}
		if left, err := os.ReadDir(above); err != nil || len(left) > 0 {
			t.Errorf("Restore of %s left %v, %v", f, left, err)
		}
	}
}
