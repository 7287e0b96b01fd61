package audit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Kinds of what a node signs: the first line of its text, so that the one is never taken for the other.
const (
	checkpointKind = "dalamb audit checkpoint v1"
	stateKind      = "dalamb audit state v1"
)

// treeID names a tree: a topic deleted and made again is another one.
type treeID struct {
	topicID   string
	partition int32
}

// head is a tree as it was when it was signed.
type head struct {
	id    treeID
	topic string // its name
	size  int64  // leaves
	end   int64  // the offset after the last leaf's
	root  tlog.Hash
	at    int64 // where the checkpoint that says so stands in the topic of checkpoints; in the state alone
}

// gone is a topic that was deleted.
type gone struct{ topicID, topic string }

// checkpoint is what is signed from time to time: the trees that grew since the one before, and which one that was.
type checkpoint struct {
	seq  int64
	time time.Time
	prev [sha256.Size]byte // of the signed form of the checkpoint before; zeros for the first
	head []head
	gone []gone
}

func (c *checkpoint) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n%s\n%s\n", checkpointKind, c.seq, c.time.UTC().Format(time.RFC3339Nano), base64.StdEncoding.EncodeToString(c.prev[:]))
	for i := range c.head {
		b.WriteString(c.head[i].line())
	}
	for _, g := range c.gone {
		fmt.Fprintf(&b, "gone %s %s\n", g.topicID, g.topic)
	}
	return b.String()
}

func (h *head) line() string {
	return fmt.Sprintf("tree %s %d %d %d %s %s\n", h.id.topicID, h.id.partition, h.size, h.end, h.root, h.topic)
}

var errForm = errors.New("is not in the form of a checkpoint")

// parseCheckpoint reads a text whose signature has been checked. It takes what text makes, byte by byte, and nothing else.
func parseCheckpoint(text string) (*checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 5 || lines[0] != checkpointKind || lines[len(lines)-1] != "" {
		return nil, errForm
	}
	c := &checkpoint{}
	var err, terr error
	c.seq, err = strconv.ParseInt(lines[1], 10, 64)
	c.time, terr = time.Parse(time.RFC3339Nano, lines[2])
	prev, perr := base64.StdEncoding.DecodeString(lines[3])
	if errors.Join(err, terr, perr) != nil || c.seq < 1 || len(prev) != len(c.prev) {
		return nil, errForm
	}
	copy(c.prev[:], prev)
	for _, line := range lines[4 : len(lines)-1] {
		switch f := strings.Split(line, " "); {
		case len(f) == 7 && f[0] == "tree":
			h, err := parseHead(f[1:])
			if err != nil {
				return nil, err
			}
			c.head = append(c.head, h)
		case len(f) == 3 && f[0] == "gone":
			c.gone = append(c.gone, gone{f[1], f[2]})
		default:
			return nil, errForm
		}
	}
	if c.text() != text {
		return nil, errForm
	}
	return c, nil
}

// parseHead reads topic id, partition, size, end, root and topic.
func parseHead(f []string) (head, error) {
	p, err := strconv.ParseInt(f[1], 10, 32)
	size, serr := strconv.ParseInt(f[2], 10, 64)
	end, eerr := strconv.ParseInt(f[3], 10, 64)
	root, rerr := tlog.ParseHash(f[4])
	if errors.Join(err, serr, eerr, rerr) != nil || p < 0 || size < 1 || end < size || f[0] == "" || f[5] == "" {
		return head{}, errForm
	}
	return head{id: treeID{f[0], int32(p)}, topic: f[5], size: size, end: end, root: root}, nil
}

// sign makes the signed form of a text.
func sign(text string, key note.Signer) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: text}, key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return signed, nil
}

// Signed is a checkpoint whose signature was checked.
type Signed struct {
	checkpoint
	raw []byte
}

func hashOf(signed []byte) [sha256.Size]byte { return sha256.Sum256(signed) }

// openCheckpoint checks the signature of a checkpoint, and reads it.
func openCheckpoint(signed []byte, key note.Verifier) (*Signed, error) {
	n, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return nil, signatureFault(err, key)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return nil, err
	}
	return &Signed{*c, bytes.Clone(signed)}, nil
}

func signatureFault(err error, key note.Verifier) error {
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) && len(unverified.Note.UnverifiedSigs) > 0 {
		return fmt.Errorf("is signed by the key %s, and not by %s", keyText(unverified.Note.UnverifiedSigs[0].Name, unverified.Note.UnverifiedSigs[0].Hash), keyText(key.Name(), key.KeyHash()))
	}
	var bad *note.InvalidSignatureError
	if errors.As(err, &bad) {
		return fmt.Errorf("has a signature that is not of its text and the key %s", keyText(bad.Name, bad.Hash))
	}
	return fmt.Errorf("is no signed text: %w", err)
}

