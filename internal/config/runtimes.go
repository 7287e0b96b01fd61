package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Runtimes are images, by the names of AWS's runtimes, upon which functions of these are laid.
type Runtimes map[string]string

// validRuntime is what a name of AWS's may be made of: which there are is for AWS to say.
var validRuntime = regexp.MustCompile(`^[a-z][a-z0-9.]{0,30}$`)

// UnmarshalText reads "name=image,name=image".
func (r *Runtimes) UnmarshalText(text []byte) error {
	*r = nil
	for item := range strings.SplitSeq(string(text), ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		name, image, given := strings.Cut(item, "=")
		switch _, twice := (*r)[name]; {
		case !given, !validRuntime.MatchString(name):
			return fmt.Errorf("has the item %q, which is not RUNTIME=IMAGE, such as python3.12=public.ecr.aws/lambda/python:3.12", item)
		case !strings.ContainsAny(image, "/:.@"), strings.ContainsAny(image, " \t"), strings.HasPrefix(image, "."), strings.HasPrefix(image, "/"):
			return fmt.Errorf("has for %s the image %q; it is written with its registry or its tag", name, image)
		case twice:
			return fmt.Errorf("names the runtime %s twice", name)
		case *r == nil:
			*r = Runtimes{}
		}
		(*r)[name] = image
	}
	return nil
}

// String is the inverse of UnmarshalText, as it stands in a file.
func (r Runtimes) String() string {
	items := []string{}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		items = append(items, name+"="+r[name])
	}
	return "[" + strings.Join(items, ", ") + "]"
}
