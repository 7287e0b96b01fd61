package wire

import "time"

// Audit is what a node has signed of its log.
type Audit struct {
	On             bool      `json:"on"`
	Key            string    `json:"key,omitempty"`            // public; what signs
	Checkpoint     int64     `json:"checkpoint"`               // the number of the last one; 0 = none yet
	Time           time.Time `json:"time,omitzero"`            // when it was signed
	Trees          int       `json:"trees"`                    // partitions in it
	Records        int64     `json:"records"`                  // in these
	Outside        string    `json:"outside,omitempty"`        // where checkpoints are brought
	Missing        int64     `json:"missing"`                  // checkpoints that are not there yet, as far as the node knows what is there
	OutsideTrouble string    `json:"outsideTrouble,omitempty"` // why they are not
	Trouble        string    `json:"trouble,omitempty"`        // why it stands still
	Behind         []string  `json:"behind,omitempty"`         // what could not be read to its end, and why; the rest is signed
	Except         []string  `json:"leftOut,omitempty"`        // topics that are not hashed
	EverySecs      float64   `json:"everySeconds,omitzero"`    // between two checkpoints
}

// AuditProof shows that a record is in what a node signed. It is checked without the node; docs/audit.md.
type AuditProof struct {
	Form       string       `json:"form"` // AuditProofForm
	Topic      string       `json:"topic"`
	TopicID    string       `json:"topicId"`
	Partition  int32        `json:"partition"`
	Offset     int64        `json:"offset"`
	Record     *AuditRecord `json:"record,omitempty"` // absent when the log has it no more
	Leaf       []byte       `json:"leaf"`             // the hash of the record, 32 bytes
	Index      int64        `json:"index"`            // the number of the leaf in its tree, from 0
	Size       int64        `json:"size"`             // leaves of the tree that was signed
	Hashes     [][]byte     `json:"hashes"`           // of the subtrees beside the way to the root, from the leaf up
	Checkpoint string       `json:"checkpoint"`       // with its signature
}

// AuditProofForm is what AuditProof.Form says.
const AuditProofForm = "dalamb.proof.v1"

// AuditRecord is what of a record its hash is of, beside where it stands.
type AuditRecord struct {
	Time    time.Time     `json:"time"` // milliseconds
	Key     []byte        `json:"key"`  // null = none
	Headers []AuditHeader `json:"headers"`
	Value   []byte        `json:"value"` // null = none
}

// AuditHeader is one header of a record.
type AuditHeader struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

// AuditGrowth shows that what a node had signed by one checkpoint is in what it had signed by a later one, unchanged. It is checked without the node.
type AuditGrowth struct {
	Form        string       `json:"form"`            // AuditGrowthForm
	From        int64        `json:"from"`            // the number of the earlier checkpoint
	To          int64        `json:"to"`              // of the later one
	Topic       string       `json:"topic,omitempty"` // the only one that it says something of; "" = of all
	Checkpoints []string     `json:"checkpoints"`     // with their signatures, by their numbers: every one from the earliest that Trees name to To
	Trees       []AuditGrown `json:"trees"`           // that were signed by From
	Gone        []AuditGone  `json:"gone"`            // topics that were signed by From, and deleted by To
}

// AuditGrowthForm is what AuditGrowth.Form says.
const AuditGrowthForm = "dalamb.growth.v1"

// AuditGrown is a tree that was signed twice.
type AuditGrown struct {
	TopicID   string   `json:"topicId"`
	Partition int32    `json:"partition"`
	From      int64    `json:"from"`   // the number of the checkpoint that says what it was
	To        int64    `json:"to"`     // and of the one that says what it has become; the same where it has not grown
	Hashes    [][]byte `json:"hashes"` // RFC 6962, section 2.1.2; none where it has not grown
}

// AuditGone is a topic that was deleted.
type AuditGone struct {
	TopicID    string `json:"topicId"`
	Checkpoint int64  `json:"checkpoint"` // the number of the one that says so
}

// AuditReport is what came of comparing a log with what was signed of it.
type AuditReport struct {
	Key         string         `json:"key"`         // that checkpoints were checked with
	Checkpoints int64          `json:"checkpoints"` // with that key
	Last        int64          `json:"last"`        // the number of the last of them
	Outside     int64          `json:"outside"`     // checkpoints with that key that were kept outside
	OutsideLast int64          `json:"outsideLast"` // the number of the last of those; 0 = there is none
	Time        time.Time      `json:"time,omitzero"`
	Trees       int            `json:"trees"`
	Records     int64          `json:"records"`   // as they were hashed
	Unsigned    int64          `json:"unsigned"`  // of these, not in a checkpoint yet
	Unhashed    int64          `json:"unhashed"`  // records that no leaf is of: before the audit began, or behind where it is
	Retired     int64          `json:"retired"`   // leaves whose records retention has taken
	Compacted   int64          `json:"compacted"` // leaves whose records compaction has taken
	Findings    []AuditFinding `json:"findings"`
}

// AuditFinding is something that is not as it was signed, and where.
type AuditFinding struct {
	Kind      string `json:"kind"`
	File      string `json:"file,omitempty"` // what of the data directory is damaged, where nothing could be compared
	Topic     string `json:"topic,omitempty"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"` // the first; -1 = it is about no offset
	To        int64  `json:"to"`     // the last
	What      string `json:"what"`
}
