package image

import (
	"path"
	"strings"
)

// maxFollow is how many links one path may pass through, as in Linux (path_resolution(7)).
const maxFollow = 40

// leaves says whether following the link at name may lead out of the tree. links holds the targets of all links of the tree
// by path. Every step is followed as the kernel would do it: "a/.." is not "." when a is a link.
func leaves(name string, links map[string]string) bool {
	var at []string // the directory reached so far
	if d := path.Dir(name); d != "." {
		at = strings.Split(d, "/")
	}
	target := links[name]
	if path.IsAbs(target) {
		return true
	}
	todo := strings.Split(target, "/")
	for followed := 1; len(todo) > 0; {
		step := todo[0]
		todo = todo[1:]
		switch step {
		case "", ".":
			continue
		case "..":
			if len(at) == 0 {
				return true
			}
			at = at[:len(at)-1]
			continue
		}
		at = append(at[:len(at):len(at)], step)
		target, ok := links[strings.Join(at, "/")]
		if !ok {
			continue
		}
		if followed++; followed > maxFollow {
			return false // a loop: opening it fails, and leads nowhere
		}
		if path.IsAbs(target) {
			return true
		}
		at = at[:len(at)-1]
		todo = append(strings.Split(target, "/"), todo...)
	}
	return false
}
