package secret

import (
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// maxPassphrase bounds the file that a passphrase is read from.
const maxPassphrase = 4 << 10

// ReadPassphrase reads the first line of a file, or of the open descriptor N when from is fd:N, so that a passphrase need be in no file.
func ReadPassphrase(from string) (string, error) {
	f, err := openPassphrase(from)
	if err != nil {
		return "", fault.New(fault.Invalid, "read the passphrase of the secrets' key: %w", err).
			WithHint("secrets.passphrase is a file, or fd:N for an open descriptor")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err != nil {
		return "", fault.New(fault.Invalid, "read the passphrase of the secrets' key: %w", err).WithHint("check secrets.passphrase")
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSuffix(line, "\r")
	switch {
	case len(text) > maxPassphrase:
		return "", fault.New(fault.Invalid, "%s holds more than %d bytes, and so no passphrase", from, maxPassphrase).WithHint("check secrets.passphrase")
	case line == "":
		return "", fault.New(fault.Invalid, "%s holds no passphrase: its first line is empty", from).WithHint("check secrets.passphrase")
	}
	return line, nil
}

func openPassphrase(from string) (*os.File, error) {
	number, ok := strings.CutPrefix(from, "fd:")
	if !ok {
		return os.Open(from)
	}
	fd, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), from)
	if _, err := f.Stat(); err != nil {
		return nil, err
	}
	return f, nil
}
