package function

import (
	"slices"
	"strings"
	"time"
)

// Fields of a Spec that an image's config may give.
const (
	fieldCommand = "entry.command"
	fieldPort    = "entry.port"
)

// Give fills in what an image says and the spec does not, and notes in the image that it was so: another image says something else.
func (i *Image) Give(s *Spec, command []string, port int) {
	if len(s.Entry.Command) == 0 {
		s.Entry.Command = command
		i.Gave = append(i.Gave, fieldCommand)
	}
	if s.Entry.Type == EntryHTTP && s.Entry.Port == 0 {
		s.Entry.Port = port
		i.Gave = append(i.Gave, fieldPort)
	}
}

// Declared is the version's spec as it was written: without what its image gave.
func (v *Version) Declared() Spec {
	s := v.Spec
	if v.Image == nil {
		return s
	}
	if slices.Contains(v.Image.Gave, fieldCommand) {
		s.Entry.Command = nil
	}
	if slices.Contains(v.Image.Gave, fieldPort) {
		s.Entry.Port = 0
	}
	return s
}

func (c *checker) follow(s *Spec) {
	ref := s.ImageRef()
	switch {
	case !s.Follow:
	case ref == "":
		c.add("follow", "name an image with a tag, as image or as base", "there is no image to follow")
	case LocalImage(ref):
		c.add("follow", "push it to a registry, and name it by that", "a file beside the manifest cannot be followed: nobody tells of its changes")
	case strings.Contains(ref, "@"):
		c.add("follow", "name a tag instead, such as NAME:stable", "the digest in %q always means the same image", clip(ref))
	}
}

// ImagePushed is the data of an image.pushed event.
type ImagePushed struct {
	Registry   string `json:"registry"` // "dalamb.internal" for dalamb's own; else the NAME of the hook that told of it
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Digest     string `json:"digest,omitempty"` // of the manifest or index; "" = whoever told of the push did not say it
	MediaType  string `json:"mediaType,omitempty"`
	Bytes      int64  `json:"bytes,omitempty"`  // of the manifest
	Pusher     string `json:"pusher,omitempty"` // the user name that was given beside the token, or what the other registry says
}

// FollowFailed is the data of a follow.failed event: a push that a function follows, and that made no version of it.
type FollowFailed struct {
	Function  string    `json:"function"`
	Alias     string    `json:"alias"`
	Image     string    `json:"image"` // as the manifest names it
	Pushed    time.Time `json:"pushed"`
	Error     string    `json:"error"`
	Hint      string    `json:"hint,omitempty"`
	CauseID   string    `json:"causeId"` // of the image.pushed event
	Attempts  int       `json:"attempts"`
	Unchanged int       `json:"unchanged"` // the version that the alias has still
}