func keyText(name string, hash uint32) string { return fmt.Sprintf("%s+%08x", name, hash) }

// state is the fold of all checkpoints.
type state struct {
	seq   int64
	time  time.Time
	last  [sha256.Size]byte // of the signed form of the last one
	next  int64             // the offset to read on from in the topic of checkpoints
	trees map[treeID]*head
}

// take folds the next checkpoint, which stands at an offset. One that does not follow is refused and changes nothing.
func (s *state) take(c *Signed, at int64) error {
	switch {
	case c.seq != s.seq+1:
		return fmt.Errorf("checkpoint %d follows %d: one is missing between them, or was signed twice", c.seq, s.seq)
	case c.prev != s.last:
		return fmt.Errorf("checkpoint %d follows another checkpoint %d than the one that is there", c.seq, s.seq)
	}
	for i := range c.head {
		h := &c.head[i]
		if old := s.trees[h.id]; old != nil && (h.size <= old.size || h.end <= old.end) {
			return fmt.Errorf("checkpoint %d lets %s/%d shrink from %d records to %d", c.seq, h.topic, h.id.partition, old.size, h.size)
		}
	}
	if s.trees == nil {
		s.trees = map[treeID]*head{}
	}
	for i := range c.head {
		h := c.head[i]
		h.at = at
		s.trees[h.id] = &h
	}
	for _, g := range c.gone {
		for id := range s.trees {
			if id.topicID == g.topicID {
				delete(s.trees, id)
			}
		}
	}
	s.seq, s.time, s.last, s.next = c.seq, c.time, hashOf(c.raw), at+1
	return nil
}

// sorted are the trees in an order that is the same every time.
func (s *state) sorted() []*head {
	all := make([]*head, 0, len(s.trees))
	for _, h := range s.trees {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b *head) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), compareTrees(a.id, b.id))
	})
	return all
}

func compareTrees(a, b treeID) int {
	return cmp.Or(cmp.Compare(a.topicID, b.topicID), cmp.Compare(a.partition, b.partition))
}

// stateMark stands between what is signed and the trees, whose digest that has.
const stateMark = "=== trees\n"

// seal is the state as it is kept: signed, so that a flipped byte in it is found too.
func (s *state) seal(key note.Signer) ([]byte, error) {
	var b strings.Builder
	for _, h := range s.sorted() {
		fmt.Fprintf(&b, "%d %s", h.at, h.line())
	}
	signed, err := sign(s.text(sha256.Sum256([]byte(b.String()))), key)
	if err != nil {
		return nil, err
	}
	return slices.Concat(signed, []byte(stateMark), []byte(b.String())), nil
}

func (s *state) text(trees [sha256.Size]byte) string {
	return fmt.Sprintf("%s\n%d\n%s\n%s\n%d\n%s\n", stateKind, s.seq, s.time.UTC().Format(time.RFC3339Nano), base64.StdEncoding.EncodeToString(s.last[:]), s.next,
		base64.StdEncoding.EncodeToString(trees[:]))
}

func openState(sealed []byte, key note.Verifier) (*state, error) {
	signed, trees, ok := bytes.Cut(sealed, []byte(stateMark))
	if !ok {
		return nil, errForm
	}
	n, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return nil, signatureFault(err, key)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 7 || lines[0] != stateKind {
		return nil, errForm
	}
	s := &state{trees: map[treeID]*head{}}
	var errs [4]error
	s.seq, errs[0] = strconv.ParseInt(lines[1], 10, 64)
	s.time, errs[1] = time.Parse(time.RFC3339Nano, lines[2])
	last, err := base64.StdEncoding.DecodeString(lines[3])
	errs[2] = err
	s.next, errs[3] = strconv.ParseInt(lines[4], 10, 64)
	if errors.Join(errs[:]...) != nil || len(last) != len(s.last) {
		return nil, errForm
	}
	copy(s.last[:], last)
	if s.text(sha256.Sum256(trees)) != n.Text {
		return nil, errors.New("has other trees than those that were signed")
	}
	for line := range strings.Lines(string(trees)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(f) != 8 {
			return nil, errForm
		}
		h, err := parseHead(f[2:])
		if err != nil {
			return nil, err
		}
		if h.at, err = strconv.ParseInt(f[0], 10, 64); err != nil {
			return nil, errForm
		}
		s.trees[h.id] = &h
	}
	return s, nil
}
