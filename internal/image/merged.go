package image

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Merged is the root that unpacked layers make, the lowest first, as overlayfs shows it: for who looks into it without a mount. Links are
// followed within it, absolute ones too, and never lead out of it. // Documentation/filesystems/overlayfs.rst
type Merged []string

// Open opens a file, not a directory. fs.ErrNotExist when the root does not show it.
func (m Merged) Open(name string) (*os.File, error) {
	p, err := m.find(name)
	if err != nil {
		return nil, m.wrap("open", name, err)
	}
	if !p.info.Mode().IsRegular() {
		return nil, m.wrap("open", name, errors.New("not a file"))
	}
	return os.Open(filepath.Join(p.layers[0], p.at))
}

// Stat describes what is at name, or what the link there leads to.
func (m Merged) Stat(name string) (fs.FileInfo, error) {
	p, err := m.find(name)
	if err != nil {
		return nil, m.wrap("stat", name, err)
	}
	return p.info, nil
}

// Names lists what is in a directory, sorted.
func (m Merged) Names(name string) ([]string, error) {
	p, err := m.find(name)
	if err == nil && !p.info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, m.wrap("list", name, err)
	}
	decided := map[string]bool{} // by the highest layer that has something there: true = it is there
	for _, layer := range p.layers {
		list, err := os.ReadDir(filepath.Join(layer, p.at))
		if err != nil {
			return nil, err
		}
		for _, de := range list {
			if _, ok := decided[de.Name()]; ok {
				continue
			}
			info, err := de.Info()
			if err != nil {
				return nil, err
			}
			decided[de.Name()] = !isWhiteout(info)
		}
	}
	var names []string
	for name, there := range decided {
		if there {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (Merged) wrap(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: "/" + name, Err: err}
}

// shown is what the root has at one path.
type shown struct {
	at     string   // the path, without links
	layers []string // that make it up, the highest first; one where it is no directory
	info   fs.FileInfo
}

// find follows a path, as the kernel would do it for who has this root.
func (m Merged) find(name string) (shown, error) {
	if len(m) == 0 {
		return shown{}, fs.ErrNotExist
	}
	root := shown{at: "."}
	for _, layer := range slices.Backward(m) {
		root.layers = append(root.layers, layer)
	}
	var err error
	if root.info, err = os.Lstat(root.layers[0]); err != nil {
		return shown{}, err
	}
	way := []shown{root} // the directories that lead to the place reached so far, and that
	todo := strings.Split(name, "/")
	for followed := 0; len(todo) > 0; {
		step := todo[0]
		todo = todo[1:]
		at := way[len(way)-1]
		switch {
		case step == "" || step == ".":
			continue
		case !at.info.IsDir():
			return shown{}, syscall.ENOTDIR
		case step == "..":
			way = way[:max(1, len(way)-1)]
			continue
		}
		next, err := at.child(step)
		if err != nil {
			return shown{}, err
		}
		if next.info.Mode()&fs.ModeSymlink == 0 {
			way = append(way, next)
			continue
		}
		if followed++; followed > maxFollow {
			return shown{}, syscall.ELOOP
		}
		target, err := os.Readlink(filepath.Join(next.layers[0], next.at))
		if err != nil {
			return shown{}, err
		}
		if path.IsAbs(target) {
			way = way[:1]
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return way[len(way)-1], nil
}

// child is what a directory has under a name. All that leads there in the layers are directories, so joining paths follows no link.
func (d shown) child(name string) (shown, error) {
	c := shown{at: path.Join(d.at, name)}
	for _, layer := range d.layers {
		here := filepath.Join(layer, c.at)
		info, err := os.Lstat(here)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return c, err
		}
		if isWhiteout(info) || c.layers != nil && !info.IsDir() {
			break
		}
		c.layers = append(c.layers, layer)
		if c.info == nil {
			c.info = info
		}
		if !info.IsDir() || isOpaque(here) {
			break
		}
	}
	if c.layers == nil {
		return c, fs.ErrNotExist
	}
	return c, nil
}
