package build

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Where a build of a Dockerfile has what.
const (
	storageAt  = cacheAt + "/storage" // layers
	settingsAt = tmpAt + "/.config/containers"
	idAt       = tmpAt + "/image-id"
	layoutAt   = outAt + "/" + layoutName
	layoutName = "image"
)

// maxDockerfile bounds what is read of one, in bytes.
const maxDockerfile = 1 << 20

// storage makes the places that buildah keeps things in. Layers, and what RUN --mount=type=cache has, stay for the next build; what it knows of containers, and the secrets that it has
// put there for them, is in memory and gone with the sandbox. Layers are put together by overlayfs, or by copying where that cannot be mounted.
const storage = `mkdir -p ` + tmpAt + `/var/tmp ` + storageAt + ` ` + settingsAt + ` ` + tmpAt + `/run ` + tmpAt + `/try/l ` + tmpAt + `/try/u ` + tmpAt + `/try/w ` + tmpAt + `/try/m
mount --bind ` + tmpAt + `/var /var
for dir in ` + tmpAt + `/buildah-cache ` + tmpAt + `/buildah-cache-1000; do
	mkdir -p $dir ` + cacheAt + `/mounts
	mount --bind ` + cacheAt + `/mounts $dir
done
mount -t tmpfs -o size=64m,mode=700 run ` + tmpAt + `/run
STORAGE_DRIVER=vfs
if mount -t overlay overlay -o userxattr,lowerdir=` + tmpAt + `/try/l,upperdir=` + tmpAt + `/try/u,workdir=` + tmpAt + `/try/w ` + tmpAt + `/try/m 2>/dev/null; then
	umount ` + tmpAt + `/try/m
	STORAGE_DRIVER=overlay
fi
export STORAGE_DRIVER
mkdir -p ` + storageAt + `/$STORAGE_DRIVER-containers
mount -t tmpfs -o size=64m,mode=700 containers ` + storageAt + `/$STORAGE_DRIVER-containers
`

// dockerfilePlan makes an image by buildah, as the root of namespaces of its own in the sandbox. It asks for base images at the node,
// and nowhere else.
func (b *Builds) dockerfilePlan(r *Request) (*plan, error) {
	if b.images == nil {
		return nil, fault.New(fault.Unavailable, "function %q: this node keeps no images, and so builds none", r.Function)
	}
	file, err := findDockerfile(r)
	if err != nil {
		return nil, err
	}
	text, err := readSource(r.Dir, file)
	if err != nil {
		return nil, err
	}
	df, err := readDockerfile(file, text, r.Build.Args)
	if err != nil {
		return nil, err
	}
	if err := b.checkPinned(file, df.images); err != nil {
		return nil, err
	}
	img, err := newImageBuild(b.images, df.images)
	if err != nil {
		return nil, err
	}
	build := []string{"buildah", "bud", "--pull=always", "--layers", "--format", "oci", "--timestamp", "315532800", "--network", "host", "--iidfile", idAt, "--file", path.Join(sourceAt, file)}
	if r.Build.Target != "" {
		build = append(build, "--target", r.Build.Target)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Build.Args)) {
		build = append(build, "--build-arg", name+"="+r.Build.Args[name])
	}
	for _, name := range r.Build.Secrets {
		build = append(build, "--secret", "id="+name+",src="+function.SecretsDir+"/"+name)
	}
	p := &plan{
		name: "buildah", needs: []string{"buildah"}, versioned: true, image: img,
		steps: [][]string{{"buildah", "--version"}, append(build, sourceAt)},
		env: []string{
			// It is root of a user namespace that was made for it, as its own "buildah unshare" would make one.
			"_CONTAINERS_USERNS_CONFIGURED=done", "_CONTAINERS_ROOTLESS_UID=1000", "_CONTAINERS_ROOTLESS_GID=1000", "BUILDAH_ISOLATION=chroot",
			"XDG_RUNTIME_DIR=" + tmpAt + "/run", "CONTAINERS_STORAGE_CONF=" + settingsAt + "/storage.conf", "CONTAINERS_REGISTRIES_CONF=" + settingsAt + "/registries.conf",
		},
		before: storage,
		after:  `buildah push --quiet "$(cat ` + idAt + `)" oci:` + layoutAt + "\n",
	}
	for name, text := range map[string]string{
		"policy.json":     `{"default":[{"type":"insecureAcceptAnything"}]}`, // what an image is, the node has seen to // containers-policy.json(5)
		"storage.conf":    fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrootless_storage_path = %[1]q\nrunroot = %q\n", storageAt, tmpAt+"/run"),
		"registries.conf": img.settings(),
		"containers.conf": "[engine]\ncgroup_manager = \"cgroupfs\"\n",
	} {
		p.before += "printf '%s' " + quote(text) + " > " + settingsAt + "/" + name + "\n"
	}
	return p, nil
}

// checkPinned refuses images by their tags where source alone is to say what is built: what a tag names, somebody else decides.
func (b *Builds) checkPinned(file string, refs []string) error {
	if !b.pinned {
		return nil
	}
	for _, ref := range refs {
		if !strings.Contains(ref, "@sha256:") {
			return fault.New(fault.Denied, "%s takes the image %s, whose content its tag does not tell, and this node takes nothing that is not signed (require: signed)", file, fault.Clip(ref)).
				WithHint("name it by its digest: %s@sha256:..., so that who approves the source approves the image; skopeo inspect, or dalamb images, shows digests", fault.Clip(ref))
		}
	}
	return nil
}

// findDockerfile is the path of it below the source.
func findDockerfile(r *Request) (string, error) {
	if r.Build.File != "" {
		return path.Clean(r.Build.File), nil
	}
	for _, name := range function.DockerfileNames() {
		if r.has(name) {
			return name, nil
		}
	}
	return "", lacks(function.BuildDockerfile, strings.Join(function.DockerfileNames(), " or "))
}

// readSource reads a small file of a source, from which no link leads out.
func readSource(dir, file string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("open the source: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return "", fault.New(fault.Invalid, "build.file: %q is not in the code, or no file", file)
	}
	f, err := root.Open(file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDockerfile+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	if len(text) > maxDockerfile {
		return "", fault.New(fault.Invalid, "%s has more than %d KiB", file, maxDockerfile>>10)
	}
	return string(text), nil
}

func noBuildah(name string) error {
	return fault.New(fault.Unavailable, "this node has no %s in /usr/bin, which building from a Dockerfile takes", name).
		WithHint("install it: apt-get install %s, or dnf install %[1]s; dalamb doctor tells when it is there. Or build the image elsewhere, and say image:", name)
}
