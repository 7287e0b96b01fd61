//go:build !linux

package image

import (
	"io/fs"
	"os"

	"github.com/dalamb/dalamb/internal/fault"
)

func errNoOverlay() error {
	return fault.New(fault.Unavailable, "layers of images need Linux").WithHint("deploy it to a node on Linux")
}

func makeWhiteout(*os.File, string) error { return errNoOverlay() }

func isWhiteout(fs.FileInfo) bool { return false }

func makeOpaque(*os.File) error { return errNoOverlay() }

func isOpaque(string) bool { return false }
