package image

import (
	"archive/tar"
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// maxZip is the largest zip archive that is looked at: no code within its bounds makes a larger one.
const maxZip = MaxArchive

// zipEncrypted is the flag of an entry that cannot be read without a password. // APPNOTE.TXT 4.4.4, bit 0
const zipEncrypted = 1

// Unzip writes what a zip archive holds into dir, which is there and empty. Whoever made it may be hostile: the bounds and the rules are those of
// every archive of code. Errors name the path in the archive.
func Unzip(archive io.ReaderAt, size int64, dir string) error {
	if size > maxZip {
		return fault.New(fault.TooLarge, "it is larger than %d MiB", int64(maxZip)>>20)
	}
	r, err := zip.NewReader(archive, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are looked at below
		return fault.New(fault.Invalid, "it is not a whole zip archive: %w", err)
	}
	if len(r.File) > MaxEntries {
		return fault.New(fault.TooLarge, "it has %d entries; code has at most %d files, directories and links", len(r.File), MaxEntries)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the directory for an archive: %w", err)
	}
	defer root.Close()
	x := newExtractor(root)
	for _, f := range r.File {
		if err := x.zipped(f); err != nil {
			return err
		}
	}
	return x.finish()
}

// zipped unpacks one entry of a zip archive, as if it were one of a tar archive.
func (x *extractor) zipped(f *zip.File) error {
	mode := f.Mode()
	h := &tar.Header{Name: strings.TrimSuffix(f.Name, "/"), Typeflag: kindOf(mode), Mode: int64(mode.Perm()), Size: int64(f.UncompressedSize64)}
	switch {
	case strings.Contains(f.Name, `\`):
		return fault.New(fault.Invalid, "%q: its path has backslashes, and those of zip archives have slashes", clip(f.Name)).
			WithHint("make the archive anew, with another program")
	case f.Flags&zipEncrypted != 0:
		return fault.New(fault.Invalid, "%q is encrypted", clip(f.Name)).WithHint("make the archive anew, without a password")
	case mode.IsDir():
		return x.entry(h, nil)
	case f.UncompressedSize64 > MaxBytes:
		h.Size = MaxBytes + 1 // which is refused, and is no negative number
	}
	content, err := f.Open()
	if err != nil {
		return unzipped(f.Name, err)
	}
	defer content.Close()
	if h.Typeflag == tar.TypeSymlink {
		target, err := io.ReadAll(io.LimitReader(content, MaxPath+1))
		if err != nil {
			return unzipped(f.Name, err)
		}
		h.Linkname = string(target)
	}
	if err := x.entry(h, io.LimitReader(content, h.Size+1)); err != nil {
		return unzipped(f.Name, err)
	}
	return nil
}

// kindOf is the kind of an entry by its mode.
func kindOf(mode fs.FileMode) byte {
	switch {
	case mode.IsRegular():
		return tar.TypeReg
	case mode.IsDir():
		return tar.TypeDir
	case mode&fs.ModeSymlink != 0:
		return tar.TypeSymlink
	case mode&fs.ModeDevice != 0:
		return tar.TypeBlock
	case mode&fs.ModeNamedPipe != 0:
		return tar.TypeFifo
	}
	return tar.TypeCont // such as a socket
}

// unzipped tells what is wrong with an archive from what this machine could not do.
func unzipped(name string, err error) error {
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	switch {
	case errors.Is(err, zip.ErrAlgorithm):
		return fault.New(fault.Invalid, "%q is compressed by a method that is not known here", clip(name)).WithHint("make the archive anew, with deflate")
	case corrupt, errors.Is(err, zip.ErrFormat), errors.Is(err, zip.ErrChecksum), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fault.New(fault.Invalid, "%q is damaged: %w", clip(name), err).WithHint("it was cut short or changed on its way; make the archive anew")
	}
	return err
}

// MakeExecutable makes a program of a directory executable: archives that are made on Windows do not say that anything is. What is no file stays; what
// is wrong with that is told by who starts it.
func MakeExecutable(dir, program string) (made bool, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	info, err := root.Stat(program)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 != 0 {
		return false, nil
	}
	return true, root.Chmod(program, 0o755)
}
