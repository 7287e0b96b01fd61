package cli_test

import (
	"archive/zip"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// makeZip makes a zip archive of a directory: on unix with the modes of its files, on windows without. An entry that a third argument names
// is put into it besides, whatever it is called. zip FILE unix|windows DIR [ENTRY]
func makeZip(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: zip FILE unix|windows DIR [ENTRY]")
	}
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	w := zip.NewWriter(f)
	dir := ts.MkAbs(args[2])
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		h := &zip.FileHeader{Name: filepath.ToSlash(name), Method: zip.Deflate}
		if args[1] == "unix" {
			h.SetMode(info.Mode())
		}
		entry, err := w.CreateHeader(h)
		if err == nil {
			_, err = entry.Write(text)
		}
		return err
	}))
	for _, name := range args[3:] {
		_, err := w.Create(name)
		ts.Check(err)
	}
	ts.Check(w.Close())
	ts.Check(f.Close())
}
