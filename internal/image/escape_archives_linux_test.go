package image_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/image"
)

// hostileArchive is a try. It is refused, but where kept says for a column what it becomes.
type hostileArchive struct {
	name    string
	archive []byte
	kept    map[string]harmlessForm
}

type harmlessForm struct {
	answer string
	look   func(tree string) (problem string)
}

// reason is why an archive is refused: by what the error says, and by what the table says.
type reason struct{ said, answer string }

func reasons() []reason {
	return []reason{
		{"not a path", "not a path below it"},
		{"lies behind a link", "it lies behind a link"},
		{"is not a directory", "a link is not a directory"},
		{"hard link", "a hard link is to a file of the archive, if any"},
		{"a device file", "code has no devices"},
		{"a named pipe", "code has no pipes"},
		{"a sparse file", "code has no sparse files"},
		{"removes nothing", "it removes nothing that has a name"},
		{"the code is larger than", "more than the bound, by its header"},
		{"it has more than 10240 MiB", "more than the bound, before it is on disk"},
		{"more than 1000 entries", "more than the bound"},
		{"files, directories and links", "more than the bound"},
		{"the code is not a whole tar archive", "code comes as it is, not compressed"},
	}
}

func hostileArchives(t *testing.T) []hostileArchive {
	t.Helper()
	file := func(name string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 1}
	}
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	hard := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}
	}
	of := func(all ...tar.Header) []byte { return pack(t, all) }
	setuid := file("run")
	setuid.Mode = 0o6755
	capable := file("run")
	capable.Format = tar.FormatPAX
	// VFS_CAP_REVISION_2 with all capabilities, as effective ones. // linux/capability.h, struct vfs_cap_data
	capable.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\xff\xff\xff\xff\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"}
	many := make([]tar.Header, image.MaxEntries+1)
	for i := range many {
		many[i] = link(fmt.Sprint(i), "x")
	}
	return []hostileArchive{
		{"write above the directory with `../`", of(file("../evil")), nil},
		{"write to a directory of the host through a link of its own", of(link("out", "/tmp"), file("out/evil")), nil},
		{"write above the directory through a link of its own", of(link("up", ".."), file("up/evil")), nil},
		{"have a file of the host by a hard link", of(hard("passwd", "/etc/passwd")), nil},
		{"have a file of the host by a hard link through a link", of(link("up", "/etc"), hard("passwd", "up/passwd")), nil},
		{"bring a device node: the host's first disk", of(tar.Header{Typeflag: tar.TypeBlock, Name: "disk", Mode: 0o666, Devmajor: 8}), leftOut("disk")},
		{"bring a device node: the kernel's memory", of(tar.Header{Typeflag: tar.TypeChar, Name: "mem", Mode: 0o666, Devmajor: 1, Devminor: 1}), leftOut("mem")},
		{"bring a named pipe", of(tar.Header{Typeflag: tar.TypeFifo, Name: "pipe", Mode: 0o666}), leftOut("pipe")},
		{"bring a program of root's with its set-uid and set-gid bits", of(setuid), inBoth("the bits are left out", func(tree string) string {
			info, err := os.Stat(filepath.Join(tree, "run"))
			if err != nil || info.Mode() != 0o755 {
				return fmt.Sprintf("it is %v, %v; want the mode 0755", info, err)
			}
			return ""
		})},
		{"bring a program with capabilities as its attribute", of(capable), inBoth("the attribute is left out", func(tree string) string {
			if n, err := unix.Getxattr(filepath.Join(tree, "run"), "security.capability", nil); !errors.Is(err, unix.ENODATA) {
				return fmt.Sprintf("the attribute has %d bytes, %v; want none", n, err)
			}
			return ""
		})},
		{"hide a directory of the host by a whiteout behind a link of its own", of(link("out", "/tmp"), file("out/.wh..wh..opq")), nil},
		{"hide what is above the directory by a whiteout of `..`", of(file(".wh...")), map[string]harmlessForm{
			"code": {"it is a file of that name", func(tree string) string {
				if info, err := os.Lstat(filepath.Join(tree, ".wh...")); err != nil || !info.Mode().IsRegular() {
					return fmt.Sprintf("it is %v, %v; want a file", info, err)
				}
				return ""
			}},
		}},
		{"become gigabytes when it is unpacked, compressed to a few kilobytes", image.Overlong(t, of(tar.Header{Typeflag: tar.TypeReg, Name: "f", Size: 1})), nil},
		{"become 999 GB on disk, as a sparse file of two kilobytes", image.SparseArchive(), nil},
		{"have a file larger than the bound", image.RawHeader("big", tar.TypeReg, 8<<30-1), nil},
		{"have more files, directories and links than the bound", of(many...), nil},
	}
}

// leftOut are things that a layer comes without.
func leftOut(name string) map[string]harmlessForm {
	return map[string]harmlessForm{"image layer": {"it is left out", func(tree string) string {
		if info, err := os.Lstat(filepath.Join(tree, name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Sprintf("it is there: %v, %v", info, err)
		}
		return ""
	}}}
}

func inBoth(answer string, look func(tree string) string) map[string]harmlessForm {
	return map[string]harmlessForm{"code": {answer, look}, "image layer": {answer, look}}
}
