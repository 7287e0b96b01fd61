package provision

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/runner"
)

// maxAccounts bounds what is read of an image's /etc/passwd or /etc/group, in bytes.
const maxAccounts = 1 << 20

// findUser says who an image's user is: "", NAME, UID, NAME:GROUP and so on. A user of the file has the groups that the file gives
// it, unless one is named; a number that is not in the file has the group 0. // OCI image-spec config.md, User
func findUser(layers []string, user string) (function.User, error) {
	var u function.User
	name, group, grouped := strings.Cut(user, ":")
	passwd, err := readAccounts(layers, "etc/passwd")
	if err != nil {
		return u, err
	}
	groups, err := readAccounts(layers, "etc/group")
	if err != nil {
		return u, err
	}
	if name == "" {
		name = "0"
	}
	entry := find(passwd, name)
	if len(entry) >= 4 {
		name = entry[0]
		if u.UID, err = id(entry[2]); err == nil {
			u.GID, err = id(entry[3])
		}
	} else {
		u.UID, err = id(name)
	}
	if err != nil {
		return u, fmt.Errorf("its user %q is not in its /etc/passwd: %w", user, err)
	}
	if grouped {
		if g := find(groups, group); g != nil {
			group = g[2]
		}
		if u.GID, err = id(group); err != nil {
			return u, fmt.Errorf("the group of its user %q is not in its /etc/group: %w", user, err)
		}
		return u, nil
	}
	u.Groups = memberships(groups, name, u.GID)
	return u, nil
}

// memberships are the groups that name a user as theirs.
func memberships(groups [][]string, name string, own uint32) []uint32 {
	var ids []uint32
	for _, g := range groups {
		if len(g) < 4 || !slices.Contains(strings.Split(g[3], ","), name) {
			continue
		}
		if n, err := id(g[2]); err == nil && n != own {
			ids = append(ids, n)
		}
	}
	return ids
}

// find is the account with a name or, when what is a number, with that number.
func find(accounts [][]string, what string) []string {
	for _, a := range accounts {
		if a[0] == what || a[2] == what {
			return a
		}
	}
	return nil
}

func id(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, fault.New(fault.Invalid, "%q is no number", s)
	}
	if n > runner.MaxID {
		return 0, fault.New(fault.Invalid, "%d is larger than %d, the largest id in a sandbox", n, runner.MaxID)
	}
	return uint32(n), nil
}

// readAccounts reads a file of an image as the image's root shows it; nothing where there is none. // passwd(5)
func readAccounts(layers []string, name string) ([][]string, error) {
	f, err := image.Merged(layers).Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read its /%s: %w", name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxAccounts))
	if err != nil {
		return nil, fmt.Errorf("read its /%s: %w", name, err)
	}
	var accounts [][]string
	for line := range bytes.Lines(text) {
		if fields := strings.Split(strings.TrimSpace(string(line)), ":"); len(fields) >= 3 {
			accounts = append(accounts, fields)
		}
	}
	return accounts, nil
}
