package aws

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
)

// codePath is where links to code lead.
const codePath = "/_/aws/code/"

// linkLasts is how long a link to code is good. AWS Lambda API reference, FunctionCodeLocation.
const linkLasts = 10 * time.Minute

// unpacked is an archive that was sent, as a directory.
type unpacked struct {
	dir string
	upload
}

// unpack writes a zip archive to a directory of its own, which the caller removes.
func (l *Lambda) unpack(archive []byte) (unpacked, error) {
	sum := sha256.Sum256(archive)
	u := unpacked{upload: upload{base64.StdEncoding.EncodeToString(sum[:]), int64(len(archive))}}
	var err error
	if u.dir, err = os.MkdirTemp(l.o.Dir, "zip-*"); err != nil {
		return u, fmt.Errorf("make a directory for an archive: %w", err)
	}
	if err := image.Unzip(bytes.NewReader(archive), int64(len(archive)), u.dir); err != nil {
		u.remove()
		if fault.KindOf(err) == fault.Internal {
			return u, fmt.Errorf("unpack the archive: %w", err)
		}
		return u, badValue("Could not unzip uploaded file. Please check your file, then try to upload again: %w", err)
	}
	return u, nil
}

func (u unpacked) remove() { os.RemoveAll(u.dir) } // what is left is removed at the next start

// store packs the directory into the code store. program is what it is started from, below it; "" = none of it.
func (l *Lambda) store(ctx context.Context, u unpacked, program string) (digest string, err error) {
	if program != "" {
		if _, err := image.MakeExecutable(u.dir, program); err != nil {
			return "", fmt.Errorf("make %s executable: %w", program, err)
		}
	}
	digest, err = image.PutDirectory(ctx, l.o.Code, u.dir)
	if err != nil {
		return "", fmt.Errorf("keep the code: %w", err)
	}
	return digest, nil
}

// link leads to the code of a digest, for whoever has it, for a while.
func (l *Lambda) link(r *http.Request, digest string) string {
	until := strconv.FormatInt(l.o.Now().Add(linkLasts).Unix(), 10)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	u := url.URL{Scheme: scheme, Host: r.Host, Path: codePath + digest, RawQuery: url.Values{"until": {until}, "sum": {l.linkSum(digest, until)}}.Encode()}
	return u.String()
}

func (l *Lambda) linkSum(digest, until string) string {
	mac := hmac.New(sha256.New, l.o.Key)
	fmt.Fprintf(mac, "link to code\x00%s\x00%s", digest, until)
	return hex.EncodeToString(mac.Sum(nil))
}

// sendCode answers a link with a zip archive.
func (l *Lambda) sendCode(w http.ResponseWriter, r *http.Request) {
	digest, q := r.PathValue("digest"), r.URL.Query()
	until, err := strconv.ParseInt(q.Get("until"), 10, 64)
	if err != nil || !hmac.Equal([]byte(q.Get("sum")), []byte(l.linkSum(digest, q.Get("until")))) {
		l.fail(w, r, fault.New(fault.Denied, "the link to the code is none that was given"))
		return
	}
	if l.o.Now().After(time.Unix(until, 0)) {
		l.fail(w, r, fault.New(fault.Denied, "the link to the code was good for %s, which are over", linkLasts).WithHint("ask for the function again"))
		return
	}
	dir, err := l.o.Code.Dir(digest)
	if err != nil {
		l.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	if err := writeZip(w, dir); err != nil {
		panic(http.ErrAbortHandler) // the client must not take what it has for the whole
	}
}

// writeZip writes a code directory as an archive that, sent again, is the same code.
func writeZip(w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the code: %w", err)
	}
	defer root.Close()
	z := zip.NewWriter(w)
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		return zipEntry(z, root, path)
	})
	if err != nil {
		return fmt.Errorf("archive the code: %w", err)
	}
	return z.Close()
}

func zipEntry(z *zip.Writer, root *os.Root, path string) error {
	info, err := root.Lstat(path)
	if err != nil {
		return err
	}
	h := &zip.FileHeader{Name: path, Method: zip.Deflate}
	h.SetMode(info.Mode())
	if info.IsDir() {
		h.Name, h.Method = path+"/", zip.Store
	}
	to, err := z.CreateHeader(h)
	if err != nil || info.IsDir() {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := root.Readlink(path)
		if err == nil {
			_, err = io.WriteString(to, target)
		}
		return err
	}
	f, err := root.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(to, f)
	return err
}
