package build

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestWhatADockerfileBeginsWith(t *testing.T) {
	args := map[string]string{"GIVEN": "given", "TAG": "7", "BUILDOS": "plan9"}
	for _, c := range []struct{ name, text, want string }{
		{"one", "FROM alpine:3\nRUN x", "alpine:3"},
		{"nothing", "FROM scratch", ""},
		{"in small letters, with a platform", "from --platform=linux/amd64 alpine as base\nfrom BASE\nrun x", "alpine"},
		{"stages, by name and by number", "FROM a AS one\nFROM b\nCOPY --from=one / /\nCOPY --from=0 / /\nCOPY --chown=1:2 --from=c / /\nADD x /", "a b c"},
		{"arguments", "ARG TAG=1\nARG X=y\nARG Z\nFROM a:$TAG\nFROM b:${X}\nFROM c:${Z:-none}\nFROM ${X:+d}\nFROM e:${GIVEN-other}", "a:7 b:y c:none d e:other"},
		{"an argument of an argument", "ARG A=1\nARG B=\"x$A\"\nFROM a:$B", "a:x1"},
		{"comments and lines that go on", "# syntax=x\n\nFROM \\\n  # in between\n\n  alpine \\\n AS x\nRUN a \\\n  && FROM", "alpine"},
		{"another escape", "# escape=`\nFROM `\n a", "a"},
		{"mounts", "FROM a\nRUN --mount=type=bind,from=b,target=/x --mount=type=cache,target=/y c --mount=from=d", "a b"},
		{"documents", "FROM a\nRUN <<EOF\nFROM nothing\nEOF\nCOPY <<-'X' <<Y /z\nNOT\nX\nTHIS\nY\nFROM b", "a b"},
		{"a shift, no document", "FROM a\nRUN echo $((1<<EOF))\nFROM b", "a b"},
		{"the platform", "ARG TARGETOS\nARG TARGETARCH BUILDARCH TARGETVARIANT\nFROM --platform=$BUILDPLATFORM a:$TARGETARCH\nFROM b-$TARGETOS-${BUILDARCH}${TARGETVARIANT}", "a:" + runtime.GOARCH + " b-linux-" + runtime.GOARCH},
		{"the platform, as it is given", "ARG BUILDOS\nFROM a:$BUILDOS", "a:plan9"},
		{"the platform, as the file says it", "ARG TARGETARCH=other\nFROM a:$TARGETARCH", "a:other"},
		{"each once", "FROM a\nFROM a", "a"},
		{"a mark at the beginning, and line ends of Windows", "\ufeffFROM a\r\nRUN x\r\n", "a"},
	} {
		df, err := readDockerfile("Dockerfile", c.text, args)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := strings.Join(df.images, " "); got != c.want {
			t.Errorf("%s: images %q, want %q", c.name, got, c.want)
		}
	}
	for text, want := range map[string]string{
		"":                                     "Dockerfile has no FROM",
		"# FROM x":                             "has no FROM",
		"RUN x\nFROM y":                        "Dockerfile:1: RUN comes before the first FROM",
		"FROM a\n\nCOPPY x y":                  "Dockerfile:3: unknown instruction COPPY",
		"FROM a\nRUN \\\n x\nqwertz":           "Dockerfile:4: unknown instruction QWERTZ",
		"FROM a\nRUN":                          "Dockerfile:2: RUN says nothing",
		"FROM a b":                             "Dockerfile:1: FROM is not FROM IMAGE",
		"FROM a:$NONE":                         "Dockerfile:1: the image a:$NONE has an argument without a value",
		"ARG X\nFROM $X":                       "Dockerfile:2: the image $X has an argument",
		"FROM a:$TARGETARCH":                   "Dockerfile:1: the image a:$TARGETARCH has an argument without a value",
		"FROM a\nCOPY --from=${Y} / /":         "Dockerfile:2: the image ${Y}",
		"FROM a\n" + strings.Repeat("x", 5000): "Dockerfile:2: unknown instruction XXX",
	} {
		_, err := readDockerfile("Dockerfile", text, args)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) || len(err.Error()) > 1000 {
			t.Errorf("reading %.40q = %.200v, want %q", text, err, want)
		}
	}
}

// TestWhatIsSignedNamesItsImages asks a node that takes nothing else.
func TestWhatIsSignedNamesItsImages(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0", 64)
	for text, refused := range map[string]string{
		"FROM debian:12":                                "debian:12",
		"FROM debian:12" + digest:                       "",
		"FROM scratch\nCOPY . /":                        "",
		"FROM a" + digest + "\nCOPY --from=b:1 / /":     "b:1",
		"FROM a" + digest + " AS x\nFROM x":             "",
		"ARG V=1\nFROM a" + digest + "\nFROM debian:$V": "debian:$V",
	} {
		for _, pinned := range []bool{true, false} {
			b := &Builds{images: &manifests{}, pinned: pinned}
			_, err := b.dockerfilePlan(&Request{Dir: source(t, map[string]string{"Dockerfile": text}), Build: recipe()})
			if want := strings.ReplaceAll(refused, "$V", "1"); pinned && want != "" {
				if fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "Dockerfile takes the image "+want+", whose") || !strings.Contains(fault.HintOf(err), want+"@sha256:") {
					t.Errorf("%q = %v (%s), want a Denied fault that names %s", text, err, fault.HintOf(err), want)
				}
			} else if err != nil {
				t.Errorf("%q, pinned %v = %v", text, pinned, err)
			}
		}
	}
}

func FuzzDockerfile(f *testing.F) {
	for _, text := range []string{
		"FROM a AS b\nRUN --mount=from=c x\nCOPY --from=b / /", "ARG A=1\nFROM a:${A:-$B}\nRUN <<X\ny\nX", "# escape=`\nFROM `\na", "FROM $", "ARG A=$A\nFROM ${A", "FROM a\nRUN <<A <<B\nA\nB",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		df, err := readDockerfile("Dockerfile", text, map[string]string{"A": "x"})
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("%q: a %v fault, want an Invalid one", text, fault.KindOf(err))
			}
			return
		}
		for i, ref := range df.images {
			if ref == "" || ref == "scratch" || strings.Contains(ref, "$") || slices.Contains(df.images[:i], ref) {
				t.Errorf("%q: image %q", text, ref)
			}
		}
	})
}
